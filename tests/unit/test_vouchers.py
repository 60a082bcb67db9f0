"""Vouchers: a claimed channel counts only where a face of ours vouched for exactly that."""

from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from mcpbox.domain.decisions import Channel, DecisionDraft
from mcpbox.domain.ids import DecisionId, Digest, RequestId
from mcpbox.domain.verdicts import Verdict
from mcpbox.vouchers import Vouchers

REQUEST = RequestId(UUID(int=1))
DRAFT = DecisionDraft(
    id=DecisionId(UUID(int=2)), verdict=Verdict.APPROVE, seen_digest=Digest("sha256:1")
)
OLD, NEW = Vouchers([SecretStr("01" * 32)]), Vouchers([SecretStr("02" * 32), SecretStr("01" * 32)])
VOUCHED = OLD.for_decision(REQUEST, DRAFT, "ana", Channel.PANEL)


def test_what_a_face_vouched_for_keeps_its_channel_also_after_the_key_changed() -> None:
    for vouchers in (OLD, NEW):
        found = vouchers.channel_of_decision(VOUCHED, REQUEST, DRAFT, "ana", Channel.PANEL)
        assert found is Channel.PANEL
    retracted = NEW.for_retraction(REQUEST, "ana", Channel.CLI)
    assert NEW.channel_of_retraction(retracted, REQUEST, "ana", Channel.CLI) is Channel.CLI


@pytest.mark.parametrize(
    "other",
    [
        {"voucher": ""},
        {"voucher": "é"},
        {"request_id": RequestId(UUID(int=3))},
        {"draft": DRAFT.model_copy(update={"id": UUID(int=3)})},
        {"draft": DRAFT.model_copy(update={"verdict": Verdict.DENY})},
        {"draft": DRAFT.model_copy(update={"seen_digest": "sha256:2"})},
        {"draft": DRAFT.model_copy(update={"break_glass": True})},
        {"reviewer": "ada"},
        {"claimed": Channel.API},
    ],
    ids=str,
)
def test_whatever_else_is_claimed_came_by_temporal(other: dict[str, Any]) -> None:
    given: dict[str, Any] = {
        "voucher": VOUCHED,
        "request_id": REQUEST,
        "draft": DRAFT,
        "reviewer": "ana",
        "claimed": Channel.PANEL,
    }
    assert NEW.channel_of_decision(**(given | other)) is Channel.TEMPORAL


def test_a_voucher_for_a_retraction_is_none_for_another() -> None:
    vouched = NEW.for_retraction(REQUEST, "ana", Channel.CLI)
    assert NEW.channel_of_retraction(vouched, REQUEST, "ada", Channel.CLI) is Channel.TEMPORAL
    assert NEW.channel_of_retraction(VOUCHED, REQUEST, "ana", Channel.PANEL) is Channel.TEMPORAL

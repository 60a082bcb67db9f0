"""Commands: the payloads of the updates that reach a change request's workflow."""

from typing import Annotated

from pydantic import Field

from mcpbox.domain.base import DomainModel
from mcpbox.domain.decisions import Channel, DecisionDraft
from mcpbox.domain.ids import Digest
from mcpbox.domain.people import Principal
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.subjects import Subject
from mcpbox.domain.texts import Text

Voucher = Annotated[str, Field(max_length=200)]
"""That ``channel`` is true; whatever comes without one came by Temporal's own means."""


class DecideCommand(DomainModel):
    """Payload of the update ``decide``, made by a face that knows who is asking."""

    draft: DecisionDraft
    reviewer: Principal
    channel: Channel
    voucher: Voucher = ""


class WithdrawCommand(DomainModel):
    """Payload of the update ``withdraw``."""

    by: Principal
    reason: Text = Field(default="", max_length=REASON_MAX_LENGTH)


class ReviseCommand(DomainModel):
    """Payload of the update ``revise``: a newer version on the same request."""

    by: Principal
    subject: Subject
    digest: Digest
    notes: Text = Field(default="", max_length=REASON_MAX_LENGTH)


class RetractCommand(DomainModel):
    """Payload of the update ``retract``: take one's own vote back."""

    by: Principal
    channel: Channel
    voucher: Voucher = ""

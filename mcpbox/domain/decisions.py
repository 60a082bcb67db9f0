"""A decision: what a reviewer sends, and what is recorded of it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import BeforeValidator, Field

from mcpbox.domain.base import DomainModel
from mcpbox.domain.comments import LineComment
from mcpbox.domain.ids import DecisionId, Digest, RequestId
from mcpbox.domain.probation import ProbationTerms
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.texts import Text
from mcpbox.domain.verdicts import Verdict

LINE_COMMENTS_MAX = 50
BREAK_GLASS_REASON_MIN_LENGTH = 10
GRANTED_DAYS_MAX = 365
_REFUSED_MAX = 100
_CHOSEN_ID_MAX_LENGTH = 200
_DIGEST_MAX_LENGTH = 100


class Channel(StrEnum):
    """The face a decision came through."""

    API = "api"
    PANEL = "panel"
    CLI = "cli"
    TEMPORAL = "temporal"
    POLICY = "policy"
    """No face: a rule decided when the request was presented."""


def _as_uuid(value: object) -> object:
    if not isinstance(value, str) or not 0 < len(value) <= _CHOSEN_ID_MAX_LENGTH:
        return value
    try:
        return UUID(value)
    except ValueError:
        return uuid5(NAMESPACE_URL, f"mcpbox:decision:{value}")


ChosenId = Annotated[DecisionId, BeforeValidator(_as_uuid)]
"""A UUID, or any other text, which stands for a UUID that is always the same."""


class DecisionDraft(DomainModel):
    """What a reviewer sends; identity and time are added by us, never by the sender."""

    id: ChosenId = Field(
        description="Chosen by the sender: a UUID or any text; a retry with it changes nothing."
    )
    verdict: Verdict
    reason: Text = Field(default="", max_length=REASON_MAX_LENGTH)
    seen_digest: Digest = Field(
        min_length=1,
        max_length=_DIGEST_MAX_LENGTH,
        description="The digest on the reviewer's screen; any other is stale.",
    )
    probation: ProbationTerms | None = Field(
        default=None,
        description="When approving a publication: for how long, before people are asked again.",
    )
    granted_days: int | None = Field(
        default=None,
        ge=1,
        le=GRANTED_DAYS_MAX,
        description="When approving: what is granted ends after so many days, if not before.",
    )
    comments: tuple[LineComment, ...] = Field(
        default=(), max_length=LINE_COMMENTS_MAX, description="Remarks at lines of the code."
    )
    refused: tuple[Text, ...] = Field(
        default=(),
        max_length=_REFUSED_MAX,
        description="When approving: items of the request's needs that are not granted.",
    )
    break_glass: bool = Field(
        default=False,
        description="An admin alone forces the approval; another person reviews it afterwards.",
    )


class Decision(DecisionDraft):
    request_id: RequestId
    reviewer: str
    """User name of the person."""
    channel: Channel
    decided_at: datetime
    round: int = 1
    """Only votes of the request's present round count."""
    on_behalf_of: str | None = None
    """User name of the person whose right was used, by their deputy."""
    retracted_at: datetime | None = None

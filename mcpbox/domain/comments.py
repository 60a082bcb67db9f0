"""Comments: what is said about a request without deciding it."""

from datetime import datetime

from pydantic import Field

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import CommentId, DecisionId, Digest, RequestId
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.texts import Text


class LineComment(DomainModel):
    """A remark at one line of the code that the decision is about."""

    line: int = Field(ge=1, le=1_000_000)
    text: Text = Field(min_length=1, max_length=REASON_MAX_LENGTH)


class Comment(DomainModel):
    id: CommentId
    request_id: RequestId
    author: str
    """Label of the principal."""
    text: str
    line: int | None = None
    """Of the code with this digest; ``None``: about the request as a whole."""
    digest: Digest
    round: int
    decision_id: DecisionId | None = None
    """Of the decision that it came with."""
    commented_at: datetime


class CommentDraft(DomainModel):
    text: Text = Field(min_length=1, max_length=REASON_MAX_LENGTH)
    line: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Of the code as it is shown now."
    )

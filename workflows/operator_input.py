"""What an operator may send with ``temporal workflow signal --name decide --input …``."""

from uuid import uuid5

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from mcpbox.domain.base import DomainModel
from mcpbox.domain.decisions import GRANTED_DAYS_MAX, ChosenId
from mcpbox.domain.ids import DecisionId, Digest, RequestId
from mcpbox.domain.probation import ProbationTerms
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.texts import Text
from mcpbox.domain.verdicts import Verdict
from mcpbox.payloads import Unreadable


class OperatorDecision(DomainModel):
    """Identity is what the operator claims: who reaches Temporal's frontend is trusted with it.

    It must still be the name of a person who may decide; that is looked up when it is recorded.
    """

    id: ChosenId | None = None
    reviewer: Text = Field(min_length=1, max_length=80)
    verdict: Verdict
    reason: Text = Field(default="", max_length=REASON_MAX_LENGTH)
    seen_digest: Digest = Field(min_length=1, max_length=100)
    probation: ProbationTerms | None = None
    granted_days: int | None = Field(default=None, ge=1, le=GRANTED_DAYS_MAX)

    def id_in(self, request_id: RequestId, number: int) -> DecisionId:
        """The one that was chosen, or one that holds when a reset sends the signal once more.

        A random one would not: a reset makes it anew, and a vote that was taken back would count
        again. ``number``: of the signal, counted from 1.
        """
        if self.id is not None:
            return self.id
        return DecisionId(uuid5(request_id, f"signal {number}: {self.model_dump_json()}"))

    @model_validator(mode="before")
    @classmethod
    def _readable(cls, given: object) -> object:
        if isinstance(given, Unreadable):
            raise PydanticCustomError("unreadable", "{why}", {"why": given.why})
        return given


def why_malformed(error: ValidationError) -> str:
    return (
        f"Malformed: {problems_of(error)}. Send one JSON object with verdict, reviewer, reason "
        "and seen_digest."
    )


def problems_of(error: ValidationError) -> str:
    """Which fields, and what is wrong with each; never what was sent."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'input'}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False, include_context=False)
    )

"""What an operator may send with ``temporal workflow signal --name decide --input …``."""

from pydantic import Field, ValidationError

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import Digest
from mcpbox.domain.probation import ProbationTerms
from mcpbox.domain.requests import REASON_MAX_LENGTH, ChosenId, Verdict
from mcpbox.domain.texts import Text


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


def why_malformed(error: ValidationError) -> str:
    """Which fields, and what is wrong with each; never what was sent."""
    problems = [
        f"{'.'.join(str(part) for part in item['loc']) or 'input'}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    return (
        f"Malformed: {'; '.join(problems)}. Send one JSON object with verdict, reviewer, reason "
        "and seen_digest."
    )

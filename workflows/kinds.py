"""What differs between kinds of request: its checks, and the activity that applies it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mcpbox.domain.evidence import Check
from mcpbox.domain.requests import Kind
from workflows.contracts import (
    ApplyRequest,
    EvidenceActivities,
    Examination,
    PublishActivities,
)


@dataclass(frozen=True, slots=True)
class Strategy:
    examinations: tuple[Callable[[Any, Examination], Awaitable[None]], ...]
    """Run side by side."""
    expected: tuple[Check, ...]
    """The evidence they leave; what is not there in the end is shown as missing."""
    apply: Callable[[Any, ApplyRequest], Awaitable[None]]


STRATEGIES: dict[Kind, Strategy] = {
    Kind.PUBLISH: Strategy(
        examinations=(EvidenceActivities.examine_source, EvidenceActivities.try_out),
        expected=tuple(Check),
        apply=PublishActivities.apply_publish,
    )
}

"""What we read out of a tool's source without running it."""

from typing import Any

from mcpbox.domain.base import DomainModel
from mcpbox.domain.errors import Problem
from mcpbox.domain.evidence import Finding
from mcpbox.domain.executions import ExecutionOutcome
from mcpbox.domain.manifests import Manifest


class Parameter(DomainModel):
    name: str
    type: str
    """JSON Schema type, ``any`` where the annotation says nothing."""
    required: bool


class SourceReport(DomainModel):
    """Every finding at once, in source order; ``valid`` means there are none."""

    valid: bool
    has_main: bool
    problems: tuple[Problem, ...]
    parameters: tuple[Parameter, ...]
    input_schema: dict[str, Any]
    manifest: Manifest
    readable: bool = True
    """``False`` when it is no Python: then there is one problem, and nothing else is known."""
    findings: tuple[Finding, ...] = ()
    """What reviewers are shown of it besides; nothing that keeps it from being saved."""
    guard_checked: bool = True
    """``False`` when the sandbox did not answer: its rules were not checked."""


class Trial(DomainModel):
    """One run of code that need not be approved."""

    outcome: ExecutionOutcome
    result: Any = None
    error: str = ""
    stdout: str = ""
    duration_ms: float = 0.0
    egress: tuple[str, ...] = ()
    """What the code tried to reach, one line a request, refusals with their reason."""

"""Results of checks, each bound to the digest that was checked."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import Digest


class Check(StrEnum):
    """In the order they are shown."""

    PROBATION = "probation"
    MANIFEST = "manifest"
    GUARD = "guard"
    STATIC = "static"
    CLAIMS = "claims"
    TRIAL = "trial"
    EGRESS = "egress"
    BEHAVIOUR = "behaviour"
    SCHEMA_DIFF = "schema_diff"
    CODE_DIFF = "code_diff"
    COMPOSITION = "composition"
    PACKAGES = "packages"
    VULNERABILITIES = "vulnerabilities"
    PACKAGE_FACTS = "package_facts"
    HOST = "host"
    RELEASES = "releases"
    SECRET = "secret"  # noqa: S105 - the word itself, no secret

    @property
    def vetoes(self) -> bool:
        """Whether a failure ends the request before people see it: it could not take effect."""
        return self in (Check.GUARD, Check.PACKAGES)


class Status(StrEnum):
    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    MISSING = "missing"
    """The check could not be run; never read as clean."""
    SKIPPED = "skipped"
    """There was nothing to check, and ``summary`` says why."""


class Risk(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Finding(DomainModel):
    """One observation, at a place of the proposed code where it has one."""

    level: Risk
    title: str
    text: str
    line: int | None = None
    column: int | None = None
    """As the line, from 1, as editors count."""
    rule: str = ""
    """For programs; the same for all findings of one rule. Empty: the check has one rule only."""
    why: str = ""
    """Why it matters, where the text does not say so already."""


class HostUse(DomainModel):
    """One host: what the code says of it beside what was seen of it in the sandbox."""

    host: str
    methods: tuple[str, ...] = ()
    """Those that stand in the code, sorted."""
    declared: bool = False
    """Named in the code, so that people see it before it may be reached."""
    granted: bool = False
    """Its server held it when the trial ran; what it does not hold is refused."""
    reached: int = 0
    """Requests that went out."""
    refused: int = 0
    reason: str = ""
    """Of the first refusal."""


class TrialRun(DomainModel):
    """One run of the code with one set of arguments."""

    made_by: str
    """``author``, ``system`` for arguments made from the input schema, ``recorded`` for a call."""
    arguments: str
    """JSON text, cut."""
    ok: bool
    result: str = ""
    """JSON text, cut."""
    error: str = ""
    stdout: str = ""
    duration_ms: float = 0.0
    before: str | None = None
    """What the released version answered or failed with, where both were run."""
    changed: bool = False
    """The two differ."""


class Contribution(DomainModel):
    """A part of a risk score, and the evidence it rests on."""

    points: int
    reason: str
    check: Check
    rule: str = ""


class RiskScore(DomainModel):
    """0 to 100; ``level`` follows from the points alone."""

    points: int
    level: Risk
    contributions: tuple[Contribution, ...] = ()
    """Most points first; they may add up to more than 100."""


class Evidence(DomainModel):
    check: Check
    digest: Digest
    status: Status
    summary: str
    """One sentence for the reviewer."""
    findings: tuple[Finding, ...] = ()
    facts: dict[str, str] = Field(default_factory=dict)
    """Label to value, in the order to show."""
    hosts: tuple[HostUse, ...] = ()
    """Declared beside observed, of the check for it alone."""
    runs: tuple[TrialRun, ...] = ()
    """Everything that was run, in order."""
    checked_at: datetime

"""Results of checks, each bound to the digest that was checked."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import Digest


class Check(StrEnum):
    """In the order they are shown."""

    MANIFEST = "manifest"
    GUARD = "guard"
    TRIAL = "trial"
    SCHEMA_DIFF = "schema_diff"
    CODE_DIFF = "code_diff"
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
    """One observation, at a line of the proposed code where it has one."""

    level: Risk
    title: str
    text: str
    line: int | None = None


class Evidence(DomainModel):
    check: Check
    digest: Digest
    status: Status
    summary: str
    """One sentence for the reviewer."""
    findings: tuple[Finding, ...] = ()
    facts: dict[str, str] = Field(default_factory=dict)
    """Label to value, in the order to show."""
    checked_at: datetime

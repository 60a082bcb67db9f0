"""What crosses the wire to the sandbox: JSON over HTTP, on a unix socket or on TCP with an API key.

Everything else in this package is private to the service. Callers import only this module.

Compatibility rule: fields are only added, with a default; a field never changes its meaning.
"""

import hashlib
import json
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

API_KEY_HEADER = "x-mcpbox-sandbox-key"
UNKNOWN_BUNDLE_STATUS = 404
"""``POST /runs`` by key answers this until the bundle was sent once; then call again with it."""
BUSY_STATUS = 429


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Bundle(Wire):
    """Code, and what it may reach: all that a child needs besides its arguments."""

    code: str
    modules: tuple[str, ...] = ()
    """Modules granted beyond the default allow-list."""
    hosts: tuple[str, ...] = ()
    """Granted hosts: ``host``, ``host:port`` or ``*.suffix``; empty means no network."""

    @property
    def key(self) -> str:
        """SHA-256 over the canonical JSON of this bundle; how a run names it."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


class RunLimits(Wire):
    memory_bytes: int = Field(default=256 * 2**20, ge=2**24, le=2**32)
    cpu_s: int = Field(default=60, ge=1, le=600)
    wall_s: float = Field(default=60.0, gt=0, le=600)
    stdout_bytes: int = Field(default=64 * 2**10, ge=0, le=2**20)
    result_bytes: int = Field(default=2**20, ge=2, le=2**22)


class RunRequest(Wire):
    """``POST /runs``. Answered with :class:`RunResult`, also when the tool failed."""

    bundle_key: str
    bundle: Bundle | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    limits: RunLimits = RunLimits()
    trial: bool = False
    """Marks code that nobody approved yet; it gets no secrets."""


class ErrorKind(StrEnum):
    REJECTED = "rejected"  # the guard refused the code
    RAISED = "raised"  # the tool raised
    BAD_RESULT = "bad_result"  # not JSON, too large, too deep
    MEMORY = "memory"
    CPU = "cpu"
    WALL = "wall"
    CRASHED = "crashed"  # killed, or ended without a result


class RunError(Wire):
    kind: ErrorKind
    message: str
    """Fit for the author: what happened and where; never a path of the host."""
    line: int | None = None


class EgressRecord(Wire):
    """One HTTP request that the tool tried: what it really did."""

    method: str
    host: str
    status: int | None = None
    """``None`` when it was refused or failed."""
    refused: str | None = None
    """Why the broker refused it; ``None`` when it went out."""
    received_bytes: int = 0


class RunResult(Wire):
    ok: bool
    result: Any = None
    error: RunError | None = None
    stdout: str = ""
    duration_ms: float = 0.0
    """Inside the sandbox, queueing left out."""
    egress: tuple[EgressRecord, ...] = ()


class CheckRequest(Wire):
    """``POST /checks``: the guard alone, every finding at once, nothing is run."""

    code: str
    modules: tuple[str, ...] = ()


class CheckFinding(Wire):
    line: int
    column: int
    message: str
    """What is wrong and what to do instead."""


class CheckResult(Wire):
    findings: tuple[CheckFinding, ...] = ()
    """In source order; empty means the guard lets the code pass."""


class Layer(Wire):
    """One layer of isolation, as measured at start, not as configured."""

    name: Literal["namespaces", "private_root", "landlock", "seccomp", "rlimits", "cgroup"]
    active: bool
    detail: str = ""


class Health(Wire):
    """``GET /health``, without a key."""

    ready: bool
    level: Literal["full", "filters-only", "seccomp-only", "unsafe"]
    layers: tuple[Layer, ...]
    idle_children: int = 0
    running: int = 0
    python: str = ""

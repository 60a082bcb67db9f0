"""What crosses the wire to the sandbox: JSON over HTTP, on a unix socket or on TCP with an API key.

Everything else in this package is private to the service. Callers import only this module.

Compatibility rule: fields are only added, with a default; a field never changes its meaning.
"""

import hashlib
import json
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_serializer,
    model_validator,
)

from sandbox.modules import BASE_MODULES

DEFAULT_MODULES = BASE_MODULES
"""Top-level names that every tool may import."""
API_KEY_HEADER = "x-mcpbox-sandbox-key"
UNKNOWN_BUNDLE_STATUS = 404
"""``POST /runs`` by key answers this until the bundle was sent once; then call again with it."""
UNKNOWN_MODULE_SET_STATUS = 424
"""The bundle's module set is not installed here: ``PUT /module-sets/<key>``, then call again."""
NOT_APPROVED_STATUS = 403
"""Released code without a receipt that covers it; nothing was run."""
BUSY_STATUS = 429
"""Answered with :class:`BusyProblem`; nothing was run."""
DUPLICATE_RUN_STATUS = 409
"""A run of this ``run_id`` is in progress; nothing was run."""
EVENTS_MEDIA_TYPE = "application/x-ndjson"
"""Accept it on ``POST /runs`` to be sent a :class:`RunEvent` a line while the tool runs."""


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class IsolationMode(StrEnum):
    """How many calls one process serves."""

    CALL = "call"
    """One: nothing of a call is visible to the next."""
    RELEASE = "release"
    """Many calls of one bundle, one after the other: faster, and what one leaves, the next sees."""


class StdioServer(Wire):
    """An MCP server that speaks over its standard streams, run as ``python -m module args…``."""

    module: str
    """A granted module of the bundle's module set, or a part of one."""
    args: tuple[str, ...] = ()
    tool: str | None = None
    """The one tool of it that the bundle calls, with the arguments of the run.

    ``None`` lists its tools, which only a trial may.
    """


class Bundle(Wire):
    """Code, and what it may reach: all that a child needs besides its arguments."""

    code: str
    """Empty for a server that speaks over stdio."""
    stdio: StdioServer | None = None
    """Then :attr:`RunResult.result` is the JSON of the server's ``CallToolResult``.

    Or ``{"tools": […]}``, as it sent them. Its environment has the secrets of the run, by name.
    """
    modules: tuple[str, ...] = ()
    """Import names granted beyond the default allow-list."""
    module_set: str | None = None
    """Key of the :class:`ModuleSet` that offers them."""
    hosts: tuple[str, ...] = ()
    """Granted hosts: ``[METHOD,… ]host[:port][/path-prefix]``, host may be ``*.suffix``.

    Empty means no network.
    """
    server: str = ""
    """Id of the server it belongs to: shares its module zygote, and its limit of calls at once."""
    isolation: IsolationMode = IsolationMode.CALL
    receipt: str | None = None
    """DSSE envelope, as JSON, around a :class:`Receipt`; ``None`` for code that is only tried."""

    def __hash__(self) -> int:
        return hash((self.code, self.stdio, self.server, self.receipt))

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.stdio is not None and self.code:
            raise ValueError("a bundle has code, or a server that speaks over stdio")
        return self

    @property
    def source(self) -> str:
        """What a receipt covers."""
        return source_of(self.code, self.stdio)

    @property
    def key(self) -> str:
        """SHA-256 over the canonical JSON of this bundle; how a run names it."""
        return _key_of(self)


def source_of(code: str, stdio: StdioServer | None) -> str:
    """The code; or which server runs and which tool of it, as canonical JSON."""
    if stdio is None:
        return code
    return _canonical({"stdio": stdio.model_dump(mode="json", exclude_defaults=True)})


@lru_cache(maxsize=256)
def _key_of(bundle: Bundle) -> str:
    """Asked for at every call; equal bundles are equal keys."""
    return _sha256(bundle.model_dump(mode="json", exclude_defaults=True))


class GrantedUntil(Wire):
    value: str
    """A module's import name, or a host as in :attr:`Bundle.hosts`."""
    until: AwareDatetime | None = None
    """``None``: it has no end."""


class Receipt(Wire):
    """What people approved: this code, on this server, with no more than these grants.

    Signed with Ed25519 in a DSSE envelope whose ``payloadType`` is ``RECEIPT_TYPE``.
    Source: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
    """

    digest: str
    """Of the tool's version, as reviewers saw it."""
    code_sha256: str
    """64 hexadecimal digits, over the UTF-8 of :attr:`Bundle.source`."""
    server: str
    tool: str
    request: str
    approved_by: tuple[str, ...]
    approved_at: AwareDatetime
    modules: tuple[GrantedUntil, ...] = ()
    module_set: str | None = None
    hosts: tuple[GrantedUntil, ...] = ()
    secret_names: tuple[str, ...] = ()


RECEIPT_TYPE = "application/vnd.mcpbox.receipt+json"


class Signature(Wire):
    keyid: str
    """As :func:`receipt_key_id` names it."""
    sig: str
    """Base64."""


class Envelope(Wire):
    """DSSE; it may hold fields that we do not know, for nothing beside the payload is signed."""

    model_config = ConfigDict(extra="ignore")

    payload: str
    """Base64, of the JSON of a :class:`Receipt`."""
    payload_type: str = Field(alias="payloadType")
    signatures: tuple[Signature, ...]


def receipt_key_id(public_key: bytes) -> str:
    """``public_key``: the 32 raw bytes."""
    return f"sha256:{hashlib.sha256(public_key).hexdigest()}"


def dsse_signed_bytes(payload: bytes, payload_type: str = RECEIPT_TYPE) -> bytes:
    """The pre-authentication encoding: what a DSSE signature is made over."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


class Wheel(Wire):
    filename: str
    sha256: str
    """64 hexadecimal digits."""
    size: int = Field(ge=1)


class ModuleSet(Wire):
    """Pinned wheels that are installed together: ``PUT /module-sets/<key>``.

    Answered with :class:`InstalledModuleSet`, or with 424 and :class:`MissingWheels`; each of those
    is sent as the body of ``PUT /wheels/<sha256>``.
    """

    wheels: tuple[Wheel, ...]
    """Sorted by file name."""

    @property
    def key(self) -> str:
        return f"sha256:{_sha256(self.model_dump(mode='json'))}"


class MissingWheels(Wire):
    missing: tuple[str, ...]
    """Their SHA-256."""


class InstalledModuleSet(Wire):
    key: str
    modules: tuple[str, ...]
    """Top-level import names that it offers, sorted."""
    files: int
    bytes: int


class BoundSecret(Wire):
    value: SecretStr
    hosts: tuple[str, ...] = ()
    """Where it may be sent, each ``host[:port]`` or ``*.suffix``.

    With hosts, the tool sees a stand-in that the broker replaces on the way to one of them, so the
    value never enters the tool's process. Without, the tool sees the value itself.
    """

    @field_serializer("value", when_used="json")
    def _reveal(self, value: SecretStr) -> str:
        return value.get_secret_value()


def _sha256(given: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(given).encode()).hexdigest()


def _canonical(given: dict[str, Any]) -> str:
    return json.dumps(given, sort_keys=True, separators=(",", ":"))


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
    """Code that nobody approved yet: it needs no receipt, and gets dummies for its secrets."""
    secrets: dict[str, BoundSecret] = Field(default_factory=dict)
    """By name; never in the bundle. In a trial, the values are ignored."""
    run_id: str | None = Field(default=None, min_length=1, max_length=100)
    """Chosen by the caller, to cancel it with ``DELETE /runs/<run_id>``."""


class ErrorKind(StrEnum):
    REJECTED = "rejected"  # the guard refused the code
    RAISED = "raised"  # the tool raised
    BAD_RESULT = "bad_result"  # not JSON, too large, too deep
    MEMORY = "memory"
    CPU = "cpu"
    WALL = "wall"
    CANCELLED = "cancelled"  # by DELETE /runs/<run_id>
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
    sent_bytes: int = 0
    """Of the body."""
    received_bytes: int = 0
    duration_ms: float = 0.0


class RunResult(Wire):
    ok: bool
    result: Any = None
    error: RunError | None = None
    stdout: str = ""
    duration_ms: float = 0.0
    """Inside the sandbox, queueing left out."""
    egress: tuple[EgressRecord, ...] = ()


class BusyLimit(StrEnum):
    """Which limit of waiting calls was reached."""

    SANDBOX = "sandbox"
    SERVER = "server"


class BusyProblem(Wire):
    title: Literal["Busy"] = "Busy"
    detail: str
    """Fit for the caller."""
    limit: BusyLimit
    retry_after_s: int
    """An estimate, in the header ``Retry-After`` too."""


class RunEvent(Wire):
    """One line of a streamed run: some output, or, as the last one, the result."""

    stdout: str | None = None
    result: RunResult | None = None


class RegisteredBundle(Wire):
    """Answers ``PUT /bundles/<key>``, whose body is a released :class:`Bundle`.

    Its receipt was verified, its modules were loaded, and its code was read; none of it was run.
    Refusals are those of ``POST /runs``: 403 without a receipt, 424 without its module set.
    """

    key: str
    problem: str | None = None
    """Why a run of it would fail before its code began; ``None``: it would begin."""


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
    instance: str = ""
    """Of this start of the service: another one knows nothing that the one before was told."""

"""What the twins know, and the sandbox and the ears of the gateway, all in memory."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from pydantic import SecretStr

from gateway.turns import Turns
from mcpbox.breaker import Breaker
from mcpbox.domain.base import utc_now
from mcpbox.domain.calls import CallableTool
from mcpbox.domain.decisions import Channel, Decision
from mcpbox.domain.errors import Unauthenticated, Unavailable
from mcpbox.domain.executions import Execution
from mcpbox.domain.external_sources import ListedTool, SourceDetail
from mcpbox.domain.ids import ClientId, DecisionId, RequestId, ServerId, SourceId, ToolId
from mcpbox.domain.modules import GrantedModule
from mcpbox.domain.people import Client, Scope
from mcpbox.domain.requests import RequestDetail, State
from mcpbox.domain.review_policy import SecuritySettings
from mcpbox.domain.servers import ServerSummary
from mcpbox.domain.tools import (
    Approval,
    ToolDetail,
)
from mcpbox.domain.verdicts import Verdict
from mcpbox.sandbox_client import OnOutput, SandboxClient
from mcpbox.store.changes import Changes, Topic
from sandbox.contract import BoundSecret, Bundle, ErrorKind, Health, RunError, RunLimits, RunResult
from tests.service.gateway.factories import a_callable, a_granted_module

_KEY = SecretStr("k" * 32)
_APPROVALS = {
    State.APPLIED: Approval.APPROVED,
    State.DENIED: Approval.REJECTED,
    State.CHANGES_REQUESTED: Approval.REJECTED,
    State.AWAITING_DECISION: Approval.PENDING_REVIEW,
}


class InMemorySandbox(SandboxClient):
    """Runs the code in this process: fit for our own test code and nothing else."""

    def __init__(self) -> None:
        super().__init__(url="http://sandbox", api_key=_KEY)
        self.runs: list[tuple[Bundle, dict[str, Any]]] = []
        self.reachable = True
        self.result: RunResult | None = None
        """Answered instead of running anything."""
        self.followed: list[bool] = []
        """Of each run, whether its output was asked for while it ran."""
        self.secrets: list[dict[str, BoundSecret]] = []
        """That each run was given."""
        self.prints: tuple[str, ...] = ()
        """What each run prints before anything else, for whoever follows it."""
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.may_end: asyncio.Event | None = None
        """Runs wait for it, once it is set to an event."""

    async def run(
        self,
        bundle: Bundle,
        arguments: dict[str, Any],
        *,
        limits: RunLimits | None = None,
        trial: bool = False,
        secret_names: Iterable[str] = (),
        on_output: OnOutput | None = None,
        secrets: Mapping[str, BoundSecret] | None = None,
    ) -> RunResult:
        if not self.reachable:
            raise Unavailable("The sandbox", "Nothing was run; try again.")
        self.runs.append((bundle, arguments))
        self.followed.append(on_output is not None)
        self.secrets.append(dict(secrets or {}))
        self.started.set()
        if on_output is not None:
            for text in self.prints:
                await on_output(text)
        try:
            if self.may_end is not None:
                await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return self.result or await _run_here(bundle.code, arguments)

    async def health(self) -> Health:
        if not self.reachable:
            raise Unavailable("The sandbox")
        return Health(ready=True, level="full", layers=())


async def _run_here(code: str, arguments: dict[str, Any]) -> RunResult:
    module: dict[str, Any] = {}
    exec(code, module)  # noqa: S102 - code of our own tests
    try:
        return RunResult(ok=True, result=await module["main"](**arguments), duration_ms=1.0)
    except ValueError as error:
        told = RunError(kind=ErrorKind.RAISED, message=f"ValueError: {error}", line=2)
        return RunResult(ok=False, error=told, stdout="before", duration_ms=1.0)


class InMemoryChanges(Changes):
    """Ears that the test speaks into."""

    def __init__(
        self, on_change: Callable[[Topic, str], None], on_connected: Callable[[], None]
    ) -> None:
        super().__init__("postgresql://nowhere", on_change, on_connected)
        self.tell = on_change
        self.tell_connected = on_connected

    async def run(self) -> None:
        self.come_back()
        await asyncio.Event().wait()

    def lose(self, *, for_s: float = 0.0) -> None:
        self.lost_at = time.monotonic() - for_s

    def come_back(self) -> None:
        self.lost_at = None
        self.tell_connected()


class World:
    """Everything the twins know; each method below is what a person or an operator does."""

    def __init__(self) -> None:
        self.servers: dict[ServerId, ServerSummary] = {}
        self.tools: dict[ToolId, ToolDetail] = {}
        self.requests: dict[RequestId, RequestDetail] = {}
        self.sources: dict[SourceId, SourceDetail] = {}
        self.offered: tuple[ListedTool, ...] = ()
        """By every source, once it may be reached."""
        self.modules: dict[ServerId, list[GrantedModule]] = {}
        self.callables: list[CallableTool] = []
        """Released besides those that were published here."""
        self.clients: dict[str, Client] = {}
        self.executions: list[Execution] = []
        self.seen: list[set[ClientId]] = []
        self.sandbox = InMemorySandbox()
        self.breaker = Breaker("The sandbox")
        self.turns = Turns()
        self.source_checks: list[SourceId] = []
        """Durable ones that were asked for."""
        self.checked = asyncio.Event()
        self.renewable: list[SecretStr] = []
        """What tokens of a source are renewed to."""
        self.renewals: list[SecretStr] = []
        self.postgres_reachable = True
        self.authentications = 0
        self.settings = SecuritySettings()
        self.changes: InMemoryChanges | None = None
        self.written = asyncio.Event()
        self.on_look: Callable[[], None] | None = None
        """Called when a request has been read."""

    async def check_source(self, source_id: SourceId) -> None:
        self.source_checks.append(source_id)
        self.checked.set()

    async def renew_source(self, source_id: SourceId, stale: SecretStr) -> SecretStr:
        self.renewals.append(stale)
        [renewed] = self.renewable
        return renewed

    def listen(
        self, on_change: Callable[[Topic, str], None], on_connected: Callable[[], None]
    ) -> Changes:
        self.changes = InMemoryChanges(on_change, on_connected)
        return self.changes

    def announce(self, topic: Topic) -> None:
        if self.changes is not None:
            self.changes.tell(topic, "")

    def add_client(self, token: str, *scopes: Scope, name: str = "laptop") -> Client:
        client = Client(
            id=ClientId(uuid4()),
            name=name,
            owner="ana",
            scopes=frozenset(scopes or Scope),
            created_at=utc_now(),
        )
        self.clients[token] = client
        self.announce(Topic.CLIENTS)
        return client

    def revoke(self, token: str) -> None:
        del self.clients[token]
        self.announce(Topic.CLIENTS)

    def set_security(self, **changes: Any) -> None:
        self.settings = self.settings.model_copy(update=changes)
        self.announce(Topic.POLICY)

    async def load_settings(self) -> SecuritySettings:
        self.require_postgres()
        return self.settings

    def release(self, *tools: CallableTool) -> None:
        self.callables.extend(tools)
        self.announce(Topic.CATALOG)

    def narrow(self, name: str, **changes: Any) -> None:
        self.callables = [
            tool.model_copy(update=changes) if tool.name == name else tool
            for tool in self.callables
        ]
        self.announce(Topic.CATALOG)

    def approve(self, request_id: RequestId) -> None:
        request = self.requests[request_id]
        if request.requirement is not None:
            granted = a_granted_module(request.requirement, request)
            self.modules.setdefault(request.server_id, []).append(granted)
            self._move(request, State.APPLIED)
            return
        tool = self.tools[_tool_id(request)]
        self.tools[tool.id] = tool.model_copy(
            update={"released": request.proposed, "released_version": request.version_number}
        )
        self._move(request, State.APPLIED)
        self.announce(Topic.CATALOG)

    def decide(self, request_id: RequestId, verdict: Verdict, reason: str) -> None:
        request = self.requests[request_id]
        decision = Decision(
            id=DecisionId(uuid4()),
            verdict=verdict,
            reason=reason,
            seen_digest=request.digest,
            request_id=request_id,
            reviewer="ana",
            channel=Channel.PANEL,
            decided_at=utc_now(),
        )
        denied = verdict is Verdict.DENY
        self._move(
            request.model_copy(update={"decisions": [*request.decisions, decision]}),
            State.DENIED if denied else State.CHANGES_REQUESTED,
            reason,
        )

    def _move(self, request: RequestDetail, state: State, reason: str = "") -> None:
        self.requests[request.id] = request.model_copy(
            update={"state": state, "state_reason": reason}
        )
        self.announce(Topic.REQUESTS)
        if request.tool_id is None:
            return
        tool = self.tools[request.tool_id]
        approval = _APPROVALS.get(state, Approval.DRAFT)
        self.tools[tool.id] = tool.model_copy(update={"approval": approval})

    def put_request(self, request: RequestDetail, state: State) -> None:
        self._move(request, state)

    async def authenticate(self, token: str) -> Client:
        self.authentications += 1
        self.require_postgres()
        if token not in self.clients:
            raise Unauthenticated("This token is unknown or revoked.")
        return self.clients[token]

    async def record_seen(self, client_ids: Collection[ClientId]) -> None:
        self.require_postgres()
        self.seen.append(set(client_ids))

    async def load_callables(self) -> list[CallableTool]:
        self.require_postgres()
        published = [
            a_callable(
                tool.released,
                server=tool.server_name,
                server_state=self.servers[tool.server_id].desired_state,
                enabled=tool.enabled,
            )
            for tool in self.tools.values()
            if tool.released is not None
        ]
        return [*self.callables, *published]

    async def write_executions(self, executions: Sequence[Execution]) -> None:
        self.require_postgres()
        self.executions.extend(executions)
        self.written.set()

    def require_postgres(self) -> None:
        if not self.postgres_reachable:
            raise Unavailable("Postgres")


def _tool_id(request: RequestDetail) -> ToolId:
    assert request.tool_id is not None
    return request.tool_id

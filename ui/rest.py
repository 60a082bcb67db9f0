"""The panel's only way to data: our REST API, acting with one visitor's own token."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal
from urllib.parse import quote
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict

from mcpbox.domain.audit import AuditEvent, AuditVerification
from mcpbox.domain.base import Page
from mcpbox.domain.comments import Comment, CommentDraft
from mcpbox.domain.decisions import DecisionDraft
from mcpbox.domain.dry_runs import DryRun, Proposal
from mcpbox.domain.executions import Execution, Overview
from mcpbox.domain.grants import Grant
from mcpbox.domain.ids import RequestId
from mcpbox.domain.narrowing import Switch
from mcpbox.domain.notices import NewTarget, ReceivedNotice, Target, TargetDraft, Unread
from mcpbox.domain.people import (
    Client,
    Delegation,
    NewClient,
    NewPassword,
    Role,
    Scope,
    User,
)
from mcpbox.domain.receipts import ReleaseReceipt
from mcpbox.domain.recovery import Recovery, RecoveryOutcome, ResolveDraft
from mcpbox.domain.requests import Outcome, RequestDetail, RequestSummary, ReviewAfterwards, State
from mcpbox.domain.review_policy import PolicyChange, PolicyVersion
from mcpbox.domain.secrets import Secret
from mcpbox.domain.servers import IsolationMode, ServerModules, ServerSummary
from mcpbox.domain.tools import ToolDetail, ToolSummary, ToolVersion
from ui.asking import Query
from ui.problems import ApiProblem
from ui.sources_rest import SourcesRest
from ui.visitor import Visitor

_NOT_FOUND = 404
_SWITCHES = {Switch.LIFT: "quarantine/lift"}


class ServiceState(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    state: Literal["ok", "degraded", "down"]
    detail: str = ""
    warnings: tuple[str, ...] = ()


class System(BaseModel):
    model_config = ConfigDict(frozen=True)

    services: tuple[ServiceState, ...]


class BatchAnswer(BaseModel):
    """What became of one approval of a batch."""

    model_config = ConfigDict(frozen=True)

    request_id: RequestId
    outcome: Outcome | None
    refusal: str = ""


class Session(BaseModel):
    """What signing in answers, as far as the panel uses it."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    access_token: str
    expires_in: int


class Rest(SourcesRest):
    """Every method raises :class:`ApiProblem`, :class:`SignedOut` among them, and nothing else."""

    async def login(self, username: str, password: str) -> Session:
        body = {"username": username, "password": password}
        return await self._ask("POST", "auth/login", Session, body=body)

    async def logout(self) -> None:
        await self._send("POST", "auth/logout")

    async def change_password(self, current: str, new: str) -> None:
        await self._send("POST", "auth/password", body={"current": current, "new": new})

    async def me(self) -> Visitor:
        return await self._ask("GET", "auth/me", Visitor)

    async def overview(self) -> Overview:
        return await self._ask("GET", "overview", Overview)

    async def system(self) -> System:
        return await self._ask("GET", "system", System)

    async def requests(
        self,
        states: tuple[State, ...],
        *,
        review_afterwards: ReviewAfterwards | None = None,
        page: int = 1,
        page_size: int = 50,
    ) -> Page[RequestSummary]:
        query: Query = {"state": list(states), "page": page, "page_size": page_size}
        if review_afterwards is not None:
            query["review_afterwards"] = review_afterwards
        return await self._ask("GET", "requests", Page[RequestSummary], query)

    async def request(self, request_id: UUID) -> RequestDetail:
        return await self._ask("GET", f"requests/{request_id}", RequestDetail)

    async def decide(self, request_id: UUID, draft: DecisionDraft) -> Outcome:
        body = draft.model_dump(mode="json")
        return await self._ask("POST", f"requests/{request_id}/decisions", Outcome, body=body)

    async def policy(self) -> PolicyVersion:
        return await self._ask("GET", "review-policy", PolicyVersion)

    async def policy_versions(self, *, page: int = 1, page_size: int = 20) -> Page[PolicyVersion]:
        query: Query = {"page": page, "page_size": page_size}
        return await self._ask("GET", "review-policy/versions", Page[PolicyVersion], query)

    async def policy_version(self, version: int) -> PolicyVersion:
        return await self._ask("GET", f"review-policy/versions/{version}", PolicyVersion)

    async def change_policy(self, change: PolicyChange) -> PolicyVersion:
        body = change.model_dump(mode="json")
        return await self._ask("PUT", "review-policy", PolicyVersion, body=body)

    async def try_policy(self, proposal: Proposal) -> DryRun:
        body = proposal.model_dump(mode="json")
        return await self._ask("POST", "review-policy/dry-run", DryRun, body=body)

    async def retract(self, request_id: UUID) -> Outcome:
        return await self._ask("DELETE", f"requests/{request_id}/decisions/mine", Outcome)

    async def withdraw(self, request_id: UUID, reason: str) -> Outcome:
        path, body = f"requests/{request_id}/withdrawal", {"reason": reason}
        return await self._ask("POST", path, Outcome, body=body)

    async def comment(self, request_id: UUID, draft: CommentDraft) -> Comment:
        body = draft.model_dump(mode="json")
        return await self._ask("POST", f"requests/{request_id}/comments", Comment, body=body)

    async def assign(self, request_id: UUID, username: str) -> RequestSummary:
        path, body = f"requests/{request_id}/assignee", {"username": username}
        return await self._ask("PUT", path, RequestSummary, body=body)

    async def review_afterwards(self, request_id: UUID, note: str) -> RequestSummary:
        path, body = f"requests/{request_id}/review-afterwards", {"note": note}
        return await self._ask("POST", path, RequestSummary, body=body)

    async def delegations(self) -> list[Delegation]:
        return await self._ask("GET", "delegations", list[Delegation])

    async def delegate(self, deputy: str, until: datetime) -> Delegation:
        body = {"deputy": deputy, "until": until.isoformat()}
        return await self._ask("PUT", "delegations/mine", Delegation, body=body)

    async def end_delegation(self) -> None:
        await self._send("DELETE", "delegations/mine")

    async def approve_batch(
        self, requests: Sequence[RequestSummary], reason: str
    ) -> list[BatchAnswer]:
        items = [
            {"request_id": str(one.id), "id": str(uuid4()), "seen_digest": one.digest}
            for one in requests
        ]
        body = {"items": items, "reason": reason}
        return await self._ask("POST", "requests/batch-approvals", list[BatchAnswer], body=body)

    async def servers(self, *, page: int = 1, page_size: int = 50) -> Page[ServerSummary]:
        query: Query = {"page": page, "page_size": page_size}
        return await self._ask("GET", "servers", Page[ServerSummary], query)

    async def server(self, server_id: UUID) -> ServerSummary:
        return await self._ask("GET", f"servers/{server_id}", ServerSummary)

    async def recoveries(self) -> list[Recovery]:
        return await self._ask("GET", "recoveries", list[Recovery])

    async def recovery(self, server_id: UUID) -> Recovery | None:
        """``None``: it never had to be brought back."""
        try:
            return await self._ask("GET", f"servers/{server_id}/recovery", Recovery)
        except ApiProblem as problem:
            if problem.status != _NOT_FOUND:
                raise
            return None

    async def resolve_recovery(self, server_id: UUID, draft: ResolveDraft) -> RecoveryOutcome:
        body = draft.model_dump(mode="json")
        return await self._ask("POST", f"servers/{server_id}/recovery", RecoveryOutcome, body=body)

    async def notices(self, *, page: int = 1, page_size: int = 50) -> Page[ReceivedNotice]:
        query: Query = {"page": page, "page_size": page_size}
        return await self._ask("GET", "notices", Page[ReceivedNotice], query)

    async def unread(self) -> int:
        return (await self._ask("GET", "notices/unread", Unread)).count

    async def mark_read(self) -> None:
        await self._send("POST", "notices/read")

    async def targets(self) -> list[Target]:
        return await self._ask("GET", "notification-targets", list[Target])

    async def add_target(self, draft: TargetDraft) -> NewTarget:
        body = draft.model_dump(mode="json") | {"address": draft.address.get_secret_value()}
        return await self._ask("POST", "notification-targets", NewTarget, body=body)

    async def remove_target(self, target_id: UUID) -> None:
        await self._send("DELETE", f"notification-targets/{target_id}")

    async def test_target(self, target_id: UUID) -> None:
        await self._send("POST", f"notification-targets/{target_id}/test")

    async def users(self) -> list[User]:
        return await self._ask("GET", "users", list[User])

    async def create_user(self, username: str, roles: Iterable[Role]) -> NewPassword:
        body = {"username": username, "roles": list(roles)}
        return await self._ask("POST", "users", NewPassword, body=body)

    async def set_roles(self, username: str, roles: Iterable[Role]) -> User:
        path, body = f"users/{quote(username, safe='')}/roles", {"roles": list(roles)}
        return await self._ask("PUT", path, User, body=body)

    async def set_active(self, username: str, *, active: bool) -> User:
        word = "activate" if active else "deactivate"
        return await self._ask("POST", f"users/{quote(username, safe='')}/{word}", User)

    async def reset_password(self, username: str) -> NewPassword:
        path = f"users/{quote(username, safe='')}/password"
        return await self._ask("POST", path, NewPassword, body={})

    async def clients(self) -> list[Client]:
        return await self._ask("GET", "clients", list[Client])

    async def create_client(
        self, name: str, scopes: Sequence[Scope], *, days: str, servers: Sequence[str]
    ) -> NewClient:
        """``days``: as typed; empty: without an end."""
        body = {"name": name, "scopes": list(scopes), "servers": list(servers)}
        ends = {"days": days.strip() or None}
        return await self._ask("POST", "clients", NewClient, body=body | ends)

    async def rotate_client(self, name: str, *, grace_minutes: str, days: str) -> NewClient:
        """As typed; empty: no grace, and without an end."""
        body = {"grace_minutes": grace_minutes.strip() or "0", "days": days.strip() or None}
        path = f"clients/{quote(name, safe='')}/rotate"
        return await self._ask("POST", path, NewClient, body=body)

    async def revoke_client(self, name: str) -> Client:
        return await self._ask("POST", f"clients/{quote(name, safe='')}/revoke", Client)

    async def server_modules(self, server_id: UUID) -> ServerModules:
        return await self._ask("GET", f"servers/{server_id}/modules", ServerModules)

    async def grants(self, server_id: UUID) -> Page[Grant]:
        """Those that hold; at most 100, and nobody looks at more of one server."""
        return await self._ask(
            "GET", f"servers/{server_id}/grants", Page[Grant], {"page_size": 100}
        )

    async def revoke_grant(self, grant_id: UUID, reason: str) -> Grant:
        body = {"reason": reason}
        return await self._ask("POST", f"grants/{grant_id}/revocation", Grant, body=body)

    async def secrets(self, server_id: UUID) -> list[Secret]:
        return await self._ask("GET", f"servers/{server_id}/secrets", list[Secret])

    async def set_secret(self, server_id: UUID, name: str, value: str) -> Secret:
        path = f"servers/{server_id}/secrets/{name}"
        return await self._ask("PUT", path, Secret, body={"value": value})

    async def delete_secret(self, server_id: UUID, name: str) -> None:
        await self._send("DELETE", f"servers/{server_id}/secrets/{name}")

    async def set_isolation(self, server_id: UUID, mode: IsolationMode) -> ServerSummary:
        body = {"isolation": mode}
        return await self._ask("PATCH", f"servers/{server_id}", ServerSummary, body=body)

    async def throw(self, kind: str, subject_id: UUID, switch: Switch, reason: str) -> None:
        """``kind``: ``servers`` or ``tools``."""
        path = _SWITCHES.get(switch, str(switch))
        await self._send("POST", f"{kind}/{subject_id}/{path}", body={"reason": reason})

    async def tools(
        self, *, server_id: UUID | None = None, page: int = 1, page_size: int = 50
    ) -> Page[ToolSummary]:
        query: Query = {"page": page, "page_size": page_size}
        if server_id:
            query["server_id"] = str(server_id)
        return await self._ask("GET", "tools", Page[ToolSummary], query)

    async def tool(self, tool_id: UUID) -> ToolDetail:
        return await self._ask("GET", f"tools/{tool_id}", ToolDetail)

    async def receipt(self, tool_id: UUID) -> ReleaseReceipt | None:
        """``None``: nothing is released, or it was before there were receipts."""
        try:
            return await self._ask("GET", f"tools/{tool_id}/receipt", ReleaseReceipt)
        except ApiProblem as problem:
            if problem.status != _NOT_FOUND:
                raise
            return None

    async def versions(self, tool_id: UUID) -> list[ToolVersion]:
        return await self._ask("GET", f"tools/{tool_id}/versions", list[ToolVersion])

    async def executions(
        self,
        *,
        tool_id: UUID | None = None,
        outcome: str = "",
        origin: str = "",
        page: int = 1,
        page_size: int = 50,
    ) -> Page[Execution]:
        wanted = {"tool_id": str(tool_id or ""), "outcome": outcome, "origin": origin}
        query: Query = {"page": page, "page_size": page_size}
        query.update({name: value for name, value in wanted.items() if value})
        return await self._ask("GET", "executions", Page[Execution], query)

    async def execution(self, execution_id: UUID) -> Execution:
        return await self._ask("GET", f"executions/{execution_id}", Execution)

    async def audit(self, *, page: int = 1, page_size: int = 50, **wanted: str) -> Page[AuditEvent]:
        """``wanted``: as the API's query names them; empty ones are left out."""
        query: Query = {"page": page, "page_size": page_size}
        query.update({name: value for name, value in wanted.items() if value})
        return await self._ask("GET", "audit", Page[AuditEvent], query)

    async def audit_event(self, sequence: int) -> AuditEvent:
        return await self._ask("GET", f"audit/{sequence}", AuditEvent)

    async def audit_verification(self) -> AuditVerification:
        return await self._ask("GET", "audit/verification", AuditVerification)

"""In-memory twins of the use cases: the real domain and policies, no I/O."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from gateway.definition import UseCases
from gateway.parts import Parts
from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.digests import digest_of, digest_of_ask
from mcpbox.domain.errors import Conflict, NameTaken, NotFound
from mcpbox.domain.evidence import Risk
from mcpbox.domain.extraction import read_source
from mcpbox.domain.ids import CommentId, RequestId, ServerId, ToolId, VersionId
from mcpbox.domain.manifests import Needs, needs_beyond
from mcpbox.domain.modules import Requirement
from mcpbox.domain.narrowing import Narrowing, Standing, Switch
from mcpbox.domain.people import Principal
from mcpbox.domain.requests import (
    Comment,
    CommentDraft,
    Kind,
    ModuleSubject,
    Outcome,
    RequestDetail,
    RequestSummary,
    ReviewAfterwards,
    State,
)
from mcpbox.domain.servers import DesiredState, ServerModules, ServerSummary
from mcpbox.domain.sources import SourceReport, Trial
from mcpbox.domain.tools import (
    Annotations,
    Approval,
    ToolDetail,
    ToolSummary,
    ToolVersion,
    VersionContent,
    callable_name,
)
from mcpbox.policies.narrowing import may_switch
from mcpbox.policies.review import facts_of, may_comment, may_revise, may_withdraw
from mcpbox.policies.static import read_code
from mcpbox.sandbox_client import OnOutput
from mcpbox.store.changes import Topic
from mcpbox.usecases.development import Development, trial_of
from mcpbox.usecases.names import checked_name
from mcpbox.usecases.requests import Requests, require_grantable
from mcpbox.usecases.servers import Servers
from mcpbox.usecases.tools import Tools, content_from
from sandbox.contract import Bundle
from tests.service.gateway.grant_twins import InMemoryNetwork, InMemoryReleases, InMemorySecrets
from tests.service.gateway.world import World


def page_of(items: Sequence[Any], wanted: PageRequest) -> Page[Any]:
    end = wanted.offset + wanted.page_size
    return Page[Any](
        items=list(items[wanted.offset : end]),
        total=len(items),
        page=wanted.page,
        page_size=wanted.page_size,
    )


def parts_of(world: World, *, public_hosts: tuple[str, ...] = ()) -> Parts:
    return Parts(
        use_cases=use_cases_of(world),
        sandbox=world.sandbox,
        authenticate=world.authenticate,
        record_seen=world.record_seen,
        load_callables=world.load_callables,
        write_executions=world.write_executions,
        load_settings=world.load_settings,
        listen=world.listen,
        public_hosts=public_hosts,
    )


def use_cases_of(world: World) -> UseCases:
    return UseCases(
        servers=InMemoryServers(world),
        tools=InMemoryTools(world),
        development=InMemoryDevelopment(world),
        requests=InMemoryRequests(world),
        network=InMemoryNetwork(world),
        releases=InMemoryReleases(world),
        secrets=InMemorySecrets(),
    )


class InMemoryServers(Servers):
    def __init__(self, world: World) -> None:
        self._world = world

    async def list(self, page: PageRequest) -> Page[ServerSummary]:
        self._world.require_postgres()
        found = sorted(self._world.servers.values(), key=lambda server: server.name)
        return page_of(found, page)

    async def get(self, server_id: ServerId) -> ServerSummary:
        if server_id not in self._world.servers:
            raise NotFound("server", server_id)
        return self._world.servers[server_id]

    async def modules(self, server_id: ServerId) -> ServerModules:
        server = await self.get(server_id)
        granted = tuple(self._world.modules.get(server_id, ()))
        return ServerModules(server=server, granted=granted, lock=None)

    async def create(self, by: Principal, *, name: str, description: str) -> ServerSummary:
        checked_name("server", name)
        if any(server.name == name for server in self._world.servers.values()):
            raise NameTaken("server", name)
        server = ServerSummary(
            id=ServerId(uuid4()),
            name=name,
            description=description,
            desired_state=DesiredState.RUNNING,
            created_by=by.label,
            created_at=utc_now(),
            updated_at=utc_now(),
        )
        self._world.servers[server.id] = server
        return server

    async def start(self, by: Principal, server_id: ServerId, reason: str = "") -> ServerSummary:
        return await self._set(by, server_id, Switch.START)

    async def stop(self, by: Principal, server_id: ServerId, reason: str = "") -> ServerSummary:
        return await self._set(by, server_id, Switch.STOP)

    async def _set(self, by: Principal, server_id: ServerId, switch: Switch) -> ServerSummary:
        server = await self.get(server_id)
        standing = Standing(noun="server", off=server.stopped, quarantine=server.quarantine)
        may_switch(by, switch, standing).require()
        running = switch is Switch.START
        server = server.model_copy(
            update={
                "desired_state": DesiredState.RUNNING if running else DesiredState.STOPPED,
                "stopped": None if running else Narrowing(by=by.label, at=utc_now()),
            }
        )
        self._world.servers[server_id] = server
        self._world.announce(Topic.CATALOG)
        return server


class InMemoryTools(Tools):
    def __init__(self, world: World) -> None:
        self._world = world

    async def list(self, server_id: ServerId | None, page: PageRequest) -> Page[ToolSummary]:
        found = [
            tool
            for tool in self._world.tools.values()
            if server_id is None or tool.server_id == server_id
        ]
        return page_of(sorted(found, key=lambda tool: (tool.server_name, tool.name)), page)

    async def get(self, tool_id: ToolId) -> ToolDetail:
        if tool_id not in self._world.tools:
            raise NotFound("tool", tool_id)
        return self._world.tools[tool_id]

    async def create(
        self,
        by: Principal,
        server_id: ServerId,
        *,
        name: str,
        code: str,
        description: str,
        input_schema: dict[str, Any] | None = None,
        annotations: Annotations | None = None,
    ) -> ToolDetail:
        content = content_from(
            name=checked_name("tool", name),
            code=code,
            description=description,
            input_schema=input_schema,
            annotations=annotations or Annotations(),
        )
        server = await InMemoryServers(self._world).get(server_id)
        tool_id = ToolId(uuid4())
        current = _version(tool_id, content, 1, by)
        self._world.tools[tool_id] = ToolDetail(
            id=tool_id,
            server_id=server_id,
            server_name=server.name,
            name=name,
            enabled=True,
            created_by=by.label,
            created_at=utc_now(),
            updated_at=utc_now(),
            description=description,
            current_version=1,
            released_version=None,
            approval=Approval.DRAFT,
            callable_name=callable_name(server.name, name),
            current=current,
            released=None,
        )
        return self._world.tools[tool_id]

    async def update(
        self,
        by: Principal,
        tool_id: ToolId,
        *,
        name: str | None = None,
        description: str | None = None,
        code: str | None = None,
        enabled: bool | None = None,
        input_schema: dict[str, Any] | None = None,
        annotations: Annotations | None = None,
    ) -> ToolDetail:
        tool = await self.get(tool_id)
        content = content_from(
            name=name or tool.current.name,
            code=code or tool.current.code,
            description=tool.current.description if description is None else description,
            input_schema=input_schema,
            annotations=annotations or tool.current.annotations,
        )
        changes: dict[str, Any] = {"enabled": tool.enabled if enabled is None else enabled}
        if digest_of(content) != tool.current.digest:
            number = tool.current_version + 1
            changes |= {
                "name": content.name,
                "current": _version(tool_id, content, number, by),
                "current_version": number,
                "approval": Approval.DRAFT,
            }
        self._world.tools[tool_id] = tool.model_copy(update=changes)
        self._world.announce(Topic.CATALOG)
        return self._world.tools[tool_id]

    async def delete(self, by: Principal, tool_id: ToolId) -> None:
        await self.get(tool_id)
        del self._world.tools[tool_id]
        self._world.announce(Topic.CATALOG)


class InMemoryDevelopment(Development):
    def __init__(self, world: World) -> None:
        self._world = world

    async def validate(self, code: str, server_id: ServerId | None = None) -> SourceReport:
        report = read_source(code)
        return report.model_copy(update={"findings": read_code(code).findings})

    async def trial(
        self,
        by: Principal,
        tool_id: ToolId,
        arguments: dict[str, Any],
        on_output: OnOutput | None = None,
    ) -> Trial:
        tool = await InMemoryTools(self._world).get(tool_id)
        bundle = Bundle(code=tool.current.code)
        return trial_of(
            await self._world.sandbox.run(bundle, arguments, trial=True, on_output=on_output)
        )

    async def end_quarantined(self) -> None:
        """Nothing here is ever quarantined."""


class InMemoryRequests(Requests):
    def __init__(self, world: World) -> None:
        self._world = world

    async def get(self, request_id: RequestId) -> RequestDetail:
        if request_id not in self._world.requests:
            raise NotFound("request", request_id)
        return self._world.requests[request_id]

    async def request_publish(
        self,
        by: Principal,
        tool_id: ToolId,
        *,
        notes: str = "",
        sample_arguments: dict[str, Any] | None = None,
        requirements: Sequence[Requirement] = (),
    ) -> RequestSummary:
        tool = await InMemoryTools(self._world).get(tool_id)
        if tool.released is not None and tool.released.digest == tool.current.digest:
            raise Conflict(f"Version {tool.current_version} is released.")
        now = utc_now()
        request = RequestDetail(
            id=RequestId(uuid4()),
            workflow_id=f"publish/{tool_id}",
            kind=Kind.PUBLISH,
            state=State.AWAITING_DECISION,
            state_reason="",
            server_id=tool.server_id,
            server_name=tool.server_name,
            title=tool.callable_name,
            tool_id=tool_id,
            tool_name=tool.name,
            version_id=tool.current.id,
            version_number=tool.current_version,
            released_number=tool.released_version,
            digest=tool.current.digest,
            requester=by.label,
            notes=notes,
            quorum=1,
            risk=Risk.LOW,
            created_at=now,
            updated_at=now,
            expires_at=now + timedelta(days=7),
            proposed=tool.current,
            released=tool.released,
            needs=needs_beyond(tool.current.manifest, frozenset()),
            evidence=[],
            decisions=[],
            history=[],
        )
        self._world.put_request(request, State.AWAITING_DECISION)
        return request

    async def request_module(
        self,
        by: Principal,
        server_id: ServerId,
        requirement: Requirement,
        *,
        days: int | None = None,
        notes: str = "",
    ) -> RequestSummary:
        require_grantable(requirement)
        server = await InMemoryServers(self._world).get(server_id)
        subject = ModuleSubject(
            server_id=server_id, server_name=server.name, requirement=requirement, days=days
        )
        now = utc_now()
        request = RequestDetail(
            id=RequestId(uuid4()),
            workflow_id=f"module_grant/{server_id}",
            kind=Kind.MODULE_GRANT,
            state=State.AWAITING_DECISION,
            state_reason="",
            server_id=server_id,
            server_name=server.name,
            title=subject.title,
            requirement=requirement,
            days=days,
            digest=digest_of_ask(server_id, requirement, days=days),
            requester=by.label,
            notes=notes,
            quorum=1,
            risk=Risk.LOW,
            created_at=now,
            updated_at=now,
            expires_at=now + timedelta(days=7),
            needs=Needs(),
            evidence=[],
            decisions=[],
            history=[],
        )
        self._world.put_request(request, State.AWAITING_DECISION)
        return request

    async def list(
        self,
        states: Sequence[State],
        page: PageRequest,
        tool_id: ToolId | None = None,
        review_afterwards: ReviewAfterwards | None = None,
    ) -> Page[RequestSummary]:
        found = [
            request
            for request in self._world.requests.values()
            if (not states or request.state in states)
            and (tool_id is None or request.tool_id == tool_id)
            and review_afterwards in (None, request.review_afterwards)
        ]
        return page_of(found[::-1], page)

    async def revise(
        self,
        by: Principal,
        request_id: RequestId,
        *,
        notes: str = "",
        requirements: Sequence[Requirement] = (),
    ) -> RequestSummary:
        request = await self.get(request_id)
        assert request.tool_id is not None
        tool = await InMemoryTools(self._world).get(request.tool_id)
        may_revise(facts_of(request), by, tool.current.digest).require()
        revised = request.model_copy(
            update={
                "round": request.round + 1,
                "digest": tool.current.digest,
                "proposed": tool.current,
                "version_id": tool.current.id,
                "version_number": tool.current.number,
                "notes": notes,
            }
        )
        self._world.put_request(revised, State.GATHERING)
        return await self.get(request_id)

    async def comment(self, by: Principal, request_id: RequestId, draft: CommentDraft) -> Comment:
        request = await self.get(request_id)
        may_comment(facts_of(request), by).require()
        comment = Comment(
            id=CommentId(uuid4()),
            request_id=request_id,
            author=by.label,
            text=draft.text,
            line=draft.line,
            digest=request.digest,
            round=request.round,
            commented_at=utc_now(),
        )
        thread = request.model_copy(update={"comments": (*request.comments, comment)})
        self._world.put_request(thread, request.state)
        return comment

    async def withdraw(self, by: Principal, request_id: RequestId, reason: str = "") -> Outcome:
        request = await self.get(request_id)
        may_withdraw(facts_of(request), by).require()
        self._world.put_request(request, State.WITHDRAWN)
        return Outcome(request_id=request_id, state=State.WITHDRAWN, state_reason=reason)


def _version(tool_id: ToolId, content: VersionContent, number: int, by: Principal) -> ToolVersion:
    return ToolVersion(
        **content.model_dump(),
        id=VersionId(uuid4()),
        tool_id=tool_id,
        number=number,
        digest=digest_of(content),
        author=by.label,
        created_at=utc_now(),
    )

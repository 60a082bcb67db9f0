"""In-memory twins of the use cases about servers and tools, as the others have them."""

from typing import Any
from uuid import uuid4

from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.digests import digest_of
from mcpbox.domain.errors import NameTaken, NotFound
from mcpbox.domain.ids import ServerId, ToolId, VersionId
from mcpbox.domain.narrowing import Narrowing, Standing, Switch
from mcpbox.domain.people import Principal
from mcpbox.domain.servers import DesiredState, ServerModules, ServerSummary
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
from mcpbox.store.changes import Topic
from mcpbox.usecases.names import checked_name
from mcpbox.usecases.server_deletion import ServerDeletion
from mcpbox.usecases.servers import Servers
from mcpbox.usecases.tools import Tools, content_from
from tests.service.gateway.pages import page_of
from tests.service.gateway.world import World


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


class InMemoryDeletion(ServerDeletion):
    def __init__(self, world: World) -> None:
        self._world = world

    async def delete(self, by: Principal, server_id: ServerId, reason: str = "") -> str:
        server = await InMemoryServers(self._world).get(server_id)
        standing = Standing(noun="server", off=server.stopped, quarantine=server.quarantine)
        may_switch(by, Switch.DELETE, standing).require()
        del self._world.servers[server_id]
        for tool in list(self._world.tools.values()):
            if tool.server_id == server_id:
                del self._world.tools[tool.id]
        self._world.announce(Topic.CATALOG)
        return server.name


class InMemoryTools(Tools):
    def __init__(self, world: World) -> None:
        self._world = world

    async def search(self, words: str) -> list[str]:
        """Matches whole words alone; what Postgres makes of them is tested on Postgres."""
        wanted = set(words.lower().split())
        found = {
            tool.name: len(wanted & set(tool.version.description.lower().rstrip(".").split()))
            for tool in await self._world.load_callables()
        }
        return sorted((name for name in found if found[name]), key=lambda name: -found[name])

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

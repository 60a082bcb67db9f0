"""In-memory twin of the use case about external sources, as the others have theirs."""

from collections.abc import Sequence
from uuid import uuid4

from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.errors import Conflict, NotFound
from mcpbox.domain.external_sources import (
    CapabilitySnapshot,
    ExternalSource,
    ImportedOffer,
    SourceDetail,
    SourceState,
)
from mcpbox.domain.ids import Digest, RequestId, SnapshotId, SourceId, ToolId
from mcpbox.domain.people import Principal
from mcpbox.domain.servers import ServerKind
from mcpbox.domain.upstreams import Endpoint
from mcpbox.policies.external_sources import may_keep_sources
from mcpbox.usecases.external_sources import Sources
from mcpbox.usecases.offers import offers
from tests.service.gateway.catalog_twins import InMemoryServers
from tests.service.gateway.pages import page_of
from tests.service.gateway.world import World


class InMemorySources(Sources):
    """A source may be reached once a test empties its ``blocked``; then it offers what it is told.

    A tool that is imported becomes no tool of ours: what that means is tested on Postgres.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    async def list(self, page: PageRequest) -> Page[ExternalSource]:
        return page_of(sorted(self._world.sources.values(), key=lambda s: s.server_name), page)

    async def get(self, source_id: SourceId) -> SourceDetail:
        if source_id not in self._world.sources:
            raise NotFound("external source", source_id)
        return self._world.sources[source_id]

    async def add(
        self, by: Principal, *, name: str, description: str, endpoint: Endpoint
    ) -> SourceDetail:
        may_keep_sources(by).require()
        servers = InMemoryServers(self._world)
        server = await servers.create(by, name=name, description=description)
        self._world.servers[server.id] = server.model_copy(update={"kind": ServerKind.EXTERNAL})
        source = SourceDetail(
            id=SourceId(uuid4()),
            server_id=server.id,
            server_name=name,
            endpoint=endpoint,
            blocked="Its host is not granted to the server.",
            created_by=by.label,
            created_at=utc_now(),
        )
        self._world.sources[source.id] = source
        return source

    async def check(self, source_id: SourceId) -> SourceDetail:
        source = await self.get(source_id)
        if source.blocked:
            changes = {"state": SourceState.BLOCKED, "problem": source.blocked}
        else:
            changes = {
                "state": SourceState.HEALTHY,
                "snapshot": CapabilitySnapshot(
                    id=SnapshotId(uuid4()),
                    source_id=source.id,
                    digest=Digest("sha256:" + "0" * 64),
                    taken_at=utc_now(),
                    tools=self._world.offered,
                ),
                "tools": offers(source.endpoint, self._world.offered, ()),
            }
        self._world.sources[source_id] = source.model_copy(update=changes)
        return self._world.sources[source_id]

    async def import_tools(
        self, by: Principal, source_id: SourceId, names: Sequence[str], *, notes: str = ""
    ) -> tuple[ImportedOffer, ...]:
        may_keep_sources(by).require()
        source = await self.get(source_id)
        if source.snapshot is None:
            raise Conflict("Nobody knows yet what the source offers: look at it first.")
        known = {tool.name: tool for tool in source.tools}
        return tuple(
            ImportedOffer(
                name=name, tool_id=ToolId(uuid4()), request_id=RequestId(uuid4()), problem=""
            )
            if name in known and not known[name].problem
            else ImportedOffer(name=name, problem="The source offers no such tool.")
            for name in names
        )

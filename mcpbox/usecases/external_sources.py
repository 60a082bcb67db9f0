"""External sources: add, look at, import from. What they offer is asked for like tools of ours."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox import temporal
from mcpbox.domain.audit import Action
from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.errors import Conflict, Invalid, NameTaken, NotFound
from mcpbox.domain.external_sources import (
    ExternalSource,
    ImportedOffer,
    ListedTool,
    Offer,
    OfferedTool,
    SourceCheck,
    SourceChecked,
    SourceDetail,
    SourceState,
)
from mcpbox.domain.ids import ServerId, SourceId, ToolId
from mcpbox.domain.people import Principal
from mcpbox.domain.servers import ServerKind
from mcpbox.domain.upstreams import Endpoint
from mcpbox.policies.external_sources import may_allow_private, may_keep_sources
from mcpbox.store import external_sources, servers, tools
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.external_sources import SourceRow
from mcpbox.temporal import TemporalGate
from mcpbox.usecases.names import checked_description, checked_name
from mcpbox.usecases.offers import content_of, offers
from mcpbox.usecases.reaching import reach_of
from mcpbox.usecases.requests import Requests

IMPORTED_MAX = 100
"""Tools that are asked for at once."""
_PATIENCE = timedelta(seconds=45)


class Sources:
    def __init__(self, sessions: Sessions, gate: TemporalGate, requests: Requests) -> None:
        self._sessions = sessions
        self._gate = gate
        self._requests = requests

    async def list(self, page: PageRequest) -> Page[ExternalSource]:
        """By name."""
        async with reading(self._sessions) as session:
            return await external_sources.sources(session, page)

    async def get(self, source_id: SourceId) -> SourceDetail:
        """As it was when last looked at. Raises: NotFound."""
        async with reading(self._sessions) as session:
            source = await external_sources.get_source(session, source_id)
            return await _detail(session, source)

    async def find_of(self, server_id: ServerId) -> SourceDetail:
        """Of a server of kind external. Raises: NotFound."""
        async with reading(self._sessions) as session:
            source = await external_sources.find_source_of(session, server_id)
            if source is None:
                raise NotFound("external source of the server", server_id)
            return await _detail(session, source)

    async def add(
        self, by: Principal, *, name: str, description: str, endpoint: Endpoint
    ) -> SourceDetail:
        """With a server of its own, which its tools are called by; nothing is reached yet.

        Raises: Refused; Invalid; NameTaken.
        """
        may_keep_sources(by).require()
        checked_name("server", name)
        checked_description(description)
        try:
            async with transaction(self._sessions) as session:
                server = await servers.add_server(
                    session,
                    name=name,
                    description=description,
                    kind=ServerKind.EXTERNAL,
                    by=by.label,
                )
                row = SourceRow(
                    id=uuid4(),
                    server_id=server.id,
                    endpoint=endpoint.model_dump(mode="json"),
                    allow_private=False,
                    state=SourceState.UNCHECKED,
                    problem="",
                    failures=0,
                    created_by=by.label,
                    created_at=utc_now(),
                )
                session.add(row)
                await session.flush()
                add_event(
                    session,
                    actor=by.label,
                    action=Action.SOURCE_ADDED,
                    subject=f"server:{server.id}",
                    detail=f"{name}: {endpoint.label}",
                )
        except IntegrityError as error:
            raise NameTaken("server", name) from error
        return await self.get(SourceId(row.id))

    async def check(self, source_id: SourceId) -> SourceDetail:
        """Looks at what it offers now, and withdraws what is no longer what was approved.

        Raises: NotFound; Unavailable: Temporal or the worker is away.
        """
        source = await self.get(source_id)
        await self._gate.run(
            temporal.SOURCE_CHECK,
            SourceCheck(source_id=source_id),
            SourceChecked,
            workflow_id=temporal.source_check_id(source_id),
            summary=f"look at {source.server_name}",
            patience=_PATIENCE,
        )
        return await self.get(source_id)

    async def check_soon(self, source_id: SourceId) -> None:
        """As above, without waiting for it. Raises: Unavailable."""
        await self._gate.begin(
            temporal.SOURCE_CHECK,
            SourceCheck(source_id=source_id),
            workflow_id=temporal.source_check_id(source_id),
            summary="look at a source that said it changed",
        )

    async def import_tools(
        self, by: Principal, source_id: SourceId, names: Sequence[str], *, notes: str = ""
    ) -> tuple[ImportedOffer, ...]:
        """Asks that clients may call these tools of the source; a request for each.

        ``names``: as they are called here, or at the source. What cannot be asked for says why, and
        keeps none of the others.
        Raises: Refused; Invalid: none or too many names; NotFound; Conflict: nobody looked at it
        yet.
        """
        may_keep_sources(by).require()
        if not 0 < len(names) <= IMPORTED_MAX:
            raise Invalid(f"Name the tools to import, from 1 to {IMPORTED_MAX}.")
        source = await self.get(source_id)
        if source.snapshot is None:
            raise Conflict(
                "Nobody knows yet what the source offers: look at it first "
                "(mcpbox_discover_external_tools)."
            )
        listed = {tool.name: tool for tool in source.snapshot.tools}
        found = {tool.source_name: tool for tool in source.tools}
        found |= {one.name: one for one in source.tools if one.offer is not Offer.UNUSABLE}
        wanted = {found[name].source_name if name in found else name: name for name in names}
        results = [
            await self._import(by, source, found.get(name), listed, name, notes)
            for name in wanted.values()
        ]
        return tuple(results)

    async def allow_private(
        self, by: Principal, source_id: SourceId, *, allowed: bool, reason: str = ""
    ) -> SourceDetail:
        """Whether its address may be private, and without TLS. Raises: NotFound; Refused."""
        may_allow_private(by).require()
        async with transaction(self._sessions) as session:
            row = await external_sources.get_source_row(session, source_id)
            if row.allow_private != allowed:
                row.allow_private = allowed
                announce(session, Topic.CATALOG, row.server_id)
                consent = "may be private" if allowed else "has to be public"
                add_event(
                    session,
                    actor=by.label,
                    action=Action.SOURCE_PRIVATE_CHANGED,
                    subject=f"server:{row.server_id}",
                    detail=": ".join(filter(None, (f"its address {consent}", reason))),
                )
        return await self.get(source_id)

    async def _import(
        self,
        by: Principal,
        source: SourceDetail,
        offered: OfferedTool | None,
        listed: dict[str, ListedTool],
        name: str,
        notes: str,
    ) -> ImportedOffer:
        if offered is None:
            return ImportedOffer(name=name, problem="The source offers no such tool.")
        if problem := _why_not(offered):
            return ImportedOffer(name=offered.name, tool_id=offered.tool_id, problem=problem)
        try:
            tool_id = await self._keep(by, source, offered, listed[offered.source_name])
            request = await self._requests.request_publish(by, tool_id, notes=notes)
        except (Conflict, Invalid) as error:
            return ImportedOffer(name=offered.name, tool_id=offered.tool_id, problem=str(error))
        return ImportedOffer(name=offered.name, tool_id=tool_id, request_id=request.id)

    async def _keep(
        self, by: Principal, source: ExternalSource, offered: OfferedTool, listed: ListedTool
    ) -> ToolId:
        """The tool, with what is offered now as its newest version. Raises: NameTaken."""
        content = content_of(source.endpoint, listed)
        try:
            async with transaction(self._sessions) as session:
                if offered.tool_id is not None:
                    await tools.get_tool_row(session, offered.tool_id)
                    await tools.ensure_version(session, offered.tool_id, content, by.label)
                    return offered.tool_id
                row = await tools.add_tool(session, source.server_id, content, by.label)
                add_event(
                    session,
                    actor=by.label,
                    action=Action.TOOL_CREATED,
                    subject=f"tool:{row.id}",
                    detail=f"{content.name}, imported from {source.server_name}",
                )
                return ToolId(row.id)
        except IntegrityError as error:
            raise NameTaken("tool", content.name) from error


def _why_not(offered: OfferedTool) -> str:
    match offered.offer:
        case Offer.UNUSABLE:
            return offered.problem
        case Offer.RELEASED:
            return "It is released as the source offers it now."
        case Offer.GONE:
            return "The source does not offer it any more."
        case _:
            return ""


async def _detail(session: AsyncSession, source: ExternalSource) -> SourceDetail:
    snapshot = await external_sources.find_snapshot(session, source.id)
    ours = await external_sources.imported(session, source.server_id)
    ruling = await reach_of(session, source, utc_now())
    return SourceDetail(
        **source.model_dump(),
        blocked=ruling.reason,
        snapshot=snapshot,
        tools=() if snapshot is None else offers(source.endpoint, snapshot.tools, ours),
    )

"""Every released tool with the facts that decide whether it may be called."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.calls import CallableTool, ReleaseOrigin
from mcpbox.domain.ids import Digest, ReleaseId, RequestId, ServerId
from mcpbox.domain.servers import DesiredState, IsolationMode
from mcpbox.store.external_sources import access_by_server
from mcpbox.store.grants import granted_from, live_by_server
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.requests import RequestRow
from mcpbox.store.tables.servers import ServerRow
from mcpbox.store.tables.tools import ToolRow, VersionRow
from mcpbox.store.tools import version_of

_RELEASED = (
    select(ReleaseRow, VersionRow, ToolRow, ServerRow, RequestRow.workflow_id)
    .join(VersionRow, VersionRow.id == ReleaseRow.version_id)
    .join(ToolRow, ToolRow.id == ReleaseRow.tool_id)
    .join(ServerRow, ServerRow.id == ToolRow.server_id)
    .join(RequestRow, RequestRow.id == ReleaseRow.request_id)
    .where(ReleaseRow.active_to.is_(None), ToolRow.deleted_at.is_(None))
)


async def load_callables(
    session: AsyncSession, server_id: UUID | None = None
) -> list[CallableTool]:
    """Active releases of living tools, of one server or all, whether or not they may be called now.

    ``version.digest`` is the stored one: who runs the version computes it from what would run.
    """
    wanted = _RELEASED if server_id is None else _RELEASED.where(ServerRow.id == server_id)
    rows = (await session.execute(wanted)).all()
    server_ids = {server.id for _, _, _, server, _ in rows}
    live = await live_by_server(session, server_ids)
    sources = await access_by_server(session, server_ids)
    return [
        CallableTool(
            server_id=ServerId(server.id),
            server_name=server.name,
            server_state=DesiredState(server.desired_state),
            server_quarantined=server.quarantined_at is not None,
            enabled=tool.enabled,
            quarantined=tool.quarantined_at is not None,
            version=version_of(version),
            approved_digest=Digest(release.digest),
            origin=ReleaseOrigin(
                release_id=ReleaseId(release.id),
                request_id=RequestId(release.request_id),
                workflow_id=workflow_id,
            ),
            receipt=release.receipt,
            isolation=IsolationMode(server.isolation),
            granted=granted_from(server.module_set, live[server.id]),
            source=sources.get(server.id),
        )
        for release, version, tool, server, workflow_id in rows
    ]

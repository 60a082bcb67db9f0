"""Whether a source may be reached now, from all that is known of its server."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.external_sources import ExternalSource
from mcpbox.domain.hosts import covers
from mcpbox.policies.external_sources import may_reach
from mcpbox.policies.ruling import Ruling
from mcpbox.store.grants import granted
from mcpbox.store.tables.secrets import SecretRow
from mcpbox.store.tables.servers import ServerRow


async def reach_of(session: AsyncSession, source: ExternalSource, now: datetime) -> Ruling:
    server = await session.get_one(ServerRow, source.server_id)
    return may_reach(
        source.endpoint,
        await granted(session, source.server_id),
        await _held_secrets(session, source),
        now,
        allow_private=source.allow_private,
        quarantined=server.quarantined_at is not None,
    )


async def _held_secrets(session: AsyncSession, source: ExternalSource) -> list[str]:
    """Those with a value that may be sent to the host of the source."""
    hosts = source.endpoint.manifest.hosts
    rows = await session.scalars(
        select(SecretRow).where(
            SecretRow.server_id == source.server_id, SecretRow.sealed.is_not(None)
        )
    )
    return [
        row.name
        for row in rows
        if any(covers(bound_to, host) for bound_to in row.hosts for host in hosts)
    ]

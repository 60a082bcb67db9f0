"""Queries on secrets of servers; values are sealed in here, and opened elsewhere."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from uuid import UUID

from sqlalchemy import Exists, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.errors import NotFound
from mcpbox.domain.ids import ServerId
from mcpbox.domain.secrets import Secret
from mcpbox.store.grants import SECRET, granted, is_live
from mcpbox.store.tables.grants import GrantRow
from mcpbox.store.tables.secrets import SecretRow


async def secrets_of(session: AsyncSession, server_id: UUID) -> list[Secret]:
    """By name."""
    rows = await session.execute(
        select(SecretRow, _is_granted())
        .where(SecretRow.server_id == server_id)
        .order_by(SecretRow.name)
    )
    return [_secret(row, is_granted=is_granted) for row, is_granted in rows]


async def get_secret_row(session: AsyncSession, server_id: UUID, name: str) -> SecretRow:
    """Locked for update. Raises: NotFound."""
    row = await session.scalar(
        select(SecretRow)
        .where(SecretRow.server_id == server_id, SecretRow.name == name)
        .with_for_update()
    )
    if row is None:
        raise NotFound("secret", name[:80])
    return row


async def get_secret(session: AsyncSession, server_id: UUID, name: str) -> Secret:
    """Raises: NotFound."""
    row = await get_secret_row(session, server_id, name)
    is_granted = await session.scalar(select(_is_granted()).where(SecretRow.id == row.id))
    return _secret(row, is_granted=bool(is_granted))


async def delete_all(session: AsyncSession, server_id: UUID) -> None:
    """Values and placeholders."""
    await session.execute(delete(SecretRow).where(SecretRow.server_id == server_id))


async def askable(session: AsyncSession, server_id: UUID, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names that the server has a placeholder for and may not use yet; sorted."""
    held = (await granted(session, server_id)).secrets
    found = await session.scalars(
        select(SecretRow.name).where(SecretRow.server_id == server_id).order_by(SecretRow.name)
    )
    wanted = set(names) - held
    return tuple(name for name in found if name in wanted)


async def set_by_server(
    session: AsyncSession, server_ids: Collection[UUID]
) -> dict[UUID, list[SecretRow]]:
    """Those with a value."""
    found: dict[UUID, list[SecretRow]] = defaultdict(list)
    if server_ids:
        wanted = select(SecretRow).where(
            SecretRow.server_id.in_(server_ids), SecretRow.sealed.is_not(None)
        )
        for row in await session.scalars(wanted):
            found[row.server_id].append(row)
    return found


def _is_granted() -> Exists:
    return exists().where(
        GrantRow.server_id == SecretRow.server_id,
        GrantRow.kind == SECRET,
        GrantRow.value == SecretRow.name,
        is_live(),
    )


def _secret(row: SecretRow, *, is_granted: bool) -> Secret:
    return Secret(
        server_id=ServerId(row.server_id),
        name=row.name,
        hosts=tuple(row.hosts),
        is_set=row.sealed is not None,
        is_granted=is_granted,
        created_by=row.created_by,
        created_at=row.created_at,
        set_by=row.set_by,
        set_at=row.set_at,
    )

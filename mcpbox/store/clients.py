"""Queries on MCP clients and their tokens."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import ARRAY, Text, any_, bindparam, distinct, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.ids import ClientId
from mcpbox.domain.people import Client, Scope
from mcpbox.store.tables.clients import ClientRow
from mcpbox.store.tables.people import UserRow

_BY_NAME = select(ClientRow).where(ClientRow.name == bindparam("name"))
OWNERS = func.array(
    select(distinct(ClientRow.owner))
    .where(ClientRow.name == any_(bindparam("client_names", type_=ARRAY(Text))))
    .order_by(ClientRow.owner)
    .scalar_subquery(),
    type_=ARRAY(Text),
)
"""Column: user names, sorted, of those who own any of the clients named ``client_names``."""


async def find_client(
    session: AsyncSession, name: str, *, for_update: bool = False
) -> ClientRow | None:
    found = _BY_NAME.with_for_update() if for_update else _BY_NAME
    return await session.scalar(found, {"name": name})


async def find_client_by_token(session: AsyncSession, token_hash: str) -> Client | None:
    """Neither revoked ones nor those whose owner is inactive are found; expired ones are.

    Found by the token that it had before, it expires when that one does.
    """
    row = await session.scalar(
        select(ClientRow)
        .join(UserRow, UserRow.username == ClientRow.owner)
        .where(
            or_(ClientRow.token_hash == token_hash, ClientRow.old_token_hash == token_hash),
            ClientRow.revoked_at.is_(None),
            UserRow.active,
        )
    )
    if row is None:
        return None
    client = client_of(row)
    if row.token_hash == token_hash:
        return client
    ends = [at for at in (row.old_token_until, row.expires_at) if at is not None]
    return client.model_copy(update={"expires_at": min(ends)})


async def clients(session: AsyncSession) -> list[Client]:
    """By name, revoked ones too."""
    rows = await session.scalars(select(ClientRow).order_by(ClientRow.name))
    return [client_of(row) for row in rows]


async def owners_of(session: AsyncSession, names: Sequence[str]) -> list[str]:
    """User names, sorted, of those who own any of these clients."""
    return list(await session.scalar(select(OWNERS), {"client_names": names}) or ())


async def mark_seen(session: AsyncSession, client_ids: Iterable[ClientId], at: datetime) -> None:
    await session.execute(
        update(ClientRow).where(ClientRow.id.in_(list(client_ids))).values(last_seen_at=at)
    )


def client_of(row: ClientRow) -> Client:
    return Client(
        id=ClientId(row.id),
        name=row.name,
        owner=row.owner,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        servers=frozenset(row.servers),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_seen_at=row.last_seen_at,
        revoked_at=row.revoked_at,
    )

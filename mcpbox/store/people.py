"""Queries on users and their sessions."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, any_, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.errors import NotFound
from mcpbox.domain.ids import DelegationId, UserId
from mcpbox.domain.people import Delegation, Delegator, Principal, PrincipalKind, Role, User
from mcpbox.store.tables.people import DelegationRow, SessionRow, UserRow


def _is_running() -> ColumnElement[bool]:
    return and_(DelegationRow.ended_at.is_(None), DelegationRow.until > func.now())


_DELEGATORS = select(DelegationRow.delegator).where(
    DelegationRow.deputy == bindparam("username"), _is_running()
)
_REVIEWER = (
    select(UserRow.username, UserRow.roles)
    .where(
        UserRow.active,
        or_(UserRow.username == bindparam("username"), UserRow.username.in_(_DELEGATORS)),
    )
    .order_by(UserRow.username)
)
"""And whose deputy they are."""


async def find_user(session: AsyncSession, username: str) -> UserRow | None:
    return await session.scalar(select(UserRow).where(UserRow.username == username))


async def get_user_row(session: AsyncSession, username: str) -> UserRow:
    """Locked, so that who may do what changes one step after the other. Raises: NotFound."""
    row = await session.scalar(
        select(UserRow).where(UserRow.username == username).with_for_update()
    )
    if row is None:
        raise NotFound("user", username)
    return row


async def users(session: AsyncSession) -> list[User]:
    """By name, inactive ones too."""
    rows = await session.scalars(select(UserRow).order_by(UserRow.username))
    return [user_of(row) for row in rows]


async def active_admins(session: AsyncSession) -> frozenset[str]:
    """Their user names; locked, so that two of them cannot put each other out at once."""
    rows = await session.scalars(
        select(UserRow)
        .where(UserRow.active, any_(UserRow.roles) == Role.ADMIN)
        .order_by(UserRow.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return frozenset(row.username for row in rows)


async def users_by_state(session: AsyncSession) -> dict[str, int]:
    rows = await session.execute(select(UserRow.active, func.count()).group_by(UserRow.active))
    counts = dict(row.tuple() for row in rows)
    return {"active": counts.get(True, 0), "inactive": counts.get(False, 0)}


async def any_user(session: AsyncSession) -> bool:
    return bool(await session.scalar(select(func.count()).select_from(UserRow)))


async def find_reviewer(session: AsyncSession, username: str) -> Principal | None:
    """The principal of an active user, with the roles it has now, and whose deputy it is now.

    A deputy's deputy is nobody's.
    """
    rows = await session.execute(_REVIEWER, {"username": username})
    found = {name: _roles_of(roles) for name, roles in rows}
    roles = found.pop(username, None)
    if roles is None:
        return None
    return Principal(
        kind=PrincipalKind.PERSON,
        name=username,
        roles=roles,
        stands_in_for=tuple(Delegator(name=name, roles=theirs) for name, theirs in found.items()),
    )


async def delegations(session: AsyncSession, username: str) -> list[Delegation]:
    """Running ones, of this person and to this person; oldest first."""
    rows = await session.scalars(
        select(DelegationRow)
        .where(
            or_(DelegationRow.delegator == username, DelegationRow.deputy == username),
            _is_running(),
        )
        .order_by(DelegationRow.created_at)
    )
    return [delegation_of(row) for row in rows]


async def end_delegations(session: AsyncSession, delegator: str, now: datetime) -> list[Delegation]:
    """All that are running; which ones those were."""
    rows = await session.scalars(
        update(DelegationRow)
        .where(DelegationRow.delegator == delegator, _is_running())
        .values(ended_at=now)
        .returning(DelegationRow)
    )
    return [delegation_of(row) for row in rows]


async def count_with_any_role(session: AsyncSession, roles: Iterable[Role]) -> int:
    """Active people only."""
    has_one = or_(*(any_(UserRow.roles) == role for role in roles))
    counted = select(func.count()).where(UserRow.active, has_one)
    return await session.scalar(counted.select_from(UserRow)) or 0


async def find_session(
    session: AsyncSession, access_hash: str, now: datetime
) -> tuple[SessionRow, UserRow] | None:
    """The session that this access token opens now, with its active user."""
    found = await session.execute(
        select(SessionRow, UserRow)
        .join(UserRow, UserRow.id == SessionRow.user_id)
        .where(
            SessionRow.access_hash == access_hash,
            SessionRow.access_expires_at > now,
            SessionRow.ended_at.is_(None),
            UserRow.active,
        )
    )
    row = found.one_or_none()
    return None if row is None else (row[0], row[1])


async def find_refreshable(
    session: AsyncSession, refresh_hash: str, now: datetime
) -> SessionRow | None:
    """Locked, so that one refresh token is used once."""
    return await session.scalar(
        select(SessionRow)
        .join(UserRow, UserRow.id == SessionRow.user_id)
        .where(
            SessionRow.refresh_hash == refresh_hash,
            SessionRow.refresh_expires_at > now,
            SessionRow.ended_at.is_(None),
            UserRow.active,
        )
        .with_for_update(of=SessionRow)
    )


async def end_sessions(session: AsyncSession, user_id: UUID, now: datetime) -> None:
    """All of a person's, whatever they sign in with."""
    await session.execute(
        update(SessionRow)
        .where(SessionRow.user_id == user_id, SessionRow.ended_at.is_(None))
        .values(ended_at=now)
    )


async def end_session(session: AsyncSession, session_id: UUID, now: datetime) -> None:
    await session.execute(
        update(SessionRow)
        .where(SessionRow.id == session_id, SessionRow.ended_at.is_(None))
        .values(ended_at=now)
    )


def user_of(row: UserRow) -> User:
    return User(
        id=UserId(row.id),
        username=row.username,
        roles=_roles_of(row.roles),
        active=row.active,
        created_at=row.created_at,
    )


def delegation_of(row: DelegationRow) -> Delegation:
    return Delegation(
        id=DelegationId(row.id),
        delegator=row.delegator,
        deputy=row.deputy,
        until=row.until,
        created_at=row.created_at,
    )


def _roles_of(stored: Iterable[str]) -> frozenset[Role]:
    return frozenset(Role(role) for role in stored)

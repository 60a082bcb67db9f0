"""Queries on servers."""

from collections.abc import Collection
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, ScalarSelect, Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.errors import NotFound
from mcpbox.domain.ids import ServerId
from mcpbox.domain.narrowing import Standing
from mcpbox.domain.requests import TERMINAL
from mcpbox.domain.servers import DesiredState, IsolationMode, ServerKind, ServerSummary
from mcpbox.store.changes import Topic, announce
from mcpbox.store.grants import HOST, MODULE, is_live
from mcpbox.store.narrowings import narrowing
from mcpbox.store.tables.grants import GrantRow
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.requests import RequestRow
from mcpbox.store.tables.servers import ServerRow
from mcpbox.store.tables.tools import ToolRow

_ONE = select(ServerRow).where(ServerRow.id == bindparam("server_id"))
_LOCK = (
    select(ServerRow.id)
    .where(ServerRow.id == bindparam("server_id"), ServerRow.deleted_at.is_(None))
    .with_for_update()
)
_LOCKED = _ONE.with_for_update().execution_options(populate_existing=True)


async def known_names(session: AsyncSession, names: Collection[str]) -> set[str]:
    """Those of them that a server has."""
    found = select(ServerRow.name).where(ServerRow.name.in_(names), _is_living())
    return set(await session.scalars(found))


async def servers(session: AsyncSession, page: PageRequest) -> Page[ServerSummary]:
    """By name; deleted ones are left out."""
    total = await session.scalar(select(func.count()).select_from(ServerRow).where(_is_living()))
    rows = await session.execute(
        _summaries().order_by(ServerRow.name).offset(page.offset).limit(page.page_size)
    )
    return Page[ServerSummary](
        items=[_summary(*row) for row in rows],
        total=total or 0,
        page=page.page,
        page_size=page.page_size,
    )


async def get_server(session: AsyncSession, server_id: UUID) -> ServerSummary:
    """Raises: NotFound: also for a deleted one."""
    rows = await session.execute(_summaries().where(ServerRow.id == server_id))
    row = rows.one_or_none()
    if row is None:
        raise NotFound("server", server_id)
    return _summary(*row)


async def require_server(session: AsyncSession, server_id: UUID) -> ServerRow:
    """It alone, without what is counted for people. Raises: NotFound: also for a deleted one."""
    return _living(await session.scalar(_ONE, {"server_id": server_id}), server_id)


async def get_server_row(session: AsyncSession, server_id: UUID) -> ServerRow:
    """Locked for update. Raises: NotFound: also for a deleted one."""
    return _living(await session.scalar(_LOCKED, {"server_id": server_id}), server_id)


async def lock_server(session: AsyncSession, server_id: UUID) -> None:
    """Whoever changes what it may do waits for this transaction. Raises: NotFound: as above."""
    if await session.scalar(_LOCK, {"server_id": server_id}) is None:
        raise NotFound("server", server_id)


async def add_server(
    session: AsyncSession, *, name: str, description: str, kind: ServerKind, by: str
) -> ServerRow:
    """It runs from the beginning. ``by``: label. Raises: IntegrityError: the name is taken."""
    now = utc_now()
    row = ServerRow(
        id=uuid4(),
        name=name,
        description=description,
        kind=kind,
        desired_state=DesiredState.RUNNING,
        created_by=by,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    await session.flush()
    announce(session, Topic.CATALOG, row.id)
    return row


def standing_of(row: ServerRow) -> Standing:
    return Standing(
        noun=f"server {row.name!r}",
        off=narrowing(row.stopped_by, row.stopped_at, row.stop_reason),
        quarantine=narrowing(row.quarantined_by, row.quarantined_at, row.quarantine_reason),
    )


def _living(row: ServerRow | None, server_id: UUID) -> ServerRow:
    if row is None or row.deleted_at is not None:
        raise NotFound("server", server_id)
    return row


def _is_living() -> ColumnElement[bool]:
    return ServerRow.deleted_at.is_(None)


def _summaries() -> Select[ServerRow, int, int, int, list[str], list[str]]:
    living = (ToolRow.server_id == ServerRow.id) & ToolRow.deleted_at.is_(None)
    tools = select(func.count()).select_from(ToolRow).where(living)
    released = (
        select(func.count())
        .select_from(ReleaseRow)
        .join(ToolRow, ToolRow.id == ReleaseRow.tool_id)
        .where(living, ReleaseRow.active_to.is_(None))
    )
    open_requests = (
        select(func.count())
        .select_from(RequestRow)
        .where(RequestRow.server_id == ServerRow.id, RequestRow.state.not_in(TERMINAL))
    )
    return select(
        ServerRow,
        tools.scalar_subquery(),
        released.scalar_subquery(),
        open_requests.scalar_subquery(),
        _granted(HOST),
        _granted(MODULE),
    ).where(_is_living())


def _granted(kind: str) -> ScalarSelect[list[str]]:
    values = select(func.array_agg(GrantRow.value)).where(
        GrantRow.server_id == ServerRow.id, GrantRow.kind == kind, is_live()
    )
    return values.scalar_subquery()


def _summary(
    row: ServerRow,
    tools: int,
    released: int,
    open_requests: int,
    hosts: list[str] | None,
    modules: list[str] | None,
) -> ServerSummary:
    standing = standing_of(row)
    return ServerSummary(
        id=ServerId(row.id),
        name=row.name,
        description=row.description,
        kind=ServerKind(row.kind),
        desired_state=DesiredState(row.desired_state),
        isolation=IsolationMode(row.isolation),
        stopped=standing.off,
        quarantine=standing.quarantine,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        tool_count=tools,
        released_count=released,
        open_request_count=open_requests,
        hosts=tuple(sorted(hosts or ())),
        modules=tuple(sorted(modules or ())),
    )

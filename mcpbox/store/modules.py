"""Queries on module sets: what is pinned, the wheels themselves, which server has which."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import NotFound
from mcpbox.domain.ids import Digest, RequestId
from mcpbox.domain.modules import GrantedModule, PinnedWheel, Requirement, WheelLock
from mcpbox.store.grants import MODULE, granted, is_live
from mcpbox.store.session import Sessions, reading
from mcpbox.store.tables.grants import GrantRow
from mcpbox.store.tables.modules import ModuleSetRow, WheelRow
from mcpbox.store.tables.requests import RequestRow
from mcpbox.store.tables.servers import ServerRow
from sandbox.contract import ModuleSet, Wheel


async def find_lock(session: AsyncSession, digest: Digest) -> WheelLock | None:
    row = await session.get(ModuleSetRow, digest)
    return None if row is None else WheelLock.model_validate(row.lock)


async def lock_of(session: AsyncSession, server_id: UUID) -> WheelLock | None:
    """What the server's tools have now."""
    digest = (await session.get_one(ServerRow, server_id)).module_set
    return None if digest is None else await find_lock(session, Digest(digest))


async def keep_lock(session: AsyncSession, lock: WheelLock) -> None:
    await session.execute(
        insert(ModuleSetRow)
        .values(digest=lock.digest, lock=lock.model_dump(mode="json"), created_at=utc_now())
        .on_conflict_do_nothing()
    )


async def requirements_of(session: AsyncSession, server_id: UUID) -> tuple[Requirement, ...]:
    """What the server's live module grants ask for, sorted by module."""
    lock = await lock_of(session, server_id)
    if lock is None:
        return ()
    live = await granted(session, server_id)
    wanted = [one for one in lock.requirements if one.module in live.modules]
    return tuple(sorted(wanted, key=lambda one: one.module))


async def granted_modules(session: AsyncSession, server_id: UUID) -> tuple[GrantedModule, ...]:
    """The same with their history, sorted by module."""
    lock = await lock_of(session, server_id)
    if lock is None:
        return ()
    rows = await session.execute(
        select(GrantRow, RequestRow.requester)
        .join(RequestRow, RequestRow.id == GrantRow.request_id)
        .where(GrantRow.server_id == server_id, GrantRow.kind == MODULE, is_live())
        .order_by(GrantRow.value)
    )
    wanted = {one.module: one for one in lock.requirements}
    versions = {wheel.package: wheel.version for wheel in lock.wheels}
    return tuple(
        GrantedModule(
            **wanted[grant.value].model_dump(),
            version=versions[wanted[grant.value].package],
            request_id=RequestId(grant.request_id),
            requester=requester,
            granted_by=grant.granted_by,
            granted_at=grant.created_at,
        )
        for grant, requester in rows
        if grant.value in wanted
    )


async def find_wheel(session: AsyncSession, sha256: str) -> bytes | None:
    return await session.scalar(select(WheelRow.content).where(WheelRow.sha256 == sha256))


async def keep_wheel(session: AsyncSession, wheel: PinnedWheel, content: bytes) -> None:
    await session.execute(
        insert(WheelRow)
        .values(sha256=wheel.sha256, filename=wheel.filename, content=content, created_at=utc_now())
        .on_conflict_do_nothing()
    )


class StoredModuleSets:
    """Whence a sandbox is given a module set that it does not have."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def module_set(self, key: str) -> ModuleSet:
        """Raises: NotFound."""
        async with reading(self._sessions) as session:
            lock = await find_lock(session, Digest(key))
        if lock is None:
            raise NotFound("module set", key)
        return ModuleSet(
            wheels=tuple(
                Wheel(filename=one.filename, sha256=one.sha256, size=one.size)
                for one in lock.wheels
            )
        )

    async def wheel(self, sha256: str) -> bytes:
        """Raises: NotFound."""
        async with reading(self._sessions) as session:
            content = await find_wheel(session, sha256)
        if content is None:
            raise NotFound("wheel", sha256)
        return content

"""The packages that a request brings: what was resolved and shown, and whether that still holds."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.errors import Conflict
from mcpbox.domain.evidence import Check
from mcpbox.domain.ids import Digest
from mcpbox.domain.modules import Requirement, WheelLock
from mcpbox.store import modules, requests


async def wanted_modules(
    session: AsyncSession, server_id: UUID, new: tuple[Requirement, ...]
) -> tuple[Requirement, ...]:
    """All that the server would then hold; a new one takes the place of an older one."""
    names = {one.module for one in new}
    granted = await modules.requirements_of(session, server_id)
    others = (one for one in granted if one.module not in names)
    return tuple(sorted([*others, *new], key=lambda one: one.module))


async def require_lock(
    session: AsyncSession, server_id: UUID, new: tuple[Requirement, ...], digest: Digest
) -> WheelLock:
    """Raises: Conflict: approved once, but no longer what people saw."""
    lock = await modules.find_lock(session, digest)
    if lock is None or lock.digest != digest:
        raise Conflict("The packages are not those that were approved; nothing was granted.")
    if await wanted_modules(session, server_id, new) != lock.requirements:
        raise Conflict(
            "The server's other modules changed meanwhile, so these packages are not what people "
            "saw together with them; ask again. Nothing was granted."
        )
    return lock


async def shown_lock(session: AsyncSession, request_id: UUID) -> Digest:
    """Of the packages that people saw beside a version. Raises: Conflict: they saw none."""
    found = await requests.evidence_of(session, request_id)
    piece = next((piece for piece in found if piece.check is Check.PACKAGES), None)
    if piece is None:
        raise Conflict("Nobody saw the packages of its modules; nothing was granted.")
    return piece.digest

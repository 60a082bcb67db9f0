"""Queries on the anchors of the audit log."""

from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.anchors import Anchor
from mcpbox.store.tables.audit import AnchorRow


async def keep_anchor(session: AsyncSession, anchor: Anchor, envelope: str) -> None:
    session.add(
        AnchorRow(
            id=uuid4(),
            sequence=anchor.sequence,
            hash=anchor.hash,
            at=anchor.at,
            envelope=envelope,
        )
    )
    await session.flush()


async def envelopes(session: AsyncSession) -> list[str]:
    """Oldest first; what they say counts once their signature does."""
    rows = await session.scalars(select(AnchorRow.envelope).order_by(AnchorRow.at))
    return list(rows)


async def newest_envelope(session: AsyncSession) -> str | None:
    return await session.scalar(select(AnchorRow.envelope).order_by(AnchorRow.at.desc()).limit(1))

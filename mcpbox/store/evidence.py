"""Writing evidence."""

from typing import cast

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.evidence import Evidence
from mcpbox.domain.ids import RequestId
from mcpbox.store.tables.evidence import EvidenceRow


async def keep(session: AsyncSession, request_id: RequestId, evidence: Evidence) -> None:
    """A check that is run again replaces what it found before."""
    values = evidence.model_dump(mode="json", exclude={"checked_at"})
    await session.execute(
        _KEEP, {**values, "request_id": request_id, "checked_at": evidence.checked_at}
    )


def _keep() -> Insert:
    table, key = cast("Table", EvidenceRow.__table__), ("request_id", "check")
    kept = insert(table)
    found = {column.name: column for column in kept.excluded if column.name not in key}
    return kept.on_conflict_do_update(index_elements=key, set_=found)


_KEEP = _keep()

"""Writing evidence."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.evidence import Evidence
from mcpbox.domain.ids import RequestId
from mcpbox.store.tables.evidence import EvidenceRow


async def keep(session: AsyncSession, request_id: RequestId, evidence: Evidence) -> None:
    """A check that is run again replaces what it found before."""
    values = evidence.model_dump(mode="json", exclude={"check", "checked_at"})
    values["checked_at"] = evidence.checked_at
    await session.execute(
        insert(EvidenceRow)
        .values(request_id=request_id, check=evidence.check, **values)
        .on_conflict_do_update(index_elements=["request_id", "check"], set_=values)
    )

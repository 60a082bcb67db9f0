"""The audit log, read-only, and whether it is whole; for auditors and admins."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime

from api.deps import PageDep, PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.audit import AuditEvent, AuditFilter, AuditVerification
from mcpbox.domain.base import Page
from mcpbox.domain.errors import NotFound, Refused
from mcpbox.domain.texts import Text

router = APIRouter(prefix="/audit", tags=["audit"])

Word = Annotated[Text, Query(max_length=300)]


@router.get("", responses=problems(Refused))
async def list_events(
    person: PersonDep,
    parts: PartsDep,
    page: PageDep,
    actor: Word = "",
    action: Word = "",
    subject: Word = "",
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
) -> Page[AuditEvent]:
    """Newest first; words are matched whole, and ``until`` itself is left out."""
    wanted = AuditFilter(actor=actor, action=action, subject=subject, since=since, until=until)
    return await parts.audit.list(person, page, wanted)


@router.get("/verification", responses=problems(Refused))
async def verify(person: PersonDep, parts: PartsDep) -> AuditVerification:
    """Read the whole log and compare it with its chain and its signed anchors."""
    return await parts.audit.verification(person)


@router.get("/{sequence}", responses=problems(Refused, NotFound))
async def get_event(
    person: PersonDep, parts: PartsDep, sequence: Annotated[int, Path(ge=0, lt=2**63)]
) -> AuditEvent:
    return await parts.audit.get(person, sequence)

"""What the caller is told in the panel, and, for admins, where else it is told."""

from uuid import UUID

from fastapi import APIRouter

from api.deps import PageDep, PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.base import Page
from mcpbox.domain.errors import Conflict, Invalid, NotFound, Refused
from mcpbox.domain.notices import NewTarget, ReceivedNotice, Target, TargetDraft, Unread

router = APIRouter(tags=["notifications"])


@router.get("/notices", responses=problems())
async def list_notices(person: PersonDep, parts: PartsDep, page: PageDep) -> Page[ReceivedNotice]:
    """The caller's own, newest first."""
    return await parts.notices.mine(person, page)


@router.get("/notices/unread", responses=problems())
async def count_unread(person: PersonDep, parts: PartsDep) -> Unread:
    return await parts.notices.unread(person)


@router.post("/notices/read", status_code=204, responses=problems())
async def mark_read(person: PersonDep, parts: PartsDep) -> None:
    """All of the caller's own."""
    await parts.notices.mark_read(person)


@router.get("/notification-targets", responses=problems(Refused))
async def list_targets(person: PersonDep, parts: PartsDep) -> list[Target]:
    """By name, without what is secret of them; for admins."""
    return await parts.notices.targets(person)


@router.post(
    "/notification-targets", status_code=201, responses=problems(Refused, Invalid, Conflict)
)
async def add_target(person: PersonDep, parts: PartsDep, draft: TargetDraft) -> NewTarget:
    """For admins. The signing secret of a webhook is shown here only."""
    return await parts.notices.add_target(person, draft)


@router.delete(
    "/notification-targets/{target_id}", status_code=204, responses=problems(NotFound, Refused)
)
async def remove_target(person: PersonDep, parts: PartsDep, target_id: UUID) -> None:
    """For admins. What was not delivered to it yet is forgotten."""
    await parts.notices.remove_target(person, target_id)


@router.post(
    "/notification-targets/{target_id}/test",
    status_code=204,
    responses=problems(NotFound, Refused, Invalid),
)
async def test_target(person: PersonDep, parts: PartsDep, target_id: UUID) -> None:
    """Send a message that says it is a test, once; for admins."""
    await parts.notices.test_target(person, target_id)

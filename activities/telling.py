"""Tells people what became of a request, in the transaction that it became so in."""

from collections.abc import Collection

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.ids import ReleaseId
from mcpbox.domain.notices import Event, Notice
from mcpbox.domain.people import PrincipalKind, Role
from mcpbox.domain.review import ReviewTerms
from mcpbox.domain.subjects import Subject
from mcpbox.store import notices
from mcpbox.store.tables.requests import RequestRow

_SUBJECT: TypeAdapter[Subject] = TypeAdapter(Subject)
_FOR_DECIDERS = (Event.REQUEST_WAITING, Event.REQUEST_REMINDED)


async def tell_of_request(
    session: AsyncSession,
    row: RequestRow,
    event: Event,
    *,
    to: Collection[str] = (),
    number: int = 0,
) -> None:
    """Deciders of what waits for them; whoever asked, or owns the client that did, of the rest.

    An approval that was forced concerns those who may look at it afterwards.

    ``to``: user names of those whom it was escalated to.
    Once for each event, digest and ``number``, however often it is called.
    """
    people: Collection[str] = ()
    clients: Collection[str] = ()
    roles: Collection[Role] = ()
    if event in _FOR_DECIDERS:
        roles = ReviewTerms.model_validate(row.terms).roles
    elif event is Event.REQUEST_ESCALATED:
        people = to
    elif event is Event.BREAK_GLASS:
        roles = ReviewTerms.model_validate(row.terms).roles | {Role.ADMIN}
    else:
        people, clients = _asker(row.requester)
    key = f"request:{row.id}:{event}:{row.digest}"
    await notices.post(
        session,
        Notice(
            key=f"{key}:{number}" if number else key,
            event=event,
            about=_SUBJECT.validate_python(row.subject).label,
            path=f"/approvals?id={row.id}",
            people=tuple(people),
            clients=tuple(clients),
            roles=tuple(sorted(roles)),
        ),
    )


async def tell_of_probation(session: AsyncSession, row: RequestRow, release_id: ReleaseId) -> None:
    """It is over, and the tool withdrawn: reviewers are asked again, and its author knows why."""
    people, clients = _asker(row.requester)
    await notices.post(
        session,
        Notice(
            key=f"probation:{release_id}",
            event=Event.PROBATION_ENDED,
            about=_SUBJECT.validate_python(row.subject).label,
            path=f"/approvals?id={row.id}",
            people=people,
            clients=clients,
            roles=tuple(sorted(ReviewTerms.model_validate(row.terms).roles)),
        ),
    )


def _asker(requester: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The person, or the client whose owner is meant."""
    kind, _, name = requester.partition(":")
    return ((), (name,)) if kind == PrincipalKind.CLIENT else ((name,), ())

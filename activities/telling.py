"""Tells people what became of a request, in the transaction that it became so in."""

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.notices import Event, Notice
from mcpbox.domain.people import PrincipalKind, Role
from mcpbox.domain.subjects import Subject
from mcpbox.store import notices
from mcpbox.store.tables.clients import ClientRow
from mcpbox.store.tables.requests import RequestRow

_SUBJECT: TypeAdapter[Subject] = TypeAdapter(Subject)
_FOR_REVIEWERS = (Event.REQUEST_WAITING, Event.REQUEST_REMINDED, Event.REQUEST_ESCALATED)


async def tell_of_request(session: AsyncSession, row: RequestRow, event: Event) -> None:
    """Reviewers of what waits for them; whoever asked, or owns the client that did, of the rest.

    Once for each event and digest, however often it is called.
    """
    waits = event in _FOR_REVIEWERS
    await notices.post(
        session,
        Notice(
            key=f"request:{row.id}:{event}:{row.digest}",
            event=event,
            about=_SUBJECT.validate_python(row.subject).label,
            path=f"/approvals?id={row.id}",
            people=() if waits else await _asker(session, row.requester),
            roles=(Role.REVIEWER, Role.ADMIN) if waits else (),
        ),
    )


async def _asker(session: AsyncSession, requester: str) -> tuple[str, ...]:
    kind, _, name = requester.partition(":")
    if kind != PrincipalKind.CLIENT:
        return (name,)
    owner = await session.scalar(select(ClientRow.owner).where(ClientRow.name == name))
    return (owner,) if owner else ()

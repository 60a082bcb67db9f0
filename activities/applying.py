"""What was approved takes effect in one transaction: that of the decision, or one of its own."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.errors import final_domain_errors
from activities.grants import ending_of, start_timers
from activities.telling import tell_of_request
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.notices import Event
from mcpbox.domain.people import SYSTEM
from mcpbox.domain.requests import State
from mcpbox.domain.subjects import Kind
from mcpbox.store import requests
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables.requests import RequestRow
from workflows.contracts import ApplyRequest

Apply = Callable[[AsyncSession, RequestRow, ApplyRequest, str], Awaitable[None]]
"""Makes true what the row, which is locked, was approved for, and marks it as applied.

The last argument names the approvers. Raises: Conflict: it is no longer what was approved.
"""
Appliers = Mapping[Kind, Apply]
"""Of the kinds that need nothing but the database."""


async def apply_once(sessions: Sessions, given: ApplyRequest, apply: Apply) -> None:
    """However often it is tried. Raises: ApplicationError."""
    with final_domain_errors():
        async with transaction(sessions) as session:
            row = await requests.get_request_row(session, given.request_id)
            if row.state != State.APPLIED:
                approver = requests.approvers(row, await requests.decisions_of(session, row.id))
                await apply(session, row, given, approver)
            ending = await ending_of(session, row, given.subject)
        await start_timers(ending)


async def mark_applied(
    session: AsyncSession, row: RequestRow, given: ApplyRequest, facts: dict[str, Any]
) -> None:
    """What is released now is announced by it, what is granted by whoever grants it."""
    row.state = State.APPLIED
    row.updated_at = utc_now()
    if row.tool_id is not None:
        announce(session, Topic.CATALOG, row.tool_id)
    announce(session, Topic.REQUESTS, given.request_id)
    await tell_of_request(session, row, Event.REQUEST_APPLIED)
    add_event(
        session,
        actor=SYSTEM.label,
        action=Action.REQUEST_APPLIED,
        subject=requests.subject_of(given.request_id),
        detail=given.subject.label,
        facts={"digest": row.digest, **facts},
    )

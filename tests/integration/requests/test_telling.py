"""Who is told of what becomes of a request: those whom it concerns, once."""

from datetime import timedelta

from activities.requests import StoredRequests
from mcpbox.domain.base import PageRequest
from mcpbox.domain.notices import Event, ReceivedNotice
from mcpbox.domain.people import Principal
from mcpbox.domain.requests import RequestSummary, State
from mcpbox.store import notices
from tests.integration.requests.conftest import ADA, ANA, VIC, Office, a_decision
from tests.integration.requests.test_probation import (
    a_call,
    asked_again,
    called,
    on_probation,
    watch,
)
from workflows.contracts import Remind


async def told(office: Office, person: Principal, request: RequestSummary) -> list[Event]:
    """Newest first."""
    return [one.event for one in await inbox(office, person) if str(request.id) in one.path]


async def inbox(office: Office, person: Principal) -> list[ReceivedNotice]:
    async with office.database.sessions.begin() as session:
        page = await notices.inbox(session, person.name, PageRequest(page_size=100))
    return page.items


async def test_deciders_are_reminded_each_time_and_once_each_time(office: Office) -> None:
    request = await office.asked()
    activities = StoredRequests(office.database.sessions, {})

    for number in (1, 1, 2):
        due_at = request.created_at + timedelta(days=number)
        await activities.remind(Remind(request_id=request.id, number=number, due_at=due_at))

    for decider in (ANA, ADA):
        assert await told(office, decider, request) == [
            Event.REQUEST_REMINDED,
            Event.REQUEST_REMINDED,
            Event.REQUEST_WAITING,
        ]
    assert await told(office, VIC, request) == []


async def test_an_escalation_reaches_whom_the_terms_name_and_nobody_else(office: Office) -> None:
    request = await office.asked()

    await StoredRequests(office.database.sessions, {}).remind(
        Remind(
            request_id=request.id,
            number=0,
            escalate_to=(VIC.name,),
            due_at=request.created_at + timedelta(days=1),
        )
    )

    assert await told(office, VIC, request) == [Event.REQUEST_ESCALATED]
    assert await told(office, ANA, request) == [Event.REQUEST_WAITING]


async def test_a_forced_approval_is_told_to_those_who_may_look_at_it(office: Office) -> None:
    request = await office.asked()
    forced = a_decision(request, reason="Production is down.").model_copy(
        update={"break_glass": True}
    )

    assert (await office.decide(request, by=ADA, draft=forced)).state is State.APPLIED

    for person in (ANA, ADA):
        assert Event.BREAK_GLASS in await told(office, person, request)
    assert await told(office, VIC, request) == []
    [notice] = [one for one in await inbox(office, ANA) if one.event is Event.BREAK_GLASS]
    assert "Production" not in notice.model_dump_json()


async def test_the_end_of_a_probation_is_told_once_to_those_who_are_asked_again(
    office: Office,
) -> None:
    tool, probation = await on_probation(office, calls=1)
    await called(office, a_call(tool))

    await watch(office).attend_once()
    again = await asked_again(office, tool)

    earlier = await office.requests.get(probation.request_id)
    assert (await told(office, ANA, earlier)).count(Event.PROBATION_ENDED) == 1
    assert Event.REQUEST_WAITING in await told(office, ANA, again)
    assert Event.PROBATION_ENDED not in await told(office, VIC, earlier)

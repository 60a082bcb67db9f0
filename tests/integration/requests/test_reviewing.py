"""Reviewing beside the plain vote: comments, break-glass, deputies, assignees, and batches."""

from datetime import timedelta
from uuid import uuid4

import pytest

from mcpbox.domain.audit import Action
from mcpbox.domain.base import PageRequest, utc_now
from mcpbox.domain.comments import CommentDraft
from mcpbox.domain.decisions import Channel
from mcpbox.domain.errors import Invalid, Refused
from mcpbox.domain.ids import DecisionId
from mcpbox.domain.requests import ReviewAfterwards, State
from mcpbox.domain.review import Requirements, Separation
from mcpbox.domain.review_policy import ReviewPolicy
from mcpbox.store import people
from mcpbox.store.tables.clients import ClientRow
from mcpbox.usecases.reviewing import BatchItem
from tests.factories import NOW, OTHER_DIGEST
from tests.integration.requests.conftest import ADA, ANA, AUTHOR, VIC, Office, a_decision
from tests.integration.requests.test_deciding import TWO_HOSTS
from tests.integration.requests.test_policy import policy_in_force


async def test_a_comment_is_on_record_and_costs_no_history(office: Office) -> None:
    request = await office.asked()
    before = len((await office.workflow(request).fetch_history()).events)

    for by in (ANA, AUTHOR):
        await office.requests.comment(by, request.id, CommentDraft(text="Why?", line=2))

    found = await office.requests.get(request.id)
    assert [one.author for one in found.comments] == [ANA.label, AUTHOR.label]
    assert len((await office.workflow(request).fetch_history()).events) == before
    stranger = AUTHOR.model_copy(update={"name": "stranger"})
    with pytest.raises(Refused):
        await office.requests.comment(stranger, request.id, CommentDraft(text="Me too."))


async def test_break_glass_is_for_an_admin_with_a_reason_and_somebody_else_looks_afterwards(
    office: Office,
) -> None:
    request = await office.asked()
    forced = a_decision(request, reason="Production is down.").model_copy(
        update={"break_glass": True}
    )
    with pytest.raises(Refused, match="Only an admin"):
        await office.decide(request, draft=forced)
    with pytest.raises(Invalid, match="10 characters"):
        await office.decide(request, by=ADA, draft=forced.model_copy(update={"reason": "Now!"}))

    outcome = await office.decide(request, by=ADA, draft=forced)

    assert outcome.state is State.APPLIED
    waiting = await office.requests.list((), PageRequest(), review_afterwards=ReviewAfterwards.OPEN)
    assert request.id in [one.id for one in waiting.items]
    actions = [entry.action for entry in (await office.requests.get(request.id)).history]
    assert Action.REQUEST_BREAK_GLASS in actions
    with pytest.raises(Refused, match="another person"):
        await office.reviewing.review_afterwards(ADA, request.id, "Fine.")
    reviewed = await office.reviewing.review_afterwards(ANA, request.id, "Fine.")
    assert reviewed.review_afterwards is ReviewAfterwards.REVIEWED


async def test_a_deputy_decides_for_who_is_away_and_is_named_so(office: Office) -> None:
    request = await office.asked()
    with pytest.raises(Refused):
        await office.decide(request, by=VIC)
    await office.reviewing.delegate(ANA, VIC.name, utc_now() + timedelta(days=1))
    async with office.database.sessions.begin() as session:
        deputy = await people.find_reviewer(session, VIC.name)
    assert deputy is not None

    outcome = await office.decide(request, by=deputy)

    assert outcome.state is State.APPLIED
    [vote] = (await office.requests.get(request.id)).decisions
    assert (vote.reviewer, vote.on_behalf_of) == (VIC.name, ANA.name)
    await office.reviewing.end_delegation(ANA)
    with pytest.raises(Refused):
        await office.decide(await office.asked(), by=VIC)


async def test_a_request_is_handed_to_somebody_who_may_decide_it(office: Office) -> None:
    request = await office.asked()

    assert (await office.reviewing.assign(ANA, request.id, ADA.name)).assignee == ADA.name
    with pytest.raises(Invalid, match="may not decide"):
        await office.reviewing.assign(ANA, request.id, VIC.name)


async def test_a_batch_approves_what_is_of_low_risk_and_says_why_not_the_rest(
    office: Office,
) -> None:
    low, risky = await office.asked(), await office.asked(await office.draft(TWO_HOSTS))
    stale = await office.asked()
    items = [
        BatchItem(request_id=one.id, id=DecisionId(uuid4()), seen_digest=digest)
        for one, digest in (
            (low, low.digest),
            (risky, risky.digest),
            (stale, OTHER_DIGEST),
        )
    ]

    answers = await office.reviewing.approve_batch(ANA, Channel.API, items, "Read them.")

    assert [answer.outcome and answer.outcome.state for answer in answers] == [
        State.APPLIED,
        None,
        None,
    ]
    assert "low risk" in answers[1].refusal
    assert "digest" in answers[2].refusal


async def test_whose_client_asked_does_not_decide_where_owners_are_kept_apart(
    office: Office,
) -> None:
    apart = Requirements(separation=Separation.OWNER)
    await policy_in_force(office, ReviewPolicy(requirements=apart))
    phone = AUTHOR.model_copy(update={"name": f"phone{uuid4().hex[:6]}"})
    async with office.database.sessions.begin() as session:
        session.add(
            ClientRow(
                id=uuid4(),
                name=phone.name,
                owner=ANA.name,
                scopes=[],
                token_hash=uuid4().hex,
                created_at=NOW,
            )
        )
    tool = await office.draft()
    request = await office.when(
        await office.requests.request_publish(phone, tool.id), State.AWAITING_DECISION
    )

    with pytest.raises(Refused, match="A client of yours"):
        await office.decide(request, by=ANA)

    assert request.owners == {ANA.name}
    assert (await office.decide(request, by=ADA)).state is State.APPLIED

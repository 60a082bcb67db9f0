"""Requests under the review policy: the version they opened under, and what rules decide."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from activities.judging import decide_by_rule
from mcpbox.domain.decisions import Channel
from mcpbox.domain.dry_runs import Effect, Proposal
from mcpbox.domain.errors import Conflict, Invalid, Refused, RequestFinished
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.people import Principal, PrincipalKind, Role
from mcpbox.domain.probation import ProbationTerms
from mcpbox.domain.requests import RequestDetail, State
from mcpbox.domain.review import Requirements
from mcpbox.domain.review_policy import (
    ApprovalMode,
    Automatic,
    LighterPath,
    NetworkAccess,
    PolicyChange,
    PolicyVersion,
    ReviewFacts,
    ReviewPolicy,
    Rule,
    SecuritySettings,
    Sticky,
)
from mcpbox.domain.verdicts import Verdict
from mcpbox.store import requests
from mcpbox.store.tables.evidence import EvidenceRow
from mcpbox.store.tables.people import UserRow
from mcpbox.store.tables.requests import RequestRow
from mcpbox.usecases.review_policy import ReviewPolicies
from tests.factories import NOW
from tests.integration.requests.conftest import ANA, AUTHOR, VIC, Office, a_decision
from tests.integration.requests.test_probation import a_call, asked_again, called, watch

ADA = Principal(kind=PrincipalKind.PERSON, name="ada", roles=frozenset({Role.ADMIN}))
PLAIN = "async def main(a: int = 1) -> int:\n    return a\n"
REACHES = "async def main() -> str:\n    return (await http.get('https://api.example.com/')).text\n"
NAMES = (
    "URL = 'https://api.example.com/'\n"
    "async def main(go: bool = False) -> str:\n"
    "    return (await http.get(URL)).text if go else URL\n"
)
BREAKS = "checks['no such check'] == 'passed'"


def a_rule(name: str, expression: str) -> Rule:
    return Rule(name=name, expression=expression, reason=f"By {name}.")


async def policy_in_force(office: Office, policy: ReviewPolicy) -> PolicyVersion:
    """Whatever was in force before."""
    policies = ReviewPolicies(office.database.sessions)
    await admin_exists(office)
    current = await policies.current()
    if current.policy == policy:
        return current
    change = PolicyChange(
        policy=policy, expected_version=current.version, reason=f"Test {uuid4().hex[:6]}."
    )
    return await policies.change(ADA, change)


async def admin_exists(office: Office) -> None:
    async with office.database.sessions.begin() as session:
        if await session.scalar(select(UserRow.id).where(UserRow.username == ADA.name)) is None:
            session.add(
                UserRow(
                    id=uuid4(),
                    username=ADA.name,
                    password_hash="",
                    roles=[Role.ADMIN],
                    active=True,
                    created_at=NOW,
                )
            )


async def asked(office: Office, code: str = PLAIN, *states: State) -> RequestDetail:
    tool = await office.draft(code)
    request = await office.requests.request_publish(AUTHOR, tool.id)
    return await office.when(request, *(states or (State.AWAITING_DECISION,)))


async def row_of(office: Office, request: RequestDetail) -> RequestRow:
    async with office.database.sessions.begin() as session:
        return await session.get_one(RequestRow, request.id)


async def test_a_rule_approves_and_the_record_says_which(office: Office) -> None:
    version = await policy_in_force(
        office, ReviewPolicy(auto_approve=(a_rule("plain", "risk == 'low'"),))
    )
    applied = await asked(office, PLAIN, State.APPLIED)

    (decision,) = applied.decisions
    assert (decision.reviewer, decision.channel) == ("policy:plain", Channel.POLICY)
    assert (decision.verdict, decision.reason) == (Verdict.APPROVE, "By plain.")
    assert decision.seen_digest == applied.digest
    assert ("policy:plain", "approve: By plain.") in [
        (entry.actor, entry.detail) for entry in applied.history
    ]
    row = await row_of(office, applied)
    assert row.policy_version == version.version
    facts = ReviewFacts.model_validate(row.facts)
    assert (facts.checks["guard"], facts.subset_of_released) == ("passed", False)


async def test_a_rule_denies_and_the_author_reads_why(office: Office) -> None:
    await policy_in_force(
        office,
        ReviewPolicy(
            auto_deny=(a_rule("no-network", "new_hosts.size() > 0"),),
            auto_approve=(a_rule("all", "true"),),
        ),
    )
    denied = await asked(office, REACHES, State.DENIED)

    assert denied.state_reason == "By no-network."
    with pytest.raises(RequestFinished):
        await office.decide(denied, by=ANA)


async def test_a_request_is_judged_by_the_version_that_it_opened_under(office: Office) -> None:
    two = await policy_in_force(office, ReviewPolicy(requirements=Requirements(approvals=2)))
    waiting = await asked(office)
    assert waiting.quorum == 2

    newer = await policy_in_force(office, ReviewPolicy(auto_approve=(a_rule("all", "true"),)))
    assert newer.version == two.version + 1
    still = await office.requests.get(waiting.id)
    assert (still.state, still.quorum) == (State.AWAITING_DECISION, 2)
    assert (await row_of(office, waiting)).policy_version == two.version
    assert (await office.decide(waiting, by=ANA)).state is State.AWAITING_DECISION
    assert (await office.decide(waiting, by=ADA)).state is State.APPLIED


async def test_a_rule_that_breaks_is_shown_and_people_decide(office: Office) -> None:
    await policy_in_force(
        office,
        ReviewPolicy(auto_deny=(a_rule("broken", BREAKS),), auto_approve=(a_rule("all", "true"),)),
    )
    waiting = await asked(office)

    (told,) = [e for e in waiting.history if e.action == "request:policy:left_to_people"]
    assert "'broken' could not be asked: Key not found" in told.detail
    assert "'all' did not approve it" in told.detail
    assert waiting.decisions == []


AUTO = ApprovalMode.AUTO_APPROVE


@pytest.mark.parametrize(
    ("settings", "code", "rule"),
    [
        ({}, PLAIN, None),
        ({"tool_approval_mode": AUTO}, PLAIN, "policy:tool_approval_mode"),
        ({"tool_approval_mode": AUTO}, REACHES, None),
        ({"network_access_policy": NetworkAccess.ALLOW_ALL_PUBLIC}, REACHES, None),
        (
            {
                "tool_approval_mode": AUTO,
                "network_access_policy": NetworkAccess.ALLOW_ALL_PUBLIC,
            },
            REACHES,
            "policy:tool_approval_mode",
        ),
    ],
)
async def test_the_approval_modes_decide_and_are_recorded(
    office: Office, settings: dict[str, Any], code: str, rule: str | None
) -> None:
    await policy_in_force(office, ReviewPolicy(settings=SecuritySettings(**settings)))
    if rule is None:
        assert (await asked(office, code)).decisions == []
        return
    applied = await asked(office, code, State.APPLIED)
    assert [decision.reviewer for decision in applied.decisions] == [rule]


async def test_a_public_host_is_granted_by_the_setting_and_a_private_one_is_not(
    office: Office,
) -> None:
    settings = SecuritySettings(network_access_policy=NetworkAccess.ALLOW_ALL_PUBLIC)
    await policy_in_force(office, ReviewPolicy(settings=settings))
    server_id = (await office.draft()).server_id

    async def asked_for(host: str, *states: State) -> RequestDetail:
        request = await office.network.request_access(
            AUTHOR, server_id, HostAccess(host=host), justification="For a test."
        )
        return await office.when(request, *states)

    granted = await asked_for("api.example.com", State.APPLIED)
    assert [one.reviewer for one in granted.decisions] == ["policy:network_access_policy"]
    assert (await asked_for("db.internal", State.AWAITING_DECISION)).decisions == []


async def test_a_secret_is_for_people_whatever_the_settings(office: Office) -> None:
    settings = SecuritySettings(
        tool_approval_mode=AUTO,
        module_approval_mode=AUTO,
        network_access_policy=NetworkAccess.ALLOW_ALL_PUBLIC,
    )
    await policy_in_force(office, ReviewPolicy(settings=settings))
    server_id = (await office.draft()).server_id
    await office.secrets.create(AUTHOR, server_id, "API_KEY", ["api.example.com"])
    request = await office.secrets.request(
        AUTHOR, server_id, "API_KEY", justification="For a test."
    )

    waiting = await office.when(request, State.AWAITING_DECISION)
    assert waiting.decisions == []
    facts = ReviewFacts.model_validate((await row_of(office, waiting)).facts)
    assert facts.new_secrets == ("API_KEY",)


async def test_a_version_that_may_do_no_more_takes_the_lighter_path(office: Office) -> None:
    await policy_in_force(office, ReviewPolicy(sticky=Sticky(path=LighterPath.AUTOMATIC)))
    tool = await office.draft(NAMES)
    first = await office.asked(tool)
    assert (await office.decide(first)).state is State.APPLIED

    same = await office.tools.update(AUTHOR, tool.id, code=NAMES.replace("else URL", "else '?'"))
    request = await office.requests.request_publish(AUTHOR, same.id)
    assert (await office.when(request, State.APPLIED)).decisions[0].reviewer == "policy:sticky"

    more = await office.tools.update(
        AUTHOR, tool.id, code=NAMES.replace("api.example", "other.example")
    )
    request = await office.requests.request_publish(AUTHOR, more.id)
    waiting = await office.when(request, State.AWAITING_DECISION)
    assert waiting.needs.hosts == ("other.example.com",)


async def test_evidence_of_another_digest_is_decided_by_people(office: Office) -> None:
    """The rule of every decision refuses a stale digest, a policy's too."""
    await policy_in_force(office, ReviewPolicy())
    waiting = await asked(office)
    automatic = Automatic(verdict=Verdict.APPROVE, rule="all", reason="All.")
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(EvidenceRow)
            .where(EvidenceRow.request_id == waiting.id, EvidenceRow.check == "trial")
            .values(digest="sha256:" + "f" * 64)
        )
    async with office.database.sessions.begin() as session:
        row = await session.get_one(RequestRow, waiting.id)
        found = await requests.evidence_of(session, waiting.id)
        await decide_by_rule(session, row, found, automatic, again=True, at=NOW)
        assert row.state == State.AWAITING_DECISION
    told = (await office.requests.get(waiting.id)).history[-1]
    assert "is not the digest of this request" in told.detail


async def test_what_is_presented_twice_is_decided_once(office: Office) -> None:
    """The answer of an activity may be lost after its transaction; then it runs again."""
    await policy_in_force(office, ReviewPolicy())
    waiting = await asked(office)
    automatic = Automatic(verdict=Verdict.DENY, rule="never", reason="No.")
    for _ in range(2):
        async with office.database.sessions.begin() as session:
            row = await session.get_one(RequestRow, waiting.id)
            row.state = State.AWAITING_DECISION
            found = await requests.evidence_of(session, waiting.id)
            await decide_by_rule(session, row, found, automatic, again=True, at=NOW)
            assert row.state == State.DENIED
    assert len((await office.requests.get(waiting.id)).decisions) == 1


async def test_a_person_cannot_pose_as_a_rule(office: Office) -> None:
    await policy_in_force(office, ReviewPolicy())
    waiting = await asked(office)
    rule = Principal(kind=PrincipalKind.POLICY, name="all")
    with pytest.raises(Refused, match="is not the name of an active person"):
        await office.decide(waiting, by=rule)
    assert (await office.requests.get(waiting.id)).state is State.AWAITING_DECISION


async def test_only_admins_change_the_policy_and_only_the_one_they_read(office: Office) -> None:
    policies = ReviewPolicies(office.database.sessions)
    current = await policy_in_force(office, ReviewPolicy())
    policy = ReviewPolicy(requirements=Requirements(approvals=2))
    change = PolicyChange(policy=policy, expected_version=current.version, reason="Two of us.")

    for other in (ANA, VIC, AUTHOR, Principal(kind=PrincipalKind.POLICY, name="all")):
        with pytest.raises(Refused):
            await policies.change(other, change)
    made = await policies.change(ADA, change)
    assert (made.version, made.changed_by) == (current.version + 1, "person:ada")
    with pytest.raises(Conflict, match=f"version {made.version} is in force"):
        await policies.change(ADA, change.model_copy(update={"policy": ReviewPolicy()}))
    assert await policies.get(made.version) == made == await policies.current()


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (ReviewPolicy(auto_deny=(a_rule("odd", "kidn == ''"),)), "line 1, column 1"),
        (ReviewPolicy(requirements=Requirements(approvals=9)), "nobody could ever approve"),
        (
            ReviewPolicy.model_validate(
                {"overrides": [{"name": "o", "escalate_after": "P1D", "escalate_to": ["nobody"]}]}
            ),
            "'nobody', who is not",
        ),
    ],
)
async def test_a_policy_that_could_not_work_is_not_kept(
    office: Office, policy: ReviewPolicy, words: str
) -> None:
    policies = ReviewPolicies(office.database.sessions)
    before = await policy_in_force(office, ReviewPolicy())
    change = PolicyChange(policy=policy, expected_version=before.version, reason="Try.")
    with pytest.raises(Invalid, match=words):
        await policies.change(ADA, change)
    assert await policies.current() == before


async def test_a_dry_run_shows_which_past_decisions_would_flip(office: Office) -> None:
    policies = ReviewPolicies(office.database.sessions)
    await policy_in_force(office, ReviewPolicy())
    approved, denied = await asked(office), await asked(office, REACHES)
    await office.decide(approved)
    await office.decide(denied, Verdict.DENY)
    await policy_in_force(office, ReviewPolicy(auto_approve=(a_rule("all", "true"),)))
    by_rule = await asked(office, PLAIN, State.APPLIED)
    before = await policies.current()

    async def effects(proposal: Proposal) -> dict[Any, tuple[Effect, str]]:
        found = await policies.dry_run(proposal)
        return {one.request_id: (one.effect, one.rule) for one in found.changes}

    let_through = a_rule("network", "new_hosts == ['api.example.com']")
    found = await effects(Proposal(policy=ReviewPolicy(), auto_approve=(let_through,)))
    assert found.get(approved.id) is None
    # It asks for a host that nobody granted, but names it: so a rule could have approved it.
    assert found[denied.id] == (Effect.APPROVED_INSTEAD, "network")
    assert found[by_rule.id] == (Effect.LEFT_TO_PEOPLE, "")

    found = await effects(Proposal(auto_deny=(a_rule("none", "new_hosts == []"),)))
    assert found[approved.id] == (Effect.DENIED_INSTEAD, "none")
    assert found[by_rule.id] == (Effect.DENIED_INSTEAD, "none")

    two = ReviewPolicy(requirements=Requirements(approvals=2))
    assert (await effects(Proposal(policy=two)))[approved.id] == (Effect.MORE_APPROVALS, "")
    assert (await effects(Proposal()))[approved.id] == (Effect.AUTOMATED, "all")
    with pytest.raises(Invalid, match="line 1"):
        await policies.dry_run(Proposal(auto_deny=(a_rule("odd", "kidn"),)))
    assert await policies.current() == before


async def test_a_probation_of_the_policy_holds_beside_a_stricter_one_and_is_asked_again_under(
    office: Office,
) -> None:
    """The terms are frozen: the policy is another one by the time the probation ends."""
    by_policy = ProbationTerms(hours=24, calls=50)
    await policy_in_force(
        office, ReviewPolicy(requirements=Requirements(probation=by_policy, ttl=timedelta(days=2)))
    )
    request = await asked(office)
    looser = a_decision(request).model_copy(update={"probation": ProbationTerms(hours=48, calls=1)})

    await office.decide(request, draft=looser)

    assert request.terms is not None
    assert request.terms.probation == by_policy
    assert request.tool_id is not None
    tool = await office.tools.get(request.tool_id)
    assert tool.probation is not None
    assert (tool.probation.terms.hours, tool.probation.terms.calls) == (24, 1)
    await policy_in_force(office, ReviewPolicy())
    await called(office, a_call(tool))
    await watch(office).attend_once()
    again = await asked_again(office, tool)
    assert again.terms == request.terms
    assert again.expires_at - again.created_at == timedelta(days=2)
    assert (await row_of(office, again)).policy_version == request.terms.policy_version

"""What the review policy makes of a request that is being presented: its terms, and its rules."""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.audit import Action
from mcpbox.domain.decisions import Channel, DecisionDraft
from mcpbox.domain.evidence import Evidence, Risk
from mcpbox.domain.ids import DecisionId, Digest, RequestId
from mcpbox.domain.people import Principal, PrincipalKind
from mcpbox.domain.requests import State
from mcpbox.domain.review import ReviewTerms
from mcpbox.domain.review_policy import Automatic
from mcpbox.policies.review import RequestFacts, may_decide, tally
from mcpbox.store import requests, review_facts, review_policies
from mcpbox.store.audit import add_event
from mcpbox.store.grants import Holder
from mcpbox.store.tables.requests import DecisionRow, RequestRow


async def judge(
    session: AsyncSession,
    row: RequestRow,
    evidence: Sequence[Evidence],
    holder: Holder,
    *,
    risk: Risk,
    at: datetime,
) -> tuple[ReviewTerms, Automatic]:
    """By the policy that it opened under; what it was judged by is kept with it."""
    facts = await review_facts.facts_of(session, row, evidence, holder, risk=risk, at=at)
    row.facts = facts.model_dump(mode="json")
    terms, automatic = await review_policies.terms_of(session, row.policy_version, facts)
    if row.policy_version == review_policies.BUILT_IN.version:
        # Nobody has made a policy: the installation's own setting says how long it waits.
        terms = terms.model_copy(update={"ttl": row.expires_at - row.created_at})
    return terms, automatic


async def decide_by_rule(
    session: AsyncSession,
    row: RequestRow,
    evidence: Sequence[Evidence],
    automatic: Automatic,
    *,
    again: bool,
    at: datetime,
) -> None:
    """Records what a rule decided as a decision like any other, or leaves it to people.

    ``again``: the request, which is awaiting a decision, was presented before.
    """
    decision_id = DecisionId(uuid5(row.id, f"policy:{row.digest}"))
    earlier = await requests.decisions_of(session, RequestId(row.id)) if again else []
    recorded = next((one for one in earlier if one.id == decision_id), None)
    if recorded is not None:
        row.state, row.state_reason = tally([recorded.verdict], quorum=1), recorded.reason
        return
    notes = list(automatic.notes)
    if automatic.verdict is not None:
        rule = Principal(kind=PrincipalKind.POLICY, name=automatic.rule)
        draft = DecisionDraft(
            id=decision_id,
            verdict=automatic.verdict,
            reason=automatic.reason,
            seen_digest=_seen(evidence),
        )
        ruling = may_decide(_facts(row), rule, draft)
        if ruling:
            await _record(session, row, rule, draft, at=at)
            return
        notes.append(f"{automatic.rule!r} did not decide it: {ruling.reason}")
    if notes:
        add_event(
            session,
            actor=f"{PrincipalKind.POLICY}:version {row.policy_version}",
            action=Action.REQUEST_LEFT_TO_PEOPLE,
            subject=requests.subject_of(row.id),
            detail=" ".join(notes),
        )


def _seen(evidence: Sequence[Evidence]) -> Digest:
    """What every check looked at; where they differ, a digest that is that of no request."""
    digests = {piece.digest for piece in evidence}
    return digests.pop() if len(digests) == 1 else Digest("various")


async def _record(
    session: AsyncSession, row: RequestRow, rule: Principal, draft: DecisionDraft, *, at: datetime
) -> None:
    session.add(
        DecisionRow(
            request_id=row.id,
            id=draft.id,
            reviewer=rule.label,
            verdict=draft.verdict,
            reason=draft.reason,
            seen_digest=draft.seen_digest,
            channel=Channel.POLICY,
            decided_at=at,
        )
    )
    # One rule does: it was made by whoever may change how many people it takes.
    row.state, row.state_reason = tally([draft.verdict], quorum=1), draft.reason
    await session.flush()
    add_event(
        session,
        actor=rule.label,
        action=Action.DECISION_ADDED,
        subject=requests.subject_of(row.id),
        detail=f"{draft.verdict}: {draft.reason}",
        facts={
            "channel": Channel.POLICY,
            "digest": draft.seen_digest,
            "policy_version": row.policy_version,
        },
    )


def _facts(row: RequestRow) -> RequestFacts:
    return RequestFacts(state=State(row.state), digest=Digest(row.digest), requester=row.requester)

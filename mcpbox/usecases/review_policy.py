"""The review policy: read it, change it, and try another one on what was decided."""

import asyncio
from collections import Counter

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.audit import Action
from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.dry_runs import DryRun, Effect, PastDecision, Proposal, WouldBe
from mcpbox.domain.errors import Conflict, Invalid
from mcpbox.domain.people import Principal
from mcpbox.domain.review import Requirements
from mcpbox.domain.review_policy import PolicyChange, PolicyVersion, ReviewPolicy
from mcpbox.policies.dry_runs import would_be
from mcpbox.policies.requirements import may_change_policy, require_sound_rules
from mcpbox.store import people, review_facts, review_policies
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, reading, transaction

_SHOWN = 200


class ReviewPolicies:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def current(self) -> PolicyVersion:
        async with reading(self._sessions) as session:
            return await review_policies.current_policy(session)

    async def get(self, version: int) -> PolicyVersion:
        """Raises: NotFound."""
        async with reading(self._sessions) as session:
            return await review_policies.get_policy(session, version)

    async def versions(self, page: PageRequest) -> Page[PolicyVersion]:
        """Newest first; the built-in one is the last."""
        async with reading(self._sessions) as session:
            return await review_policies.policies(session, page)

    async def change(self, by: Principal, change: PolicyChange) -> PolicyVersion:
        """Makes the next version; requests that are open keep theirs.

        Raises: Refused; Conflict: there is a newer one; Invalid: nobody could meet it, or a rule
            does not compile.
        """
        may_change_policy(by).require()
        require_sound_rules(change.policy)
        try:
            async with transaction(self._sessions) as session:
                before = await review_policies.current_policy(session)
                if before.version != change.expected_version:
                    raise _changed_meanwhile(before.version)
                if change.policy == before.policy:
                    raise Conflict("This is the policy in force already; nothing was changed.")
                await _require_enough_people(session, change.policy)
                made = await review_policies.add_policy(
                    session,
                    before.version + 1,
                    change.policy,
                    changed_by=by.label,
                    changed_at=utc_now(),
                    reason=change.reason,
                )
                announce(session, Topic.POLICY, made.version)
                add_event(
                    session,
                    actor=by.label,
                    action=Action.POLICY_CHANGED,
                    subject="policy:review",
                    detail=change.reason,
                    facts={
                        "version": made.version,
                        "changed": _differing(before.policy, change.policy),
                    },
                )
                return made
        except IntegrityError as error:
            raise _changed_meanwhile(change.expected_version + 1) from error

    async def dry_run(self, proposal: Proposal) -> DryRun:
        """Changes nothing. Raises: Invalid: a rule does not compile."""
        counts: Counter[Effect] = Counter()
        changes: dict[Effect, list[WouldBe]] = {effect: [] for effect in Effect}
        judged = 0
        async with transaction(self._sessions) as session:
            proposed = _proposed(await review_policies.current_policy(session), proposal)
            unjudged = await review_facts.decided_without_facts(session)
            async for batch in review_facts.past_decisions(session):
                judged += len(batch)
                # Beside the event loop: some thousand questions to each of fifty rules.
                for found in await asyncio.to_thread(_judge, proposed, batch):
                    counts[found.effect] += 1
                    if len(changes[found.effect]) < _SHOWN:
                        changes[found.effect].append(found)
        shown = [found for effect in Effect for found in changes[effect]]
        return DryRun(
            judged=judged, unjudged=unjudged, counts=dict(counts), changes=tuple(shown[:_SHOWN])
        )


def _proposed(current: PolicyVersion, proposal: Proposal) -> PolicyVersion:
    policy = proposal.policy or current.policy
    document = policy.model_dump() | {
        "auto_deny": (*proposal.auto_deny, *policy.auto_deny),
        "auto_approve": (*proposal.auto_approve, *policy.auto_approve),
    }
    try:
        merged = ReviewPolicy.model_validate(document)
    except ValueError as error:
        raise Invalid("A proposed rule has the name of another one; choose a new name.") from error
    require_sound_rules(merged)
    return current.model_copy(update={"policy": merged})


def _judge(proposed: PolicyVersion, batch: list[PastDecision]) -> list[WouldBe]:
    return [found for past in batch if (found := would_be(proposed, past))]


def _changed_meanwhile(version: int) -> Conflict:
    return Conflict(
        f"The policy was changed meanwhile: version {version} is in force. Read it, and make your "
        "change again on top of it."
    )


def _differing(before: ReviewPolicy, after: ReviewPolicy) -> list[str]:
    """Names of the parts; the documents themselves are kept in the versions."""
    return [
        name for name in ReviewPolicy.model_fields if getattr(before, name) != getattr(after, name)
    ]


async def _require_enough_people(session: AsyncSession, policy: ReviewPolicy) -> None:
    """Raises: Invalid: a request could never be approved, or nobody would hear of it."""
    merged = {"The requirements": policy.requirements} | {
        f"The override {override.name!r}": policy.requirements.model_copy(update=override.changes)
        for override in policy.overrides
    }
    for place, required in merged.items():
        await _require_enough(session, place, required)


async def _require_enough(session: AsyncSession, place: str, required: Requirements) -> None:
    able = await people.count_with_any_role(session, required.roles)
    if able < required.approvals:
        roles = " or ".join(sorted(required.roles))
        raise Invalid(
            f"{place} ask for {required.approvals} approvals, and {able} active people have the "
            f"role {roles}: nobody could ever approve. Give the role to more people first."
        )
    for name in required.escalate_to:
        if await people.find_reviewer(session, name) is None:
            raise Invalid(f"{place} escalate to {name!r}, who is not the name of an active person.")

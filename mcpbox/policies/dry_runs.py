"""What another policy would have made of a past decision."""

from mcpbox.domain.dry_runs import Effect, PastDecision, WouldBe
from mcpbox.domain.review_policy import PolicyVersion
from mcpbox.domain.tools import callable_name
from mcpbox.domain.verdicts import Verdict
from mcpbox.policies.requirements import automatic_verdict, terms_for


def would_be(proposed: PolicyVersion, past: PastDecision) -> WouldBe | None:
    """``None``: nothing about it would be different."""
    facts = past.facts
    verdict = automatic_verdict(proposed.policy, facts)
    effect, note = _effect(past, verdict.verdict), " ".join(verdict.notes)
    if effect is None and past.verdict is Verdict.APPROVE and not past.by_rule:
        needed, had = terms_for(proposed, facts).approvals, len(past.decided_by)
        if verdict.verdict is None and needed > had:
            effect, note = Effect.MORE_APPROVALS, f"{had} of {needed} approvals."
    if effect is None:
        return None
    return WouldBe(
        request_id=past.request_id,
        title=callable_name(facts.server, facts.tool) if facts.tool else facts.server,
        kind=facts.kind,
        verdict=past.verdict,
        decided_by=past.decided_by,
        decided_at=past.decided_at,
        effect=effect,
        rule=verdict.rule,
        note=note,
    )


def _effect(past: PastDecision, would: Verdict | None) -> Effect | None:
    if would is None:
        return Effect.LEFT_TO_PEOPLE if past.by_rule else None
    if would is past.verdict:
        return None if past.by_rule else Effect.AUTOMATED
    return Effect.APPROVED_INSTEAD if would is Verdict.APPROVE else Effect.DENIED_INSTEAD

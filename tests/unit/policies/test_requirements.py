"""What a policy makes of a request: its terms, and what rules decide without people."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from mcpbox.domain.evidence import Risk
from mcpbox.domain.people import Role
from mcpbox.domain.probation import ProbationTerms
from mcpbox.domain.review import Requirements, ReviewTerms, Separation
from mcpbox.domain.review_policy import (
    ApprovalMode,
    LighterPath,
    NetworkAccess,
    Override,
    PolicyVersion,
    ReviewFacts,
    ReviewPolicy,
    Rule,
    SecuritySettings,
    Sticky,
)
from mcpbox.domain.subjects import Kind
from mcpbox.domain.verdicts import Verdict
from mcpbox.policies.requirements import automatic_verdict, is_public_name, terms_for
from tests.factories import review_facts

YES = Rule(name="yes", expression="true", reason="Always.")
NO = Rule(name="no", expression="true", reason="Never.")
BROKEN = Rule(name="broken", expression="checks['nothing'] == 'passed'", reason="Breaks.")
NOTHING_NEW = review_facts(subset_of_released=True)


def terms(policy: ReviewPolicy, **changes: Any) -> ReviewTerms:
    version = PolicyVersion(
        version=3, policy=policy, changed_by="person:ana", changed_at=None, reason=""
    )
    return terms_for(version, review_facts(**changes))


def test_without_a_policy_the_strictest_terms_hold() -> None:
    assert terms(ReviewPolicy()) == ReviewTerms(policy_version=3)
    assert automatic_verdict(ReviewPolicy(), NOTHING_NEW).verdict is None


OVERRIDES = ReviewPolicy(
    overrides=(
        Override(name="grave", risks=(Risk.HIGH, Risk.CRITICAL), approvals=2),
        Override(name="prod", servers=("prod",), approvals=3, separation=Separation.OWNER),
        Override(name="modules", kinds=(Kind.MODULE_GRANT,), roles=frozenset({Role.ADMIN})),
        Override(name="prod again", servers=("prod", "pay"), ttl=timedelta(hours=4)),
    )
)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, {}),
        ({"risk": Risk.HIGH}, {"approvals": 2}),
        (
            {"risk": Risk.HIGH, "server": "prod"},
            {"approvals": 3, "separation": Separation.OWNER, "ttl": timedelta(hours=4)},
        ),
        ({"server": "pay"}, {"ttl": timedelta(hours=4)}),
        ({"kind": Kind.MODULE_GRANT}, {"roles": frozenset({Role.ADMIN})}),
    ],
)
def test_later_overrides_lie_over_earlier_ones(
    facts: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert terms(OVERRIDES, **facts) == ReviewTerms(policy_version=3, **expected)


def test_an_override_may_empty_a_list() -> None:
    policy = ReviewPolicy(
        requirements=Requirements(reminders=(timedelta(days=1),)),
        overrides=(Override(name="quiet", servers=("weather",), reminders=()),),
    )
    assert terms(policy).reminders == ()
    assert terms(policy, server="books").reminders == (timedelta(days=1),)


@pytest.mark.parametrize(
    ("changes", "approvals"),
    [
        ({"subset_of_released": True}, 1),
        ({"subset_of_released": False}, 2),
        ({"subset_of_released": True, "new_secrets": ("KEY",)}, 2),
        ({"subset_of_released": True, "checks": {"guard": "warning"}}, 2),
        ({"subset_of_released": True, "checks": {}}, 2),
    ],
)
def test_what_asks_for_nothing_new_needs_fewer_approvals_if_the_policy_says_so(
    changes: dict[str, Any], approvals: int
) -> None:
    two = Requirements(approvals=2)
    fewer = ReviewPolicy(requirements=two, sticky=Sticky(path=LighterPath.FEWER))
    assert terms(fewer, **changes).approvals == approvals
    assert terms(ReviewPolicy(requirements=two), **changes).approvals == 2


def test_fewer_approvals_are_never_more() -> None:
    policy = ReviewPolicy(sticky=Sticky(path=LighterPath.FEWER, approvals=5))
    assert terms(policy, subset_of_released=True).approvals == 1


def test_deny_wins() -> None:
    verdict = automatic_verdict(ReviewPolicy(auto_approve=(YES,), auto_deny=(NO,)), review_facts())
    assert (verdict.verdict, verdict.rule, verdict.reason) == (Verdict.DENY, "no", "Never.")


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (review_facts(checks={"guard": "failed"}), "guard"),
        (review_facts(checks={"guard": "passed", "trial": "missing"}), "trial"),
        (review_facts(checks={}), "all of them"),
        (review_facts(new_hosts=("a.example",), unshown=("a.example",)), "a.example"),
    ],
)
@pytest.mark.parametrize(
    "policy",
    [
        ReviewPolicy(auto_approve=(YES,)),
        ReviewPolicy(
            settings=SecuritySettings(
                tool_approval_mode=ApprovalMode.AUTO_APPROVE,
                network_access_policy=NetworkAccess.ALLOW_ALL_PUBLIC,
            )
        ),
    ],
)
def test_no_rule_approves_what_people_have_to_look_at(
    policy: ReviewPolicy, facts: ReviewFacts, why: str
) -> None:
    verdict = automatic_verdict(
        policy, facts.model_copy(update={"new_hosts": tuple(h + ".com" for h in facts.new_hosts)})
    )
    assert verdict.verdict is None
    assert why in " ".join(verdict.notes)


def test_a_deny_rule_that_breaks_leaves_the_request_to_people() -> None:
    verdict = automatic_verdict(
        ReviewPolicy(auto_deny=(BROKEN,), auto_approve=(YES,)), review_facts()
    )
    assert verdict.verdict is None
    assert "'broken' could not be asked: Key not found" in verdict.notes[0]
    assert "'yes' did not approve it" in verdict.notes[1]


def test_an_approve_rule_that_breaks_matches_nothing() -> None:
    alone = automatic_verdict(ReviewPolicy(auto_approve=(BROKEN,)), review_facts())
    assert alone.verdict is None
    assert "'broken'" in alone.notes[0]
    before_another = automatic_verdict(ReviewPolicy(auto_approve=(BROKEN, YES)), review_facts())
    assert (before_another.verdict, before_another.rule) == (Verdict.APPROVE, "yes")


def test_the_automatic_lighter_path_is_recorded_under_its_name() -> None:
    policy = ReviewPolicy(sticky=Sticky(path=LighterPath.AUTOMATIC))
    assert automatic_verdict(policy, NOTHING_NEW).rule == "sticky"
    assert automatic_verdict(policy, review_facts()).verdict is None


AUTO, PUBLIC = ApprovalMode.AUTO_APPROVE, NetworkAccess.ALLOW_ALL_PUBLIC
HOST = {"kind": Kind.HOST_GRANT, "tool": "", "new_hosts": ("GET a.com/v1",)}
PRIVATE = {**HOST, "new_hosts": ("db.internal:5432",)}
MODULE = {"kind": Kind.MODULE_GRANT, "tool": "", "new_modules": ("dateutil",)}


@pytest.mark.parametrize(
    ("settings", "facts", "rule"),
    [
        ({}, {}, ""),
        ({"tool_approval_mode": AUTO}, {}, "tool_approval_mode"),
        ({"tool_approval_mode": AUTO}, {"new_hosts": ("a.com",)}, ""),
        ({"network_access_policy": PUBLIC}, {"new_hosts": ("a.com",)}, ""),
        (
            {"tool_approval_mode": AUTO, "network_access_policy": PUBLIC},
            {"new_hosts": ("a.com:8443",)},
            "tool_approval_mode",
        ),
        (
            {"tool_approval_mode": AUTO, "network_access_policy": PUBLIC},
            {"new_hosts": ("a.com", "10.0.0.1")},
            "",
        ),
        ({"tool_approval_mode": AUTO}, {"new_modules": ("dateutil",)}, ""),
        (
            {"tool_approval_mode": AUTO, "module_approval_mode": AUTO},
            {"new_modules": ("dateutil",)},
            "tool_approval_mode",
        ),
        ({"tool_approval_mode": AUTO}, {"new_secrets": ("KEY",)}, ""),
        ({"tool_approval_mode": AUTO}, MODULE, ""),
        ({"module_approval_mode": AUTO}, MODULE, "module_approval_mode"),
        ({"module_approval_mode": AUTO}, {}, ""),
        ({"network_access_policy": PUBLIC}, HOST, "network_access_policy"),
        ({"network_access_policy": PUBLIC}, PRIVATE, ""),
        ({"tool_approval_mode": AUTO}, HOST, ""),
        ({"tool_approval_mode": AUTO}, {"kind": Kind.ROLLBACK}, "tool_approval_mode"),
        ({"tool_approval_mode": AUTO}, {"kind": Kind.RESTORE}, ""),
    ],
)
def test_approval_modes_are_rules(
    settings: dict[str, Any], facts: dict[str, Any], rule: str
) -> None:
    policy = ReviewPolicy(settings=SecuritySettings(**settings))
    assert automatic_verdict(policy, review_facts(**facts)).rule == rule


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("api.example.com", True),
        ("api.example.com:8443", True),
        ("GET,HEAD api.example.com:8443/v1/items", True),
        ("GET nas.local/v1.example.com", False),
        ("10.0.0.1", False),
        ("93.184.216.34", False),
        ("[2606:2800::1]", False),
        ("localhost", False),
        ("metadata.google.internal", False),
        ("nas.local:80", False),
        ("db.home.arpa", False),
        ("router.lan.", False),
        ("", False),
    ],
)
def test_public_names(host: str, *, public: bool) -> None:
    assert is_public_name(host) is public


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"requirements": {"roles": []}}, "name at least one role"),
        ({"requirements": {"approvals": 21}}, "between 1 and 20"),
        ({"requirements": {"ttl": "PT1S"}}, "between a minute and a year"),
        ({"requirements": {"reminders": ["P2D", "P1D"]}}, "the earliest first"),
        ({"requirements": {"reminders": ["P8D"]}}, "after the request expired"),
        ({"requirements": {"escalate_after": "P1D"}}, "need each other"),
        ({"overrides": [{"name": "short", "escalate_to": ["ana"]}]}, "override 'short'"),
        (
            {
                "requirements": {"reminders": ["P3D"]},
                "overrides": [{"name": "short", "ttl": "P1D"}],
            },
            "override 'short': a reminder",
        ),
        ({"auto_deny": [NO.model_dump()], "auto_approve": [NO.model_dump()]}, "two rules"),
        ({"auto_deny": [NO.model_dump() | {"name": "sticky"}]}, "built-in"),
        ({"auto_deny": [NO.model_dump() | {"name": "Any Name"}]}, "pattern"),
        ({"settings": {"log_retention_days": 0}}, "greater than or equal to 1"),
        ({"settings": {"redact_prefixes": ["a"]}}, "pattern"),
        ({"colour": "red"}, "not permitted"),
    ],
)
def test_a_policy_that_cannot_be_met_is_refused(document: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ReviewPolicy.model_validate(document)


def test_equal_policies_are_written_as_equal_text() -> None:
    policies = [
        ReviewPolicy(requirements=Requirements(roles=frozenset(roles)))
        for roles in (
            [Role.ADMIN, Role.AUDITOR, Role.REVIEWER],
            [Role.REVIEWER, Role.ADMIN, Role.AUDITOR],
        )
    ]
    assert policies[0].model_dump_json() == policies[1].model_dump_json()
    assert ReviewPolicy.model_validate_json(policies[0].model_dump_json()) == policies[0]


def test_the_policy_puts_risky_releases_on_probation() -> None:
    policy = ReviewPolicy(
        requirements=Requirements(probation=ProbationTerms(hours=720)),
        overrides=(
            Override(name="risky", risks=(Risk.HIGH,), probation=ProbationTerms(calls=100)),
        ),
    )

    assert terms(policy, risk=Risk.LOW).probation == ProbationTerms(hours=720)
    assert terms(policy, risk=Risk.HIGH).probation == ProbationTerms(calls=100)

"""Rules in CEL: what is refused when a policy is saved, and what no expression can do."""

import time
from contextlib import suppress

import pytest

from mcpbox.domain.errors import Invalid
from mcpbox.domain.review_policy import ReviewFacts, Rule
from mcpbox.policies.rules import VARIABLES, RuleFailed, matches, require_sound
from tests.factories import review_facts

_PATIENCE_S = 2.0


def a_rule(expression: str) -> Rule:
    return Rule(name="rule", expression=expression, reason="Because.")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("kind == 'publish'", True),
        ("server == 'weather' && tool == 'forecast'", True),
        ("server.startsWith('prod-')", False),
        ("requester == 'client:laptop' && owner == 'ana'", True),
        ("risk in ['low', 'medium']", True),
        ("new_hosts.all(h, h.endsWith('.example.com'))", True),
        ("new_hosts.exists(h, h.matches('^api[.]'))", True),
        ("new_modules.size() == 0 && new_secrets == []", True),
        ("subset_of_released", False),
        ("checks.all(check, checks[check] == 'passed')", True),
        ("checks['guard'] == 'passed' && 'trial' in checks", True),
        ("weekday < 6 && hour >= 8 && hour < 18", True),
        ("hour + 1 == 11", True),
        ("// at night\nhour < 6", False),
    ],
)
def test_a_rule_asks_about_any_fact(expression: str, expected: bool) -> None:
    facts = review_facts(new_hosts=("api.example.com",), hour=10, weekday=3)
    require_sound(a_rule(expression))
    assert matches(a_rule(expression), facts) is expected


def test_every_fact_can_be_named_in_a_rule() -> None:
    assert set(VARIABLES) == set(ReviewFacts.model_fields)


@pytest.mark.parametrize(
    ("expression", "place", "words"),
    [
        ("kind == 'publish' &&\n  new_hosts.size( == 0", "line 2, column 19", "Syntax error"),
        ("kidn == 'publish'", "line 1, column 1", "undeclared reference to 'kidn'"),
        ("hour == 'noon'", "line 1, column 6", "no matching overload"),
        ("kind", "line 1, column 1", "true or false"),
        ("new_hosts.map(h, h) == []", "line 1, column", "undeclared reference"),
        ("kind + server == ''", "line 1, column 6", "no matching overload"),
        ("new_hosts + new_hosts == []", "line 1, column 11", "no matching overload"),
        ("(" * 400 + "true" + ")" * 400, "line 1, column 1", "recursion limit"),
        ("[" * 400 + "]" * 400 + " == []", "line 1, column 1", "recursion limit"),
        ("new_hosts.exists(a, " * 4 + "true" + ")" * 4, "loops more than 3 times", "split"),
        ("''" + "'a'" * 100, "line 1, column", "Syntax error"),
    ],
)
def test_what_does_not_compile_is_refused_with_its_place(
    expression: str, place: str, words: str
) -> None:
    with pytest.raises(Invalid) as refused:
        require_sound(a_rule(expression))
    assert "The rule 'rule'" in str(refused.value)
    assert place in str(refused.value)
    assert words in str(refused.value)


def test_an_expression_has_a_longest_length() -> None:
    with pytest.raises(ValueError, match="at most 1000"):
        a_rule("true ||" * 200 + "true")


@pytest.mark.parametrize(
    "expression",
    [
        "checks['nothing'] == 'passed'",
        "1 / (hour - hour) == 1",
        "server.matches('(a{1000}){1000}')",
        "server.matches('(')",
        "timestamp(server) == timestamp(tool)",
        # The budget of the library: a loop in a loop in a loop over large lists.
        f"{list(range(60))}.all(a, {list(range(60))}.all(b, {list(range(60))}.all(c, a != -1)))",
    ],
)
def test_what_cannot_be_evaluated_fails_and_matches_nothing(expression: str) -> None:
    require_sound(a_rule(expression))
    with pytest.raises(RuleFailed):
        matches(a_rule(expression), review_facts())


def doubled(width: int, depth: int) -> str:
    """A list of lists of lists, compared with itself: work that grows with every level."""
    text, inner = "", "1"
    for level in range(depth):
        text += "[[" + ",".join([inner] * width) + f"]].exists({'abcd'[level]}, "
        inner = "abcd"[level]
    return f"{text}{inner} == [] || {inner} != {inner}" + ")" * depth


@pytest.mark.parametrize(
    "expression",
    [
        doubled(100, 3),
        doubled(150, 3),
        "'" + "a" * 900 + "!'.matches('^(a+)+$')",
        "!" * 900 + "true",
        " || ".join(["server.matches('^(a|aa)+$')"] * 30),
        f"new_hosts.all(h, {'[' * 20}h{']' * 20} != [])",
    ],
)
def test_no_expression_takes_long(expression: str) -> None:
    facts = review_facts(
        server="a" * 100 + "!", new_hosts=tuple(f"h{number}.example" for number in range(500))
    )
    started = time.monotonic()
    with suppress(RuleFailed):
        matches(a_rule(expression), facts)
    assert time.monotonic() - started < _PATIENCE_S

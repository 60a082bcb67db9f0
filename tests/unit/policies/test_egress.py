"""Declared beside observed."""

import pytest

from mcpbox.domain.evidence import Risk
from mcpbox.policies.egress import Seen, egress_findings, host_uses, undeclared

A, B = "a.example", "b.example"
NEVER_SEEN = {"never-seen": Risk.LOW}


@pytest.mark.parametrize(
    ("declared", "granted", "seen", "expected"),
    [
        ([], [], [], {}),
        ([A], [A], [Seen("GET", A, None)], {}),
        ([A], [A], [Seen("GET", f"{A}:443", None)], {}),
        ([A], [A], [], NEVER_SEEN),
        ([A], [], [Seen("GET", A, "Not granted.")], {"not-granted-yet": Risk.LOW}),
        ([A], [A], [Seen("POST", A, "GET only.")], {"refused-attempt": Risk.MEDIUM}),
        ([], [], [Seen("GET", B, "Not granted.")], {"undeclared-host": Risk.HIGH}),
        ([], [B], [Seen("GET", B, None)], {"undeclared-host": Risk.CRITICAL}),
        ([f"{A}:8443"], [], [Seen("GET", A, "No.")], {"undeclared-host": Risk.HIGH} | NEVER_SEEN),
        ([], [], [Seen("", "", "… and 20 more")], {}),
    ],
)
def test_what_was_seen_is_held_against_what_is_declared(
    declared: list[str], granted: list[str], seen: list[Seen], expected: dict[str, Risk]
) -> None:
    uses = host_uses(declared, {}, granted, seen)

    assert {finding.rule: finding.level for finding in egress_findings(uses)} == expected


def test_a_row_for_each_host_says_all_that_is_known_of_it() -> None:
    seen = [Seen("GET", A, None), Seen("GET", A, None), Seen("POST", B, "No."), Seen("GET", B, "?")]

    first, second = host_uses([A], {A: ["GET"], "": ["any"]}, [A], seen)

    assert (first.host, first.methods, first.declared, first.reached) == (A, ("GET",), True, 2)
    assert (second.host, second.declared, second.refused, second.reason) == (B, False, 2, "No.")


def test_undeclared_hosts_are_named_once() -> None:
    seen = [Seen("GET", A, None), Seen("GET", B, "No."), Seen("GET", B, "No."), Seen("", "", "…")]

    assert undeclared([A], seen) == (B,)

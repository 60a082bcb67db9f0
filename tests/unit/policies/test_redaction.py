"""Secrets are cut out of what tools answer, in one pass."""

import time

import pytest

from mcpbox.policies.redaction import CUT, Redactor

REDACTOR = Redactor(values=["hunter2hunter2", "short"], prefixes=["acme-", "zz."])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the key is hunter2hunter2.", f"the key is {CUT}."),
        ("xhunter2hunter2x", f"x{CUT}x"),
        ("a short word stays", "a short word stays"),
        ("token=acme-1 and acme- alone", f"token={CUT} and acme- alone"),
        ('{"a": "zz.top"}', f'{{"a": "{CUT}"}}'),
        ("Authorization: Bearer sk-" + "a1" * 12, f"Authorization: Bearer {CUT}"),
        ("ghp_" + "x" * 36 + ",", f"{CUT},"),
        ("AKIA" + "Q" * 16, CUT),
        ("scikit sk-learn task-force disk-", "scikit sk-learn task-force disk-"),
        ("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nx", f"{CUT}\nx"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc", CUT),
        ("", ""),
    ],
)
def test_what_is_or_looks_like_a_secret_is_cut(text: str, shown: str) -> None:
    assert REDACTOR.text(text) == shown


def test_values_can_be_added_for_one_call() -> None:
    knowing = REDACTOR.knowing(["opensesame!"])
    assert knowing.text("opensesame! acme-1") == f"{CUT} {CUT}"
    assert REDACTOR.text("opensesame!") == "opensesame!"


def test_json_is_cut_at_any_depth_and_in_its_names() -> None:
    value = {"hunter2hunter2": [{"deep": "acme-9"}, 1, None, True], "n": 1.5}
    assert REDACTOR.json(value) == {CUT: [{"deep": CUT}, 1, None, True], "n": 1.5}
    assert value["n"] == 1.5


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----" * 40_000,
        "sk-" * 350_000,
        "acme-" * 200_000,
        "a" * 1_000_000,
        "-----BEGIN " + "A " * 500_000,
    ],
)
def test_a_megabyte_of_anything_is_looked_through_quickly(text: str) -> None:
    started = time.monotonic()
    REDACTOR.text(text)
    assert time.monotonic() - started < 2

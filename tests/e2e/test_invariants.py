"""Which tests hold which invariant; none of them may disappear or lose its name unnoticed."""

import ast
import gc
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
INVARIANTS: dict[str, dict[str, tuple[str, ...]]] = {
    "i1": {
        "unit/policies/test_may_call.py": ("test_i1_each_missing_fact_alone_stops_a_tool",),
        "service/gateway/test_calls.py": (
            "test_i1_what_may_not_be_called_now_is_refused_with_the_reason",
        ),
        "service/gateway/test_catalog.py": (
            "test_i1_a_tool_is_listed_only_while_every_condition_holds",
            "test_i1_a_host_that_is_granted_no_more_takes_the_tool_away",
            "test_i1_code_that_was_changed_under_its_stored_digest_is_not_callable",
        ),
        "unit/sandbox/test_receipts.py": ("test_i1_a_forged_envelope_is_refused",),
        "integration/sandbox/test_receipts.py": (
            "test_i1_code_that_no_receipt_covers_is_not_run_and_not_remembered",
        ),
        "e2e/test_receipts.py": ("test_i1_rows_that_agree_with_each_other_approve_nothing",),
        "e2e/test_narrowing.py": ("test_i1_a_released_tool_is_neither_listed_nor_callable_when",),
    },
    "i2": {
        "unit/policies/test_review.py": ("test_i2_what_is_decided_is_not_decided_again",),
        "integration/requests/test_deciding.py": (
            "test_i2_a_repeated_decision_id_changes_nothing",
            "test_i2_the_first_terminal_decision_wins",
            "test_i2_a_terminal_state_is_left_never",
        ),
    },
    "i3": {
        "unit/policies/test_review.py": (
            "test_i3_a_client_never_decides_whatever_roles_it_claims",
        ),
        "integration/requests/test_deciding.py": (
            "test_i3_i4_a_forbidden_decision_is_refused_on_every_path",
        ),
        "service/gateway/test_management_tools.py": (
            "test_i3_no_tool_of_the_gateway_decides_on_a_request",
        ),
        "e2e/test_forbidden_decisions.py": (
            "test_i3_i4_a_forbidden_decision_is_refused_in_the_same_words_on_every_path",
        ),
        "e2e/test_access.py": (
            "test_i3_a_client_token_opens_nothing_on_rest_and_decides_nothing",
            "test_i3_i4_a_forbidden_update_to_temporal_leaves_no_trace",
        ),
    },
    "i4": {
        "integration/requests/test_deciding.py": (
            "test_i3_i4_a_forbidden_decision_is_refused_on_every_path",
        ),
        "e2e/test_forbidden_decisions.py": (
            "test_i3_i4_a_forbidden_decision_is_refused_in_the_same_words_on_every_path",
        ),
        "e2e/test_access.py": (
            "test_i4_a_person_without_the_role_is_refused_on_rest",
            "test_i3_i4_a_forbidden_update_to_temporal_leaves_no_trace",
        ),
    },
    "i5": {
        "integration/requests/test_life.py": (
            "test_i5_what_changed_after_the_decision_is_never_released",
            "test_i5_a_grant_that_was_revoked_after_the_decision_stops_the_release",
        ),
    },
    "i7": {
        "e2e/test_crashes.py": (
            "test_i7_a_waiting_request_survives_kill_9_and_is_applied_exactly_once",
            "test_i7_kill_9_between_decision_and_effect_still_applies_exactly_once",
        ),
    },
}
HOLDERS = [
    pytest.param(invariant, file, name, id=f"{invariant}-{name}")
    for invariant, files in INVARIANTS.items()
    for file, names in files.items()
    for name in names
]


@cache
def _parsed(file: str) -> ast.Module:
    gc.collect()  # what it would end in the middle of parsing makes Python 3.11 lose count
    return ast.parse((TESTS / file).read_text())


@pytest.mark.parametrize(("invariant", "file", "name"), HOLDERS)
def test_every_invariant_is_held_by_tests_that_carry_its_number(
    invariant: str, file: str, name: str
) -> None:
    tree = _parsed(file)
    tests = {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    carried = re.match(r"test_((?:i\d+_)+)", name)

    assert name in tests
    assert carried is not None
    assert invariant in carried.group(1).split("_")

"""The policy as it is being edited."""

import pytest
from pydantic import ValidationError

from mcpbox.domain.review_policy import ApprovalMode, ReviewPolicy, Rule
from ui.pages.policy_draft import Draft

RULE = Rule(name="all", expression="true", reason="Because.")


def test_a_draft_names_what_differs_and_forgets_it_when_it_is_undone() -> None:
    draft, told = Draft(ReviewPolicy(), editable=True), list[list[str]]()
    draft.on_change = lambda: told.append(draft.changed_parts)

    draft.set("settings", tool_approval_mode=ApprovalMode.AUTO_APPROVE)
    draft.set_rules("auto_approve", [RULE])
    draft.set("settings", tool_approval_mode=ApprovalMode.REQUIRE_APPROVAL)
    draft.set_rules("auto_approve", [])

    assert told == [["settings"], ["auto_approve", "settings"], ["auto_approve"], []]
    assert draft.checked() == ReviewPolicy()


def test_what_was_typed_is_checked_before_it_is_sent() -> None:
    draft = Draft(ReviewPolicy(), editable=True)
    draft.set_rules("auto_approve", [RULE])
    draft.set_rules("auto_deny", [RULE])

    with pytest.raises(ValidationError, match="two rules are named 'all'"):
        draft.checked()

"""remote_tool_editing: who is outside, and what they may not do."""

import pytest

from mcpbox.domain.errors import Refused
from mcpbox.domain.review_policy import RemoteEditing, SecuritySettings
from mcpbox.policies.editing import is_remote, may_edit


def test_from_outside_nothing_is_changed_unless_an_admin_said_so() -> None:
    strict = SecuritySettings()
    opened = SecuritySettings(remote_tool_editing=RemoteEditing.ENABLED)

    assert isinstance(may_edit(strict, remote=True).refusal, Refused)
    assert may_edit(strict, remote=False)
    assert may_edit(opened, remote=True)


@pytest.mark.parametrize(
    ("peer", "forwarded", "remote"),
    [
        ("127.0.0.1", False, False),
        ("::1", False, False),
        ("::ffff:127.0.0.1", False, False),
        ("192.168.1.7", False, False),
        ("172.18.0.1", False, False),
        ("fe80::1%eth0", False, False),
        ("127.0.0.1", True, True),
        ("93.184.216.34", False, True),
        ("::ffff:93.184.216.34", False, True),
        ("100.64.0.1", False, True),
        ("2606:2800:220:1::1", False, True),
        ("0.0.0.0", False, True),  # noqa: S104 - an address to judge
        ("panel", False, True),
        (None, False, True),
    ],
)
def test_who_is_outside(peer: str | None, *, forwarded: bool, remote: bool) -> None:
    assert is_remote(peer, forwarded=forwarded) is remote

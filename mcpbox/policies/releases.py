"""Which version of a tool may be released again, and how; asked when it is wished and when applied.

What a person revoked comes back through a request to restore it alone, which says so.
"""

from collections.abc import Sequence

from mcpbox.domain.errors import Conflict
from mcpbox.domain.releases import ReleasedVersion
from mcpbox.policies.ruling import ALLOWED, Ruling


def may_roll_back_to(wanted: ReleasedVersion) -> Ruling:
    number = wanted.version.number
    if wanted.active:
        return Ruling(Conflict(f"Version {number} is the one that is released now."))
    if wanted.revoked:
        return Ruling(_revoked(wanted))
    if wanted.last is None:
        return Ruling(
            Conflict(
                f"Version {number} was never released, so there is no way back to it; ask with "
                "mcpbox_request_publish, or see mcpbox_list_tool_versions."
            )
        )
    return ALLOWED


def may_restore(wanted: ReleasedVersion, versions: Sequence[ReleasedVersion]) -> Ruling:
    """``versions``: all of its tool."""
    if not wanted.revoked:
        return Ruling(Conflict(f"Version {wanted.version.number} is not revoked."))
    active = next((one for one in versions if one.active), None)
    if active is not None:
        return Ruling(
            Conflict(f"Version {active.version.number} was released meanwhile; keep that one.")
        )
    return ALLOWED


def may_publish_again(wanted: ReleasedVersion) -> Ruling:
    return Ruling(_revoked(wanted)) if wanted.revoked else ALLOWED


def last_revoked(versions: Sequence[ReleasedVersion]) -> ReleasedVersion | None:
    """The version whose release was the tool's last one, if a person ended that."""
    released = [one for one in versions if one.last is not None]
    newest = max(released, key=lambda one: one.releases[0].active_from, default=None)
    return newest if newest is not None and newest.revoked else None


def _revoked(wanted: ReleasedVersion) -> Conflict:
    last = wanted.releases[0]
    return Conflict(
        f"The release of version {wanted.version.number} was revoked by {last.revoked_by}: "
        f"{last.revoke_reason or 'no reason was given'} Ask for it with mcpbox_restore_tool, or "
        "change the tool."
    )

"""Attempts at the same ask: what stays decided, and which one comes next."""

from collections.abc import Sequence

from mcpbox.domain.errors import Conflict
from mcpbox.domain.modules import Requirement
from mcpbox.domain.requests import State
from mcpbox.domain.subjects import ModuleSubject, PublishSubject
from mcpbox.domain.tools import ToolDetail
from mcpbox.store import requests
from mcpbox.store.tables.requests import RequestRow


def require_publishable(
    tool: ToolDetail, subject: PublishSubject, denied: RequestRow | None
) -> None:
    """Raises: Conflict: released or refused already; what was decided about a digest stays."""
    version = tool.current
    if tool.released is not None and tool.released.digest == version.digest:
        raise Conflict(f"Version {version.number} of {tool.callable_name!r} is released.")
    # What a check missed may be brought with it now; what people denied stays denied.
    brings_more = bool(subject.requirements) and (
        denied is not None and requests.subject_in(denied) != subject
    )
    if denied is not None and (denied.state == State.DENIED or not brings_more):
        word = "denied" if denied.state == State.DENIED else "vetoed by a check"
        raise Conflict(
            f"This exact version was {word}: {denied.state_reason or 'no reason was given'} "
            "Change the tool with mcpbox_update_tool, then ask again."
        )


def require_askable(
    subject: ModuleSubject, granted: Sequence[Requirement], earlier: Sequence[RequestRow]
) -> None:
    """A denial stays; a veto does not, for what the index offers may have changed.

    Raises: Conflict: granted or denied already.
    """
    wanted = subject.requirement
    if wanted in granted:
        raise Conflict(f"{subject.server_name!r} may import {wanted.module!r} already.")
    require_not_denied(earlier, f"The module {wanted.module!r} ({wanted})")


def require_not_denied(earlier: Sequence[RequestRow], what: str) -> None:
    """Raises: Conflict: what people decided stays decided."""
    last = earlier[-1] if earlier else None
    if last is not None and last.state == State.DENIED:
        raise Conflict(
            f"{what} was denied: {last.state_reason or 'no reason was given'} "
            "Do without it, or ask for another one."
        )


def attempt_after(earlier: Sequence[RequestRow]) -> int:
    """``earlier``: all for the same digest, oldest first; what is open is asked again."""
    if not earlier:
        return 0
    return len(earlier) if State(earlier[-1].state).terminal else len(earlier) - 1

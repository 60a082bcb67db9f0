"""What a fork server leaves out, so that there is less to copy with every fork.

Called first, before anything else is imported.
"""

import os
import sys
from collections.abc import Callable

_REPAIR_LOCKS = frozenset({"logging", "threading"})
"""Their hooks free what other threads held; this process never has another thread."""
_COMMAND_LINE = "httpx._main"


def leave_out() -> None:
    _leave_out_hooks()
    # With it come a terminal's colours and tables; without it, httpx offers a stand-in.
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]


def _leave_out_hooks() -> None:
    register = os.register_at_fork

    def register_needed(**hooks: Callable[[], object]) -> None:
        needed = {
            when: hook
            for when, hook in hooks.items()
            if getattr(hook, "__module__", None) not in _REPAIR_LOCKS
        }
        if needed:
            register(**needed)

    os.register_at_fork = register_needed

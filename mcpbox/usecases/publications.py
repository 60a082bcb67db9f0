"""A publication: what the newest version of a tool, with the modules it brings, asks for."""

import sys
from collections.abc import Sequence

from mcpbox.domain.errors import Conflict, Invalid
from mcpbox.domain.modules import Requirement
from mcpbox.domain.subjects import PublishSubject
from mcpbox.domain.tools import ToolDetail
from sandbox.contract import DEFAULT_MODULES


def publication_of(
    tool: ToolDetail, requirements: Sequence[Requirement], held: Sequence[Requirement]
) -> PublishSubject:
    """Raises: Conflict; Invalid: a module that needs no grant, or that the code does not import."""
    new = {one.module: one for one in requirements if one not in held}
    for one in new.values():
        require_grantable(one)
        if one.module not in tool.current.manifest.modules:
            raise Invalid(
                f"{tool.name!r} does not import {one.module!r}; ask for what it imports alone, or "
                "use mcpbox_request_module."
            )
    return PublishSubject(
        requirements=tuple(new[module] for module in sorted(new)),
        server_id=tool.server_id,
        server_name=tool.server_name,
        tool_id=tool.id,
        tool_name=tool.current.name,
        version_id=tool.current.id,
        version_number=tool.current.number,
    )


def require_grantable(requirement: Requirement) -> None:
    """Raises: Conflict: every tool has it; Invalid: no package can bring it."""
    module = requirement.module
    if module in DEFAULT_MODULES:
        raise Conflict(f"Every tool may import {module!r}; no grant is needed.")
    if module in sys.stdlib_module_names:
        raise Invalid(
            f"{module!r} is a module of Python itself: no package brings it and no grant opens it. "
            "mcpbox_validate_code says what to use instead."
        )

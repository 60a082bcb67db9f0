"""Keeps a record of who tried what they may not."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mcpbox.domain.audit import Action
from mcpbox.domain.errors import Refused
from mcpbox.domain.narrowing import Switch
from mcpbox.domain.people import Principal
from mcpbox.store.audit import add_event
from mcpbox.store.session import Sessions, transaction


@asynccontextmanager
async def refusals_recorded(
    sessions: Sessions, by: Principal, switch: Switch, subject: str
) -> AsyncGenerator[None]:
    """Around the transaction that is undone. ``subject``: ``tool:<id>``, as in the audit log.

    Raises: Refused: as it came.
    """
    try:
        yield
    except Refused as refusal:
        async with transaction(sessions) as session:
            add_event(
                session,
                actor=by.label,
                action=Action.SWITCH_REFUSED,
                subject=subject,
                detail=f"{switch}: {refusal}",
                facts={"switch": switch},
            )
        raise

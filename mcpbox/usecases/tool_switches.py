"""What takes a tool's power away at once, and gives it back (I9)."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Conflict
from mcpbox.domain.ids import ToolId
from mcpbox.domain.narrowing import Switch
from mcpbox.domain.people import Principal
from mcpbox.domain.tools import ToolDetail
from mcpbox.policies.narrowing import may_switch, outranks
from mcpbox.store import releases, tools
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.tools import ToolRow
from mcpbox.usecases.refusals import refusals_recorded


class ToolSwitches:
    """Each acts on calls in flight too; throwing one twice changes nothing."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def disable(self, by: Principal, tool_id: ToolId, reason: str = "") -> ToolDetail:
        """Raises: NotFound; Refused."""
        recorded = refusals_recorded(self._sessions, by, Switch.DISABLE, f"tool:{tool_id}")
        async with recorded, transaction(self._sessions) as session:
            row = await tools.get_tool_row(session, tool_id)
            set_enabled(session, by, row, enabled=False, reason=reason)
        return await self._now(tool_id)

    async def enable(self, by: Principal, tool_id: ToolId, reason: str = "") -> ToolDetail:
        """Raises: NotFound; Refused: a person's word outranks it; Conflict: quarantined."""
        recorded = refusals_recorded(self._sessions, by, Switch.ENABLE, f"tool:{tool_id}")
        async with recorded, transaction(self._sessions) as session:
            row = await tools.get_tool_row(session, tool_id)
            set_enabled(session, by, row, enabled=True, reason=reason)
        return await self._now(tool_id)

    async def revoke(self, by: Principal, tool_id: ToolId, reason: str) -> ToolDetail:
        """Its released version is gone; only people's decision on a request brings it back.

        Raises: NotFound; Refused; Invalid: no reason; Conflict: nothing is released.
        """
        now = utc_now()
        recorded = refusals_recorded(self._sessions, by, Switch.REVOKE, f"tool:{tool_id}")
        async with recorded, transaction(self._sessions) as session:
            row = await tools.get_tool_row(session, tool_id)
            may_switch(by, Switch.REVOKE, tools.standing_of(row), reason).require()
            found = await releases.find_active(session, tool_id)
            if found is None:
                raise Conflict(f"Nothing of the tool {row.name!r} is released.")
            release, version = found
            release.active_to = release.revoked_at = now
            release.revoked_by = by.label
            release.revoke_reason = reason
            facts = {"version": version.number, "digest": release.digest}
            _record(session, by, row, Action.RELEASE_REVOKED, reason, facts)
        return await self._now(tool_id)

    async def quarantine(self, by: Principal, tool_id: ToolId, reason: str) -> ToolDetail:
        """Disabled, and not to be enabled before an admin lifts it.

        Raises: NotFound; Refused; Invalid: no reason.
        """
        now = utc_now()
        recorded = refusals_recorded(self._sessions, by, Switch.QUARANTINE, f"tool:{tool_id}")
        async with recorded, transaction(self._sessions) as session:
            row = await tools.get_tool_row(session, tool_id)
            standing = tools.standing_of(row)
            may_switch(by, Switch.QUARANTINE, standing, reason).require()
            if standing.quarantine is None:
                row.quarantined_at = now
                row.quarantined_by = by.label
                row.quarantine_reason = reason
                if outranks(by, standing.off):
                    _switch_off(row, by, reason)
                _record(session, by, row, Action.TOOL_QUARANTINED, reason)
        return await self._now(tool_id)

    async def lift_quarantine(self, by: Principal, tool_id: ToolId, reason: str) -> ToolDetail:
        """It stays disabled until it is enabled. Raises: NotFound; Refused; Invalid; Conflict."""
        recorded = refusals_recorded(self._sessions, by, Switch.LIFT, f"tool:{tool_id}")
        async with recorded, transaction(self._sessions) as session:
            row = await tools.get_tool_row(session, tool_id)
            may_switch(by, Switch.LIFT, tools.standing_of(row), reason).require()
            row.quarantined_at = row.quarantined_by = row.quarantine_reason = None
            _record(session, by, row, Action.TOOL_QUARANTINE_LIFTED, reason)
        return await self._now(tool_id)

    async def _now(self, tool_id: ToolId) -> ToolDetail:
        async with reading(self._sessions) as session:
            return await tools.get_tool(session, tool_id)


def set_enabled(
    session: AsyncSession, by: Principal, row: ToolRow, *, enabled: bool, reason: str = ""
) -> None:
    """Raises: Refused; Conflict: quarantined."""
    standing = tools.standing_of(row)
    may_switch(by, Switch.ENABLE if enabled else Switch.DISABLE, standing, reason).require()
    if enabled and not row.enabled:
        row.enabled = True
        row.disabled_at = row.disabled_by = row.disable_reason = None
        _record(session, by, row, Action.TOOL_ENABLED, reason)
    elif not enabled and (row.enabled or outranks(by, standing.off)):
        _switch_off(row, by, reason)
        _record(session, by, row, Action.TOOL_DISABLED, reason)


def _switch_off(row: ToolRow, by: Principal, reason: str) -> None:
    row.enabled = False
    row.disabled_at = utc_now()
    row.disabled_by = by.label
    row.disable_reason = reason


def _record(
    session: AsyncSession,
    by: Principal,
    row: ToolRow,
    action: Action,
    reason: str,
    facts: dict[str, Any] | None = None,
) -> None:
    row.updated_at = utc_now()
    announce(session, Topic.CATALOG, row.id)
    add_event(
        session,
        actor=by.label,
        action=action,
        subject=f"tool:{row.id}",
        detail=f"{row.name}: {reason}" if reason else row.name,
        facts=facts,
    )

"""Servers: list, create, start, stop, quarantine, isolate."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.audit import Action
from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.errors import NameTaken
from mcpbox.domain.ids import ServerId
from mcpbox.domain.narrowing import Switch
from mcpbox.domain.people import Principal
from mcpbox.domain.servers import (
    DesiredState,
    IsolationMode,
    ServerKind,
    ServerModules,
    ServerSummary,
)
from mcpbox.policies.narrowing import may_switch, outranks
from mcpbox.policies.servers import may_set_isolation
from mcpbox.store import modules, servers
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.servers import ServerRow
from mcpbox.usecases.names import checked_description, checked_name
from mcpbox.usecases.refusals import refusals_recorded


class Servers:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def list(self, page: PageRequest) -> Page[ServerSummary]:
        """By name."""
        async with reading(self._sessions) as session:
            return await servers.servers(session, page)

    async def get(self, server_id: ServerId) -> ServerSummary:
        """Raises: NotFound."""
        async with reading(self._sessions) as session:
            return await servers.get_server(session, server_id)

    async def modules(self, server_id: ServerId) -> ServerModules:
        """Raises: NotFound."""
        async with reading(self._sessions) as session:
            server = await servers.get_server(session, server_id)
            granted = await modules.granted_modules(session, server_id)
            lock = await modules.lock_of(session, server_id)
        return ServerModules(server=server, granted=granted, lock=lock if granted else None)

    async def create(self, by: Principal, *, name: str, description: str) -> ServerSummary:
        """A new server runs; it has no tools that could be called.

        Raises: Invalid; NameTaken.
        """
        checked_name("server", name)
        checked_description(description)
        try:
            async with transaction(self._sessions) as session:
                row = await servers.add_server(
                    session,
                    name=name,
                    description=description,
                    kind=ServerKind.AUTHORED,
                    by=by.label,
                )
                add_event(
                    session,
                    actor=by.label,
                    action=Action.SERVER_CREATED,
                    subject=f"server:{row.id}",
                    detail=name,
                )
        except IntegrityError as error:
            raise NameTaken("server", name) from error
        return await self.get(ServerId(row.id))

    async def start(self, by: Principal, server_id: ServerId, reason: str = "") -> ServerSummary:
        """Makes its released tools callable again.

        Raises: NotFound; Refused: a person's word outranks it; Conflict: quarantined.
        """
        recorded = refusals_recorded(self._sessions, by, Switch.START, f"server:{server_id}")
        async with recorded, transaction(self._sessions) as session:
            row = await servers.get_server_row(session, server_id)
            may_switch(by, Switch.START, servers.standing_of(row), reason).require()
            if row.desired_state != DesiredState.RUNNING:
                row.desired_state = DesiredState.RUNNING
                row.stopped_at = row.stopped_by = row.stop_reason = None
                _record(session, by, row, Action.SERVER_STARTED, reason)
        return await self.get(server_id)

    async def stop(self, by: Principal, server_id: ServerId, reason: str = "") -> ServerSummary:
        """Takes effect at once, needs no approval, ends calls in flight (I9).

        Raises: NotFound; Refused.
        """
        recorded = refusals_recorded(self._sessions, by, Switch.STOP, f"server:{server_id}")
        async with recorded, transaction(self._sessions) as session:
            row = await servers.get_server_row(session, server_id)
            standing = servers.standing_of(row)
            may_switch(by, Switch.STOP, standing, reason).require()
            if row.desired_state != DesiredState.STOPPED or outranks(by, standing.off):
                _switch_off(row, by, reason)
                _record(session, by, row, Action.SERVER_STOPPED, reason)
        return await self.get(server_id)

    async def quarantine(self, by: Principal, server_id: ServerId, reason: str) -> ServerSummary:
        """Stopped, and not to be started before an admin lifts it.

        Raises: NotFound; Refused; Invalid: no reason.
        """
        recorded = refusals_recorded(self._sessions, by, Switch.QUARANTINE, f"server:{server_id}")
        async with recorded, transaction(self._sessions) as session:
            row = await servers.get_server_row(session, server_id)
            standing = servers.standing_of(row)
            may_switch(by, Switch.QUARANTINE, standing, reason).require()
            if standing.quarantine is None:
                row.quarantined_at = utc_now()
                row.quarantined_by = by.label
                row.quarantine_reason = reason
                if outranks(by, standing.off):
                    _switch_off(row, by, reason)
                _record(session, by, row, Action.SERVER_QUARANTINED, reason)
        return await self.get(server_id)

    async def lift_quarantine(
        self, by: Principal, server_id: ServerId, reason: str
    ) -> ServerSummary:
        """It stays stopped until it is started. Raises: NotFound; Refused; Invalid; Conflict."""
        recorded = refusals_recorded(self._sessions, by, Switch.LIFT, f"server:{server_id}")
        async with recorded, transaction(self._sessions) as session:
            row = await servers.get_server_row(session, server_id)
            may_switch(by, Switch.LIFT, servers.standing_of(row), reason).require()
            row.quarantined_at = row.quarantined_by = row.quarantine_reason = None
            _record(session, by, row, Action.SERVER_QUARANTINE_LIFTED, reason)
        return await self.get(server_id)

    async def set_isolation(
        self, by: Principal, server_id: ServerId, mode: IsolationMode
    ) -> ServerSummary:
        """Acts on the next call; to ``CALL``, on calls in flight too (I9).

        Raises: Refused; NotFound.
        """
        may_set_isolation(by).require()
        async with transaction(self._sessions) as session:
            row = await servers.get_server_row(session, server_id)
            if row.isolation != mode:
                before, row.isolation = row.isolation, mode
                row.updated_at = utc_now()
                announce(session, Topic.CATALOG, server_id)
                add_event(
                    session,
                    actor=by.label,
                    action=Action.SERVER_ISOLATION_CHANGED,
                    subject=f"server:{server_id}",
                    detail=f"{row.name}: {before} to {mode}",
                )
        return await self.get(server_id)


def _switch_off(row: ServerRow, by: Principal, reason: str) -> None:
    row.desired_state = DesiredState.STOPPED
    row.stopped_at = utc_now()
    row.stopped_by = by.label
    row.stop_reason = reason


def _record(
    session: AsyncSession, by: Principal, row: ServerRow, action: Action, reason: str
) -> None:
    row.updated_at = utc_now()
    announce(session, Topic.CATALOG, row.id)
    add_event(
        session,
        actor=by.label,
        action=action,
        subject=f"server:{row.id}",
        detail=f"{row.name}: {reason}" if reason else row.name,
    )

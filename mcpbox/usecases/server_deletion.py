"""Deleting a server: everything of it ends at once (I9), and the record stays."""

from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.ids import ServerId
from mcpbox.domain.narrowing import Switch
from mcpbox.domain.people import Principal
from mcpbox.domain.servers import DesiredState
from mcpbox.policies.narrowing import may_switch
from mcpbox.store import asked_before, grants, secrets, servers, tools
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, transaction
from mcpbox.usecases.recovery import Recoveries
from mcpbox.usecases.refusals import refusals_recorded
from mcpbox.usecases.requests import Requests

_WHY = "The server was deleted."


class ServerDeletion:
    def __init__(self, sessions: Sessions, requests: Requests, recoveries: Recoveries) -> None:
        self._sessions = sessions
        self._requests = requests
        self._recoveries = recoveries

    async def delete(self, by: Principal, server_id: ServerId, reason: str = "") -> str:
        """The name it had, which is free now.

        Its tools, grants and secrets end with it, and calls in flight too. Its open requests are
        withdrawn; one that cannot be reached now fails when it is applied.
        Raises: NotFound; Refused: a person's word on it, or on a tool of it, outranks this.
        """
        recorded = refusals_recorded(self._sessions, by, Switch.DELETE, f"server:{server_id}")
        async with recorded, transaction(self._sessions) as session:
            row = await servers.get_server_row(session, server_id)
            living = await tools.living_rows(session, server_id)
            for standing in (servers.standing_of(row), *map(tools.standing_of, living)):
                may_switch(by, Switch.DELETE, standing).require()
            now = utc_now()
            await tools.delete_tools(session, [tool.id for tool in living], at=now)
            ended = await grants.revoke_all(session, server_id, by=by.label, reason=_WHY, at=now)
            await secrets.delete_all(session, server_id)
            row.deleted_at = row.updated_at = now
            row.desired_state = DesiredState.STOPPED
            waiting = await asked_before.open_workflows_of_server(session, server_id)
            announce(session, Topic.CATALOG, server_id)
            add_event(
                session,
                actor=by.label,
                action=Action.SERVER_DELETED,
                subject=f"server:{server_id}",
                detail=f"{row.name}: {reason}" if reason else row.name,
                facts={"tools": [tool.name for tool in living], "grants": ended},
            )
            name = row.name
        await self._requests.withdraw_all(waiting, reason=_WHY)
        await self._recoveries.end(server_id)
        return name

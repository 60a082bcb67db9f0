"""What brings servers back to a sandbox that was started anew, and what keeps a record of it."""

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.errors import final_domain_errors
from activities.heartbeats import heartbeating
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.calls import CallableTool
from mcpbox.domain.errors import DomainError, Unavailable
from mcpbox.domain.notices import Event, Notice
from mcpbox.domain.people import Role
from mcpbox.domain.recovery import RecoveryState
from mcpbox.domain.servers import DesiredState
from mcpbox.policies.call import may_list
from mcpbox.sandbox_client import SandboxClient
from mcpbox.store import notices, people, recovery
from mcpbox.store.audit import add_event
from mcpbox.store.catalog import load_callables
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.servers import ServerRow
from mcpbox.usecases.bundles import released_bundle
from workflows.recovery import (
    FindPerson,
    FoundPerson,
    FoundServer,
    FoundServers,
    RecordRecovery,
    RecordRefusedAnswer,
    RecoveryActivities,
    RestoreServer,
    Sighting,
)

_KNOWN_MAX = 50
_TOLD = 3
_ACTIONS = {
    RecoveryState.RESTORING: Action.RECOVERY_TRIED_AGAIN,
    RecoveryState.WAITING: Action.RECOVERY_FAILED,
    RecoveryState.RESTORED: Action.RECOVERY_RESTORED,
    RecoveryState.STOPPED: Action.RECOVERY_STOPPED,
    RecoveryState.IGNORED: Action.RECOVERY_IGNORED,
}


class RestoredServers(RecoveryActivities):
    def __init__(self, sessions: Sessions, sandbox: SandboxClient) -> None:
        self._sessions = sessions
        self._sandbox = sandbox

    @activity.defn
    async def look_at_sandbox(self, given: Sighting) -> Sighting:
        try:
            health = await self._sandbox.health()
        except Unavailable:
            return Sighting(known=given.known, silent=given.silent + 1)
        if not health.instance:
            return Sighting(known=given.known)
        others = tuple(name for name in given.known if name != health.instance)
        return Sighting(known=(health.instance, *others)[:_KNOWN_MAX])

    @activity.defn
    async def find_servers(self) -> FoundServers:
        with final_domain_errors():
            async with reading(self._sessions) as session:
                found = await recovery.servers_to_restore(session)
        return FoundServers(
            servers=tuple(FoundServer(server_id=server_id, name=name) for server_id, name in found)
        )

    @activity.defn
    async def restore_server(self, given: RestoreServer) -> None:
        now = utc_now()
        with final_domain_errors():
            async with reading(self._sessions) as session:
                tools = await load_callables(session, given.server_id)
        async with heartbeating():
            problems = [
                problem
                for tool in tools
                if tool.version.in_sandbox
                and may_list(tool, now)
                and (problem := await self._try(tool))
            ]
        if problems:
            told = " ".join(problems[:_TOLD])
            more = f" And {len(problems) - _TOLD} more." if len(problems) > _TOLD else ""
            raise ApplicationError(told + more, type="NotRestored")

    @activity.defn
    async def record_recovery(self, given: RecordRecovery) -> None:
        now = utc_now()
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                if given.state is RecoveryState.STOPPED:
                    await _stop(session, given)
                changed = await recovery.keep(
                    session,
                    given.server_id,
                    given.state,
                    problem=given.problem,
                    tries=given.tries,
                    started_at=given.started_at,
                    now=now,
                )
                if not changed:
                    return
                announce(session, Topic.RECOVERY, given.server_id)
                if given.state is RecoveryState.WAITING:
                    await notices.post(session, _asking(given))
                add_event(
                    session,
                    actor=given.actor,
                    action=_ACTIONS[given.state],
                    subject=f"server:{given.server_id}",
                    detail=": ".join(filter(None, (given.name, given.problem, given.reason))),
                )

    @activity.defn
    async def record_refused_answer(self, given: RecordRefusedAnswer) -> None:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                add_event(
                    session,
                    actor=f"person:{given.who}",
                    action=Action.RECOVERY_ANSWER_REFUSED,
                    subject=f"server:{given.server_id}",
                    detail=given.reason,
                    facts={"channel": "temporal"},
                )

    @activity.defn
    async def find_person(self, given: FindPerson) -> FoundPerson:
        with final_domain_errors():
            async with reading(self._sessions) as session:
                return FoundPerson(person=await people.find_reviewer(session, given.username))

    async def _try(self, tool: CallableTool) -> str:
        """What is wrong with it; empty when it is ready to be called."""
        try:
            registered = await self._sandbox.register(released_bundle(tool))
        except DomainError as error:
            return f"{tool.name}: {error}"
        return f"{tool.name}: {registered.problem}" if registered.problem else ""


async def _stop(session: AsyncSession, given: RecordRecovery) -> None:
    row = await session.get_one(ServerRow, given.server_id, with_for_update=True)
    if row.desired_state == DesiredState.STOPPED:
        return
    row.desired_state = DesiredState.STOPPED
    row.updated_at = utc_now()
    announce(session, Topic.CATALOG, given.server_id)
    add_event(
        session,
        actor=given.actor,
        action=Action.SERVER_STOPPED,
        subject=f"server:{given.server_id}",
        detail=row.name,
    )


def _asking(given: RecordRecovery) -> Notice:
    return Notice(
        key=f"recovery:{given.server_id}:{given.started_at.isoformat()}:{given.tries}",
        event=Event.RECOVERY_WAITING,
        about=f"The server {given.name}",
        path=f"/servers/{given.server_id}",
        roles=(Role.ADMIN,),
    )

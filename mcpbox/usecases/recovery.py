"""Recoveries: read them, and answer one that waits. The workflow is the truth; this asks it."""

from contextlib import suppress

from mcpbox.domain.errors import Conflict, NotFound, Unavailable
from mcpbox.domain.ids import ServerId
from mcpbox.domain.people import Principal
from mcpbox.domain.recovery import (
    Recovery,
    RecoveryOutcome,
    ResolveCommand,
    ResolveDraft,
    recovery_workflow_id,
)
from mcpbox.policies.recovery import may_resolve
from mcpbox.store import recovery
from mcpbox.store.session import Sessions, reading
from mcpbox.temporal import Message, TemporalGate


class Recoveries:
    def __init__(self, sessions: Sessions, gate: TemporalGate) -> None:
        self._sessions = sessions
        self._gate = gate

    async def list(self) -> list[Recovery]:
        """The newest of each server; those that wait for an answer first."""
        async with reading(self._sessions) as session:
            return await recovery.recoveries(session)

    async def get(self, server_id: ServerId) -> Recovery:
        """Raises: NotFound: it never had to be brought back."""
        async with reading(self._sessions) as session:
            return await recovery.get_recovery(session, server_id)

    async def end(self, server_id: ServerId) -> None:
        """Of a server that was deleted: with nothing left to bring back, its recovery ends.

        As far as Temporal can be reached now; else an admin's answer, whichever it is, ends it.
        """
        with suppress(Unavailable):
            await self._gate.signal(recovery_workflow_id(server_id), Message.AGAIN)

    async def resolve(
        self, by: Principal, server_id: ServerId, draft: ResolveDraft
    ) -> RecoveryOutcome:
        """Answers when it has taken effect; a retry, when it began.

        Raises: NotFound; Refused; Conflict: it asks for nothing; Unavailable.
        """
        found = await self.get(server_id)
        may_resolve(found.state, by).require()
        command = ResolveCommand(**draft.model_dump(), by=by)
        try:
            return await self._gate.update(
                recovery_workflow_id(server_id), Message.RESOLVE, command, RecoveryOutcome
            )
        except NotFound as error:
            raise Conflict(
                "Temporal no longer knows this recovery; the next restart of the sandbox begins "
                "another one."
            ) from error

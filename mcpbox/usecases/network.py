"""Hosts: ask that a server's tools may reach one."""

from mcpbox.domain.digests import digest_of_access
from mcpbox.domain.errors import Conflict, Invalid
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import ServerId
from mcpbox.domain.people import Principal
from mcpbox.domain.requests import RequestSummary, workflow_ids_begin
from mcpbox.domain.subjects import HostSubject
from mcpbox.store import asked_before
from mcpbox.store.grants import require_holder
from mcpbox.store.session import Sessions, reading
from mcpbox.usecases.attempts import require_not_denied
from mcpbox.usecases.requests import Requests


class Network:
    def __init__(self, sessions: Sessions, requests: Requests) -> None:
        self._sessions = sessions
        self._requests = requests

    async def request_access(
        self,
        by: Principal,
        server_id: ServerId,
        access: HostAccess,
        *,
        days: int | None = None,
        justification: str,
    ) -> RequestSummary:
        """Ask that a server's tools may reach a host; asking twice is asking once.

        Raises: Conflict: granted or denied already; Invalid; NotFound; Unavailable.
        """
        if not justification.strip():
            raise Invalid("Say in the notes what the host is for: reviewers have to know.")
        digest = digest_of_access(server_id, access, days=days)
        async with reading(self._sessions) as session:
            holder = await require_holder(session, server_id)
            subject = HostSubject(
                server_id=server_id, server_name=holder.name, access=access, days=days
            )
            earlier = await asked_before.attempts(session, workflow_ids_begin(subject, digest))
        # What ends by itself may be asked for again before it does.
        if access.allowed_by(holder.granted.lasting_hosts):
            raise Conflict(f"The tools of {holder.name!r} may reach {access} already.")
        require_not_denied(earlier, f"The host {access}")
        return await self._requests.ask_people(by, subject, digest, earlier, justification)

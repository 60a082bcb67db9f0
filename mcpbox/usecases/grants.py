"""Grants: what a server's tools may use, and taking it back."""

from mcpbox.domain.audit import Action
from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.grants import Grant
from mcpbox.domain.ids import GrantId, ServerId
from mcpbox.domain.narrowing import Switch
from mcpbox.domain.people import Principal
from mcpbox.policies.grants import may_revoke
from mcpbox.store import grants, servers
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.usecases.refusals import refusals_recorded


class Grants:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def list(
        self, server_id: ServerId, page: PageRequest, *, ended: bool = False
    ) -> Page[Grant]:
        """By kind and value; ``ended``: also those that hold no more. Raises: NotFound."""
        async with reading(self._sessions) as session:
            await servers.require_server(session, server_id)
            return await grants.grants_of(session, server_id, page, ended=ended)

    async def revoke(self, by: Principal, grant_id: GrantId, reason: str) -> Grant:
        """Acts at once, on calls in flight too (I9): tools that need it are not called any more.

        Raises: NotFound; Refused; Invalid: no reason; Conflict: it holds no more.
        """
        recorded = refusals_recorded(self._sessions, by, Switch.REVOKE, f"grant:{grant_id}")
        async with recorded, transaction(self._sessions) as session:
            row = await grants.get_grant_row(session, grant_id)
            may_revoke(by, await grants.get_grant(session, grant_id), reason).require()
            row.revoked_at = utc_now()
            row.revoked_by = by.label
            row.revoke_reason = reason
            announce(session, Topic.CATALOG, row.server_id)
            add_event(
                session,
                actor=by.label,
                action=Action.GRANT_REVOKED,
                subject=f"server:{row.server_id}",
                detail=f"{row.kind} {row.value}: {reason}",
                facts={"grant": str(grant_id)},
            )
        async with reading(self._sessions) as session:
            return await grants.get_grant(session, grant_id)

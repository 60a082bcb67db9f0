"""The audit log: read, verified against its anchors, anchored, exported."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.anchors import AnchorSigner, anchor_signed_by
from mcpbox.domain.anchors import Anchor
from mcpbox.domain.audit import Action, AuditEvent, AuditFilter, AuditVerification
from mcpbox.domain.audit_chain import ChainCheck, ChainedEvent, ChainReport
from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.errors import Conflict, Invalid, Refused
from mcpbox.domain.people import Principal
from mcpbox.policies.audit import may_read_audit
from mcpbox.store import anchors, audit
from mcpbox.store.audit_protection import protection
from mcpbox.store.session import Sessions, reading, transaction


class Audit:
    def __init__(self, sessions: Sessions, signer: AnchorSigner) -> None:
        self._sessions = sessions
        self._signer = signer
        # One at a time: each reads the whole log.
        self._verifying = asyncio.Lock()

    async def list(self, by: Principal, page: PageRequest, wanted: AuditFilter) -> Page[AuditEvent]:
        """Newest first. Raises: Refused."""
        may_read_audit(by).require()
        async with reading(self._sessions) as session:
            return await audit.events(session, page, wanted)

    async def get(self, by: Principal, sequence: int) -> AuditEvent:
        """Raises: Refused; NotFound."""
        may_read_audit(by).require()
        async with reading(self._sessions) as session:
            return await audit.get_event(session, sequence)

    async def verification(self, by: Principal) -> AuditVerification:
        """Reads the whole log: about a second for 100,000 events. Raises: Refused."""
        may_read_audit(by).require()
        return await self.verify()

    async def verify(self, kept_elsewhere: Iterable[Anchor] = ()) -> AuditVerification:
        """For who has the database anyway. ``kept_elsewhere``: signed anchors, beside its own."""
        async with self._verifying, transaction(self._sessions) as session:
            # Before the log is read, so that what they are about is in it.
            envelopes = await anchors.envelopes(session)
            own = list(filter(None, map(self._opened, envelopes)))
            anchored = [*own, *kept_elsewhere]
            return AuditVerification(
                report=await _verified(session, anchored),
                last_anchor=own[-1] if own else None,
                unsigned_anchors=len(envelopes) - len(own),
                protection=await protection(session),
            )

    async def anchor(self, by: Principal) -> tuple[Anchor, str]:
        """Sign where the log stands now: the anchor, and its envelope.

        Raises: Conflict: the log is empty.
        """
        async with transaction(self._sessions) as session:
            newest = await audit.head(session)
            if newest is None:
                raise Conflict("The audit log is empty; there is nothing to anchor yet.")
            sequence, head = newest
            anchor = Anchor(
                sequence=sequence, hash=head, at=utc_now(), instance=self._signer.key_id
            )
            envelope = self._signer.sign(anchor)
            await anchors.keep_anchor(session, anchor, envelope)
            audit.add_event(
                session,
                actor=by.label,
                action=Action.AUDIT_ANCHORED,
                subject="audit:log",
                detail=f"event {sequence}",
                facts={"sequence": sequence, "hash": head},
            )
        return anchor, envelope

    async def stream(
        self, since: datetime | None, until: datetime | None
    ) -> AsyncGenerator[ChainedEvent]:
        """Oldest first, for who has the database anyway; ``until`` is left out itself."""
        async with transaction(self._sessions) as session:
            async for event in audit.stream(session, since, until):
                yield event

    def _opened(self, envelope: str) -> Anchor | None:
        try:
            return anchor_signed_by([self._signer.public], envelope)
        except (Invalid, Refused):
            return None


async def _verified(session: AsyncSession, anchored: Sequence[Anchor]) -> ChainReport:
    check = ChainCheck(((one.sequence, one.hash) for one in anchored), whole_log=True)
    async for event in audit.stream(session):
        if not check.add(event):
            break
    return check.report()

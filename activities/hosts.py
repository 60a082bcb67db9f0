"""Granting a host: say what it is, and let exactly what people saw be reached."""

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.applying import apply_once, mark_applied
from activities.errors import final_domain_errors
from activities.grants import end_of
from activities.host_evidence import host_evidence
from activities.receipts import reissue_receipts
from activities.subjects import host
from mcpbox.domain.base import utc_now
from mcpbox.domain.digests import digest_of_access
from mcpbox.domain.errors import Conflict
from mcpbox.domain.evidence import Evidence
from mcpbox.domain.ids import Digest
from mcpbox.domain.manifests import Granted
from mcpbox.domain.requests import State
from mcpbox.domain.subjects import HostSubject
from mcpbox.receipts import ReceiptSigner
from mcpbox.store import evidence, grants, requests, servers, tools
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables.requests import RequestRow
from workflows.contracts import ApplyRequest, Examination, HostActivities


class GrantedHosts(HostActivities):
    def __init__(self, sessions: Sessions, signer: ReceiptSigner) -> None:
        self._sessions = sessions
        self._signer = signer

    @activity.defn
    async def examine_host(self, given: Examination) -> None:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                held = await grants.granted(session, host(given).server_id)
                await self.examine(session, given, held)

    async def examine(self, session: AsyncSession, given: Examination, held: Granted) -> Evidence:
        """What it kept."""
        subject = host(given)
        manifests = await tools.newest_manifests(session, subject.server_id)
        piece = host_evidence(subject, given.digest, manifests, held.hosts)
        await evidence.keep(session, given.request_id, piece)
        return piece

    @activity.defn
    async def apply_host_grant(self, given: ApplyRequest) -> None:
        """Raises: ApplicationError: not retried: it is no longer what was approved."""
        await apply_once(self._sessions, given, self.apply)

    async def apply(
        self, session: AsyncSession, row: RequestRow, given: ApplyRequest, approver: str
    ) -> None:
        subject, now = host(given), utc_now()
        _require_as_approved(row, subject, given.digest)
        ends_at = end_of(row, subject, now)
        with session.no_autoflush:  # the request is written once, as applied
            await servers.lock_server(session, row.server_id)
            made = await grants.grant(
                session,
                subject.server_id,
                grants.HOST,
                [str(subject.access)],
                request_id=given.request_id,
                granted_by=approver,
                at=now,
                expires_at=ends_at,
            )
        ends = ends_at.isoformat() if ends_at else None
        await mark_applied(session, row, given, {"host": str(subject.access), "ends": ends})
        await reissue_receipts(session, self._signer, subject.server_id)
        grants.record_grants(
            session,
            subject.server_id,
            grants.HOST,
            made,
            request_id=given.request_id,
            granted_by=approver,
        )


def _require_as_approved(row: RequestRow, subject: HostSubject, digest: Digest) -> None:
    """Raises: Conflict: approved once, but no longer what people saw."""
    if row.state != State.APPROVED:
        raise Conflict(f"The request is {row.state}, not approved; nothing was granted.")
    asked = digest_of_access(subject.server_id, subject.access, days=subject.days)
    stored = requests.subject_in(row)
    if stored != subject or not asked == row.digest == digest:
        raise Conflict(
            "The host is not what was approved: its digest differs; nothing was granted."
        )

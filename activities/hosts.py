"""Granting a host: say what it is, and let exactly what people saw be reached."""

from temporalio import activity

from activities.errors import final_domain_errors
from activities.grants import end_of, start_timers
from activities.host_evidence import host_evidence
from activities.receipts import reissue_receipts
from activities.subjects import host
from activities.telling import tell_of_request
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.digests import digest_of_access
from mcpbox.domain.errors import Conflict
from mcpbox.domain.ids import Digest
from mcpbox.domain.notices import Event
from mcpbox.domain.people import SYSTEM
from mcpbox.domain.requests import State
from mcpbox.domain.subjects import HostSubject
from mcpbox.receipts import ReceiptSigner
from mcpbox.store import evidence, grants, requests, servers, tools
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables.requests import RequestRow
from workflows.contracts import ApplyRequest, Examination, HostActivities


class GrantedHosts(HostActivities):
    def __init__(self, sessions: Sessions, signer: ReceiptSigner) -> None:
        self._sessions = sessions
        self._signer = signer

    @activity.defn
    async def examine_host(self, given: Examination) -> None:
        subject = host(given)
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                manifests = await tools.newest_manifests(session, subject.server_id)
                held = await grants.granted(session, subject.server_id)
                piece = host_evidence(subject, given.digest, manifests, held.hosts)
                await evidence.keep(session, given.request_id, piece)

    @activity.defn
    async def apply_host_grant(self, given: ApplyRequest) -> None:
        """Raises: ApplicationError: not retried: it is no longer what was approved."""
        subject, now = host(given), utc_now()
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                row = await requests.get_request_row(session, given.request_id)
                if row.state != State.APPLIED:
                    await servers.get_server_row(session, row.server_id)
                    _require_as_approved(row, subject, given.digest)
                    ends_at = end_of(row, subject, now)
                    approver = await requests.approvers(session, row.id)
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
                    row.state = State.APPLIED
                    row.updated_at = now
                    await session.flush()
                    await reissue_receipts(session, self._signer, subject.server_id)
                    announce(session, Topic.CATALOG, row.server_id)
                    announce(session, Topic.REQUESTS, given.request_id)
                    await tell_of_request(session, row, Event.REQUEST_APPLIED)
                    await add_event(
                        session,
                        actor=SYSTEM.label,
                        action=Action.REQUEST_APPLIED,
                        subject=requests.subject_of(given.request_id),
                        detail=subject.label,
                        facts={
                            "digest": row.digest,
                            "host": str(subject.access),
                            "ends": ends_at.isoformat() if ends_at else None,
                        },
                    )
                    await grants.record_grants(
                        session,
                        subject.server_id,
                        grants.HOST,
                        made,
                        request_id=given.request_id,
                        granted_by=approver,
                    )
                ending = await grants.ending_grants(session, given.request_id)
            await start_timers(ending)


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

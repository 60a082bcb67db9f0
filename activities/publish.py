"""Making a version the released one: exactly what was approved becomes that, or nothing does."""

from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.applying import Apply, apply_once, mark_applied
from activities.errors import final_domain_errors
from activities.external_sources import require_offered
from activities.grants import end_of
from activities.heartbeats import heartbeating
from activities.module_locks import require_lock, shown_lock
from activities.receipts import issue_receipt, reissue_receipts
from activities.release_evidence import release_evidence
from activities.subjects import publication
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.digests import digest_of
from mcpbox.domain.errors import Conflict
from mcpbox.domain.manifests import Manifest, needs_beyond
from mcpbox.domain.modules import WheelLock
from mcpbox.domain.people import SYSTEM
from mcpbox.domain.releases import ReleasedVersion
from mcpbox.domain.requests import State
from mcpbox.domain.subjects import requirements_in
from mcpbox.policies.releases import may_publish_again, may_restore, may_roll_back_to
from mcpbox.receipts import ReceiptSigner
from mcpbox.sandbox_client import SandboxClient
from mcpbox.store import evidence, probations, releases, requests, secrets, tools
from mcpbox.store.audit import add_event
from mcpbox.store.grants import HOST, MODULE, SECRET, grant, granted, record_grants
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.requests import RequestRow
from mcpbox.store.tables.servers import ServerRow
from mcpbox.store.tables.tools import ToolRow, VersionRow
from workflows.contracts import (
    ApplyRequest,
    Examination,
    PublishActivities,
    ReleaseActivities,
)


class ReleasedVersions(PublishActivities, ReleaseActivities):
    def __init__(self, sessions: Sessions, signer: ReceiptSigner, sandbox: SandboxClient) -> None:
        self._sessions = sessions
        self._signer = signer
        self._sandbox = sandbox

    @activity.defn
    async def apply_publish(self, given: ApplyRequest) -> None:
        """Releases exactly what was approved, or nothing (I5).

        Raises: ApplicationError: not retried: it is no longer what was approved.
        """
        await self._release(given, self.publish)

    @activity.defn
    async def apply_rollback(self, given: ApplyRequest) -> None:
        """As to publish, for a version that was released once. Raises: as above."""
        await self._release(given, self.roll_back)

    @activity.defn
    async def apply_restore(self, given: ApplyRequest) -> None:
        """As to publish, for a version that is still revoked. Raises: as above."""
        await self._release(given, self.restore)

    @activity.defn
    async def examine_releases(self, given: Examination) -> None:
        subject = publication(given)
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                versions = await releases.released_versions(session, subject.tool_id)
                piece = release_evidence(subject, given.digest, versions)
                await evidence.keep(session, given.request_id, piece)

    async def publish(
        self, session: AsyncSession, row: RequestRow, given: ApplyRequest, approver: str
    ) -> None:
        version = await _still_as_approved(session, row, given)
        wanted, _ = await _versions(session, row)
        may_publish_again(wanted).require()
        await self._activate(session, row, version, given, approver)

    async def roll_back(
        self, session: AsyncSession, row: RequestRow, given: ApplyRequest, approver: str
    ) -> None:
        version = await _still_as_approved(session, row, given)
        wanted, _ = await _versions(session, row)
        may_roll_back_to(wanted).require()
        await self._activate(session, row, version, given, approver)

    async def restore(
        self, session: AsyncSession, row: RequestRow, given: ApplyRequest, approver: str
    ) -> None:
        version = await _still_as_approved(session, row, given)
        may_restore(*await _versions(session, row)).require()
        await self._activate(session, row, version, given, approver)

    async def _release(self, given: ApplyRequest, apply: Apply) -> None:
        with final_domain_errors():
            await self._install(given)
        await apply_once(self._sessions, given, apply)

    async def _install(self, given: ApplyRequest) -> None:
        """The packages that the version brings with it, before anything depends on them."""
        if not requirements_in(given.subject):
            return
        async with transaction(self._sessions) as session:
            row = await requests.get_request_row(session, given.request_id)
            lock = None if row.state == State.APPLIED else await _granted_lock(session, row, given)
        if lock is not None:
            async with heartbeating():
                await self._sandbox.install(lock.digest)

    async def _activate(
        self,
        session: AsyncSession,
        row: RequestRow,
        version: VersionRow,
        given: ApplyRequest,
        approver: str,
    ) -> None:
        now = utc_now()
        hosts = await grant(
            session,
            given.subject.server_id,
            HOST,
            requests.granted_in(row).hosts,
            request_id=given.request_id,
            granted_by=approver,
            at=now,
            expires_at=end_of(row, given.subject, now),
        )
        lock = await _granted_lock(session, row, given)
        if lock is not None:
            server = await session.get_one(ServerRow, row.server_id)
            server.module_set = lock.digest
            await grant(
                session,
                given.subject.server_id,
                MODULE,
                requests.granted_in(row).modules,
                request_id=given.request_id,
                granted_by=approver,
                at=now,
                expires_at=end_of(row, given.subject, now),
            )
            await session.flush()
            await reissue_receipts(session, self._signer, given.subject.server_id)
        await grant(
            session,
            given.subject.server_id,
            SECRET,
            await secrets.askable(session, row.server_id, requests.granted_in(row).secrets),
            request_id=given.request_id,
            granted_by=approver,
            at=now,
            expires_at=end_of(row, given.subject, now),
        )
        ended = await session.scalar(
            update(ReleaseRow)
            .where(ReleaseRow.tool_id == row.tool_id, ReleaseRow.active_to.is_(None))
            .values(active_to=now)
            .returning(ReleaseRow.digest)
        )
        release = ReleaseRow(
            id=uuid4(),
            tool_id=row.tool_id,
            version_id=version.id,
            request_id=given.request_id,
            digest=row.digest,
            approved_by=approver,
            active_from=now,
        )
        await issue_receipt(session, self._signer, release)
        session.add(release)
        await session.flush()
        if (terms := await requests.probation_of(session, row.id)) is not None:
            await probations.begin_probation(session, release, terms)
        await mark_applied(session, row, given, requests.granted_in(row).model_dump(mode="json"))
        record_grants(
            session,
            given.subject.server_id,
            HOST,
            hosts,
            request_id=given.request_id,
            granted_by=approver,
        )
        _record_release(session, release, version.number, ended)


def _record_release(
    session: AsyncSession, release: ReleaseRow, number: int, ended: str | None
) -> None:
    """``ended``: digest of the one before it, if there was one."""
    subject = f"tool:{release.tool_id}"
    if ended is not None:
        add_event(
            session,
            actor=SYSTEM.label,
            action=Action.RELEASE_ENDED,
            subject=subject,
            detail=f"version {number} takes its place",
            facts={"digest": ended},
        )
    add_event(
        session,
        actor=SYSTEM.label,
        action=Action.RELEASE_MADE,
        subject=subject,
        detail=f"version {number}, approved by {release.approved_by}",
        facts={"digest": release.digest, "request": str(release.request_id)},
    )


async def _still_as_approved(
    session: AsyncSession, row: RequestRow, given: ApplyRequest
) -> VersionRow:
    """Raises: Conflict: approved once, but no longer what people saw."""
    server = await session.get_one(ServerRow, row.server_id, with_for_update=True)
    tool = await session.get_one(ToolRow, row.tool_id, with_for_update=True)
    version = await session.get_one(VersionRow, row.version_id)
    if row.state != State.APPROVED:
        raise Conflict(f"The request is {row.state}, not approved; nothing was released.")
    if tool.deleted_at is not None or server.deleted_at is not None:
        raise Conflict("The tool was deleted meanwhile; nothing was released.")
    for noun, thing in (("server", server), ("tool", tool)):
        if thing.quarantined_at is not None:
            raise Conflict(f"The {noun} {thing.name!r} is quarantined; nothing was released.")
    if not digest_of(tools.content_of(version)) == row.digest == given.digest:
        raise Conflict(
            "The version is not what was approved: its digest differs; nothing was released."
        )
    held, manifest = (
        await granted(session, row.server_id),
        Manifest.model_validate(version.manifest),
    )
    unseen = set(needs_beyond(manifest, held.hosts).hosts) - set(row.needs.get("hosts", ()))
    seen = held.modules | set(requests.granted_in(row).modules)
    if unseen or not seen.issuperset(manifest.modules):
        raise Conflict(
            "Hosts or modules that were granted when people decided no longer are; ask again to "
            "have them reviewed. Nothing was released."
        )
    await require_offered(session, version, server.id)
    await _require_free_name(session, server, tool, version)
    return version


async def _granted_lock(
    session: AsyncSession, row: RequestRow, given: ApplyRequest
) -> WheelLock | None:
    """``None``: it brings no modules. Raises: Conflict: not what people saw, or not all of it."""
    requirements = requirements_in(given.subject)
    if not requirements:
        return None
    if {one.module for one in requirements} != set(requests.granted_in(row).modules):
        raise Conflict(
            "Its modules were resolved together, and not all of them were approved; ask for it "
            "with those alone. Nothing was released."
        )
    digest = await shown_lock(session, row.id)
    return await require_lock(session, row.server_id, requirements, digest)


async def _versions(
    session: AsyncSession, row: RequestRow
) -> tuple[ReleasedVersion, list[ReleasedVersion]]:
    """The one that is asked for, and all of its tool."""
    found = await releases.released_versions(session, row.tool_id or UUID(int=0))
    return next(one for one in found if one.version.id == row.version_id), found


async def _require_free_name(
    session: AsyncSession, server: ServerRow, tool: ToolRow, version: VersionRow
) -> None:
    taken = await session.scalar(
        select(ToolRow.id)
        .join(ReleaseRow, ReleaseRow.tool_id == ToolRow.id)
        .join(VersionRow, VersionRow.id == ReleaseRow.version_id)
        .where(
            ToolRow.server_id == server.id,
            ToolRow.id != tool.id,
            ToolRow.deleted_at.is_(None),
            ReleaseRow.active_to.is_(None),
            VersionRow.name == version.name,
        )
    )
    if taken is not None:
        raise Conflict(
            f"Another tool of {server.name!r} is released as {version.name!r}; nothing was "
            "released."
        )

"""Granting a module: find out what it brings, and install exactly what people saw."""

import asyncio
from dataclasses import dataclass
from typing import Self

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities import module_evidence
from activities.applying import mark_applied
from activities.errors import final_domain_errors
from activities.grants import end_of, start_timers
from activities.heartbeats import heartbeating
from activities.module_locks import require_lock, wanted_modules
from activities.receipts import reissue_receipts
from activities.subjects import module
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Conflict, Invalid, Refused
from mcpbox.domain.evidence import Evidence
from mcpbox.domain.ids import Digest, RequestId
from mcpbox.domain.modules import (
    PinnedWheel,
    WheelContents,
    WheelLock,
    require_offered,
)
from mcpbox.domain.people import SYSTEM
from mcpbox.domain.requests import State
from mcpbox.domain.subjects import ModuleSubject, requirements_in
from mcpbox.packages.facts import PyPI
from mcpbox.packages.index import PackageIndex
from mcpbox.packages.osv import OSV
from mcpbox.packages.wheels import read_wheel
from mcpbox.receipts import ReceiptSigner
from mcpbox.sandbox_client import SandboxClient
from mcpbox.settings import Settings
from mcpbox.store import evidence, grants, modules, requests, servers
from mcpbox.store.audit import add_event
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.requests import RequestRow
from mcpbox.store.tables.servers import ServerRow
from workflows.contracts import ApplyRequest, Examination, ModuleActivities


@dataclass(frozen=True, slots=True)
class PackageSources:
    """Where packages, and what is known of them, come from."""

    index: PackageIndex
    pypi: PyPI
    osv: OSV

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises: Invalid: an address is none."""
        return cls(
            PackageIndex(settings.package_index_url), PyPI(settings.pypi_url), OSV(settings.osv_url)
        )


class GrantedModules(ModuleActivities):
    def __init__(
        self,
        sessions: Sessions,
        sandbox: SandboxClient,
        signer: ReceiptSigner,
        sources: PackageSources,
    ) -> None:
        self._sessions = sessions
        self._sandbox = sandbox
        self._signer = signer
        self._sources = sources

    @activity.defn
    async def examine_module(self, given: Examination) -> None:
        subject = given.subject
        with final_domain_errors():
            async with heartbeating():
                async with reading(self._sessions) as session:
                    wanted = await wanted_modules(
                        session, subject.server_id, requirements_in(subject)
                    )
                    installed = await modules.lock_of(session, subject.server_id)
                try:
                    lock = await self._sources.index.resolve(wanted)
                    contents = [await self._looked_into(wheel) for wheel in lock.wheels]
                    require_offered(wanted, tuple(contents))
                except (Invalid, Refused) as error:
                    await self._keep(
                        given.request_id, [module_evidence.unresolved(given.digest, str(error))]
                    )
                    return
                asked = [self._sources.pypi.facts(one.package, one.version) for one in lock.wheels]
                known, facts = await asyncio.gather(
                    self._sources.osv.vulnerabilities(lock.wheels), asyncio.gather(*asked)
                )
            found = [
                module_evidence.packages(lock, contents, installed),
                module_evidence.vulnerabilities(lock, known),
                module_evidence.package_facts(lock, facts),
            ]
            await self._keep(given.request_id, found, lock)

    @activity.defn
    async def apply_module_grant(self, given: ApplyRequest) -> None:
        """Raises: ApplicationError: not retried: it is no longer what was approved."""
        subject = module(given)
        with final_domain_errors():
            async with heartbeating():
                async with transaction(self._sessions) as session:
                    row = await requests.get_request_row(session, given.request_id)
                    is_applied = row.state == State.APPLIED
                if not is_applied:
                    await self._apply(given, subject)
                async with reading(self._sessions) as session:
                    ending = await grants.ending_grants(session, given.request_id)
                await start_timers(ending)

    async def _apply(self, given: ApplyRequest, subject: ModuleSubject) -> None:
        async with transaction(self._sessions) as session:
            row = await requests.get_request_row(session, given.request_id)
            lock = await _still_as_approved(session, row, subject, given.digest)
        await self._sandbox.install(lock.digest)
        async with transaction(self._sessions) as session:
            await self._activate(session, given, subject)

    async def _activate(
        self, session: AsyncSession, given: ApplyRequest, subject: ModuleSubject
    ) -> None:
        now = utc_now()
        row = await requests.get_request_row(session, given.request_id)
        lock = await _still_as_approved(session, row, subject, given.digest)
        server = await session.get_one(ServerRow, row.server_id)
        server.module_set = lock.digest
        server.updated_at = now
        decided = await requests.decisions_of(session, row.id)
        approver = requests.approvers(row, decided)
        made = await grants.grant(
            session,
            subject.server_id,
            grants.MODULE,
            [subject.requirement.module],
            request_id=given.request_id,
            granted_by=approver,
            at=now,
            expires_at=end_of(row, subject, now),
        )
        await mark_applied(session, row, given, {"requirement": str(subject.requirement)})
        await session.flush()
        await reissue_receipts(session, self._signer, subject.server_id)
        grants.record_grants(
            session,
            subject.server_id,
            grants.MODULE,
            made,
            request_id=given.request_id,
            granted_by=approver,
        )
        add_event(
            session,
            actor=SYSTEM.label,
            action=Action.MODULE_SET_CHANGED,
            subject=f"server:{server.id}",
            detail=f"{server.name}: {lock.digest}",
            facts={"digest": lock.digest, "request": str(given.request_id)},
        )

    async def _looked_into(self, wheel: PinnedWheel) -> WheelContents:
        """Fetched once, and kept for every sandbox. Raises: Refused; Unavailable."""
        async with reading(self._sessions) as session:
            content = await modules.find_wheel(session, wheel.sha256)
        if content is None:
            content = await self._sources.index.fetch(wheel)
            async with transaction(self._sessions) as session:
                await modules.keep_wheel(session, wheel, content)
        return await asyncio.to_thread(read_wheel, wheel, content)

    async def _keep(
        self, request_id: RequestId, found: list[Evidence], lock: WheelLock | None = None
    ) -> None:
        async with transaction(self._sessions) as session:
            if lock is not None:
                await modules.keep_lock(session, lock)
            for piece in found:
                await evidence.keep(session, request_id, piece)


async def _still_as_approved(
    session: AsyncSession, row: RequestRow, subject: ModuleSubject, digest: Digest
) -> WheelLock:
    """Raises: Conflict: approved once, but no longer what people saw; NotFound: deleted."""
    await servers.lock_server(session, row.server_id)
    if row.state != State.APPROVED:
        raise Conflict(f"The request is {row.state}, not approved; nothing was granted.")
    if row.digest != digest:
        raise Conflict("The packages are not those that were approved; nothing was granted.")
    return await require_lock(session, subject.server_id, requirements_in(subject), digest)

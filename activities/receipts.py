"""Approval receipts of releases: issued when one becomes active, anew when its grants change."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.digests import digest_of
from mcpbox.domain.errors import Conflict, Invalid, Refused
from mcpbox.domain.ids import ServerId
from mcpbox.domain.manifests import Manifest, reachable_hosts
from mcpbox.receipts import ReceiptSigner
from mcpbox.store import tools
from mcpbox.store.changes import Topic, announce
from mcpbox.store.grants import HOST, MODULE, live_grants
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.servers import ServerRow
from mcpbox.store.tables.tools import ToolRow, VersionRow
from mcpbox.usecases.bundles import source_of_version
from sandbox.contract import GrantedUntil, Receipt

_ACTIVE = (
    select(ReleaseRow)
    .join(ToolRow, ToolRow.id == ReleaseRow.tool_id)
    .where(
        ToolRow.server_id == bindparam("server_id"),
        ReleaseRow.active_to.is_(None),
    )
)
log = structlog.get_logger()


async def issue_receipt(session: AsyncSession, signer: ReceiptSigner, release: ReleaseRow) -> None:
    """For a release that is being made; who approved it, and what it needs, are stored already.

    Raises: Conflict: what would be signed is not what was approved.
    """
    version = await session.get_one(VersionRow, release.version_id)
    tool = await session.get_one(ToolRow, release.tool_id)
    content = tools.content_of(version)
    if digest_of(content) != release.digest:
        raise Conflict("The version is not what was approved: its digest differs.")
    approved = Receipt(
        digest=release.digest,
        code_sha256=hashlib.sha256(source_of_version(content).encode()).hexdigest(),
        server=str(tool.server_id),
        tool=str(tool.id),
        request=str(release.request_id),
        approved_by=tuple(release.approved_by.split(", ")),
        approved_at=release.active_from,
        secret_names=content.manifest.secret_names,
    )
    release.receipt = signer.sign(await _with_grants(session, approved, content.manifest))


async def reissue_receipts(
    session: AsyncSession, signer: ReceiptSigner, server_id: ServerId
) -> None:
    """After a change of the server's grants or modules: the same approvals, with today's grants.

    The catalog has changed where something is released. Else no gateway is told: who grants holds
    the server's lock, so a release that comes later waits, and tells of itself.

    Who can only write rows gains nothing by it: what was approved is read from the signed receipt,
    never from the rows, and one that does not hold, or is for other code, is left as it is.
    """
    releases = (await session.scalars(_ACTIVE, {"server_id": server_id})).all()
    if releases:
        announce(session, Topic.CATALOG, server_id)
    for release in releases:
        if release.receipt is None:
            continue
        approved = _opened(signer, release)
        version = await session.get_one(VersionRow, release.version_id)
        content = tools.content_of(version)
        if (
            approved is not None
            and (approved.server, approved.tool) == (str(server_id), str(release.tool_id))
            and approved.digest == digest_of(content)
        ):
            release.receipt = signer.sign(await _with_grants(session, approved, content.manifest))


async def _with_grants(session: AsyncSession, approved: Receipt, manifest: Manifest) -> Receipt:
    """Only what the code itself needs, however much its server holds."""
    server_id = UUID(approved.server)
    held = await live_grants(session, server_id, HOST)
    hosts = _until(reachable_hosts(manifest, held), held)
    modules = _until(manifest.modules, await live_grants(session, server_id, MODULE))
    server = await session.get_one(ServerRow, server_id)
    return approved.model_copy(
        update={
            "modules": modules,
            "module_set": server.module_set if modules else None,
            "hosts": hosts,
        }
    )


def _until(
    needed: Iterable[str], granted: Mapping[str, datetime | None]
) -> tuple[GrantedUntil, ...]:
    return tuple(
        GrantedUntil(value=value, until=granted[value]) for value in needed if value in granted
    )


def _opened(signer: ReceiptSigner, release: ReleaseRow) -> Receipt | None:
    try:
        return signer.opened(release.receipt or "")
    except (Invalid, Refused):
        log.warning("receipt.not_reissued", release_id=str(release.id))
        return None

"""Looking at a source: what it offers is kept, and what is not what was approved is withdrawn."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import final_domain_errors
from activities.heartbeats import heartbeating
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.digests import digest_of
from mcpbox.domain.errors import Conflict, DomainError
from mcpbox.domain.external_sources import (
    ExternalSource,
    Listing,
    SourceCheck,
    SourceState,
)
from mcpbox.domain.ids import Digest, ToolId, VersionId
from mcpbox.domain.people import SYSTEM
from mcpbox.domain.requests import (
    RequestDraft,
    State,
    request_id_of,
    workflow_id_of,
    workflow_ids_begin,
)
from mcpbox.domain.subjects import PublishSubject
from mcpbox.domain.tools import VersionContent
from mcpbox.store import asked_before, external_sources, requests, tools
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.external_sources import LastRelease
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.external_sources import SourceRow
from mcpbox.store.tables.tools import VersionRow
from mcpbox.usecases.offers import said_now
from mcpbox.usecases.reaching import reach_of
from workflows.external_sources import Asking, FoundSources, LookedAt, SourceActivities

ListTools = Callable[[ExternalSource], Awaitable[Listing]]
"""Asks the source itself. Raises: DomainError: it cannot be reached, or answers nonsense."""
_CHANGED = "The source changed what it says of this tool, so it was withdrawn."
_GONE = "The source does not offer this tool any more, so it was withdrawn."


class SourceLooks(SourceActivities):
    def __init__(self, sessions: Sessions, list_tools: ListTools) -> None:
        self._sessions = sessions
        self._list_tools = list_tools

    @activity.defn
    async def find_sources(self) -> FoundSources:
        with final_domain_errors():
            async with reading(self._sessions) as session:
                return FoundSources(source_ids=tuple(await external_sources.source_ids(session)))

    @activity.defn
    async def look_at_source(self, given: SourceCheck) -> LookedAt:
        with final_domain_errors():
            async with reading(self._sessions) as session:
                source = await external_sources.get_source(session, given.source_id)
                ruling = await reach_of(session, source, utc_now())
            if not ruling:
                return await self._note(source, SourceState.BLOCKED, ruling.reason)
            async with heartbeating():
                try:
                    listing = await self._list_tools(source)
                except DomainError as error:
                    return await self._note(source, SourceState.UNREACHABLE, str(error))
            return await self._compare(source, listing)

    async def _note(self, source: ExternalSource, state: SourceState, problem: str) -> LookedAt:
        """What was approved stays listed: a source that is away for a while changed nothing."""
        async with transaction(self._sessions) as session:
            row = await external_sources.get_source_row(session, source.id)
            external_sources.note(row, state, problem)
            announce(session, Topic.SOURCES, source.id)
        return LookedAt(state=state)

    async def _compare(self, source: ExternalSource, listing: Listing) -> LookedAt:
        asking: list[Asking] = []
        withdrawn = 0
        async with transaction(self._sessions) as session:
            row = await external_sources.get_source_row(session, source.id)
            changed = await external_sources.keep_listing(session, row, listing)
            for last in await external_sources.last_releases(session, source.server_id):
                said = said_now(source.endpoint, listing.tools, tools.content_of(last.version))
                if said is not None and last.active and digest_of(said) == last.release.digest:
                    continue
                if last.active:
                    _withdraw(session, last, said)
                    withdrawn += 1
                if said is not None and (asked := await _asked_about(session, source, last, said)):
                    asking.append(asked)
            if changed or withdrawn:
                _record(session, row, source, listing, withdrawn)
            announce(session, Topic.SOURCES, source.id)
        return LookedAt(state=SourceState.HEALTHY, withdrawn=withdrawn, asking=tuple(asking))


async def require_offered(session: AsyncSession, version: VersionRow, server_id: UUID) -> None:
    """Raises: Conflict: of a version that passes its calls on, which its source changed since."""
    content = tools.content_of(version)
    if content.passes_to is None:
        return
    source = await external_sources.find_source_of(session, server_id)
    snapshot = source and await external_sources.find_snapshot(session, source.id)
    if (
        source is None
        or snapshot is None
        or said_now(source.endpoint, snapshot.tools, content) != content
    ):
        raise Conflict(
            "Its source does not offer it any more as it was approved; import it again to have "
            "what it says now reviewed. Nothing was released."
        )


def _withdraw(session: AsyncSession, last: LastRelease, said: VersionContent | None) -> None:
    """At once: what clients see is from now on not what the source would do (I1)."""
    last.release.active_to = utc_now()
    announce(session, Topic.CATALOG, last.tool.id)
    add_event(
        session,
        actor=SYSTEM.label,
        action=Action.RELEASE_ENDED,
        subject=f"tool:{last.tool.id}",
        detail=f"{last.tool.name}: {_GONE if said is None else _CHANGED}",
        facts={"digest": last.release.digest},
    )


async def _asked_about(
    session: AsyncSession, source: ExternalSource, last: LastRelease, said: VersionContent
) -> Asking | None:
    """A request for what the source says now; ``None``: people were asked since it was withdrawn.

    Found from what is stored, so that no try of this activity that was lost leaves it unasked.
    """
    version = await tools.ensure_version(session, last.tool.id, said, source.created_by)
    subject, digest = _subject_of(source, version), Digest(version.digest)
    attempts = await asked_before.attempts(session, workflow_ids_begin(subject, digest))
    withdrawn_at = last.release.active_to or utc_now()
    if any(row.created_at >= withdrawn_at or not State(row.state).terminal for row in attempts):
        return None
    earlier = await requests.get_request_row(session, last.release.request_id)
    workflow_id = workflow_id_of(subject, digest, len(attempts))
    draft = RequestDraft(
        id=request_id_of(workflow_id),
        subject=subject,
        digest=digest,
        requester=earlier.requester,
        notes=_CHANGED,
        quorum=earlier.quorum,
        ttl=max(earlier.expires_at - earlier.created_at, timedelta(minutes=1)),
    )
    return Asking(draft=draft, workflow_id=workflow_id)


def _subject_of(source: ExternalSource, version: VersionRow) -> PublishSubject:
    return PublishSubject(
        server_id=source.server_id,
        server_name=source.server_name,
        tool_id=ToolId(version.tool_id),
        tool_name=version.name,
        version_id=VersionId(version.id),
        version_number=version.number,
    )


def _record(
    session: AsyncSession,
    row: SourceRow,
    source: ExternalSource,
    listing: Listing,
    withdrawn: int,
) -> None:
    add_event(
        session,
        actor=SYSTEM.label,
        action=Action.SOURCE_CHANGED,
        subject=f"server:{source.server_id}",
        detail=f"{source.server_name} offers {len(listing.tools)} tools; {withdrawn} withdrawn",
        facts={"snapshot": str(row.snapshot_id)},
    )

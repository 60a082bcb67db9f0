"""The facts of requests: of one that is being presented, and of all that were decided."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.decisions import Channel
from mcpbox.domain.dry_runs import PastDecision
from mcpbox.domain.evidence import Evidence, Risk
from mcpbox.domain.ids import RequestId
from mcpbox.domain.manifests import Granted, Manifest, needs_beyond
from mcpbox.domain.people import PrincipalKind
from mcpbox.domain.requests import State
from mcpbox.domain.review_policy import ReviewFacts
from mcpbox.domain.subjects import HostSubject, Kind, ModuleSubject, SecretSubject
from mcpbox.domain.verdicts import Verdict
from mcpbox.store.clients import find_client
from mcpbox.store.grants import Holder
from mcpbox.store.tables.requests import DecisionRow, RequestRow
from mcpbox.store.tables.tools import VersionRow

_APPROVED = (State.APPROVED, State.APPLYING, State.APPLIED, State.APPLY_FAILED)
_BATCH = 500


async def facts_of(
    session: AsyncSession,
    row: RequestRow,
    evidence: Sequence[Evidence],
    holder: Holder,
    *,
    risk: Risk,
    at: datetime,
) -> ReviewFacts:
    """Of a request whose evidence is complete, and whose needs are written."""
    version = await session.get(VersionRow, row.version_id) if row.version_id else None
    more = await _asked_for(session, row, version, holder.granted)
    return ReviewFacts(
        kind=Kind(row.kind),
        server=holder.name,
        tool="" if version is None else version.name,
        requester=row.requester,
        owner=await _owner_of(session, row),
        risk=risk,
        checks={piece.check: piece.status for piece in evidence},
        hour=at.hour,
        weekday=at.isoweekday(),
        **more,
    )


async def past_decisions(session: AsyncSession) -> AsyncGenerator[list[PastDecision]]:
    """Everything that people or rules decided, newest first, some at a time."""
    last: tuple[datetime, Any] | None = None
    while True:
        found = select(RequestRow).where(
            RequestRow.state.in_((*_APPROVED, State.DENIED)), RequestRow.facts.is_not(None)
        )
        if last is not None:
            newest_first = (RequestRow.created_at, RequestRow.id)
            found = found.where(func.row(*newest_first) < func.row(*last))
        rows = list(
            await session.scalars(
                found.order_by(RequestRow.created_at.desc(), RequestRow.id.desc()).limit(_BATCH)
            )
        )
        if not rows:
            return
        last = (rows[-1].created_at, rows[-1].id)
        votes = await session.scalars(
            select(DecisionRow)
            .where(DecisionRow.request_id.in_([row.id for row in rows]))
            .order_by(DecisionRow.decided_at)
        )
        by_request: dict[Any, list[DecisionRow]] = {}
        for vote in votes:
            by_request.setdefault(vote.request_id, []).append(vote)
        yield [past for row in rows if (past := _past(row, by_request.get(row.id, [])))]


async def decided_without_facts(session: AsyncSession) -> int:
    """How many were decided before facts were kept."""
    counted = select(func.count()).where(
        RequestRow.state.in_((*_APPROVED, State.DENIED)), RequestRow.facts.is_(None)
    )
    return await session.scalar(counted.select_from(RequestRow)) or 0


async def _asked_for(
    session: AsyncSession, row: RequestRow, version: VersionRow | None, held: Granted
) -> dict[str, Any]:
    if version is None:
        return _grant_asked_for(row, held)
    manifest = Manifest.model_validate(version.manifest)
    released = await _released_manifest(session, row)
    new_secrets = _beyond(manifest.secret_names, held.secrets)
    new_hosts = needs_beyond(manifest, held.hosts).hosts
    new_modules = _beyond(manifest.modules, held.modules)
    return {
        "new_hosts": new_hosts,
        "new_modules": new_modules,
        "new_secrets": new_secrets,
        "unshown": _beyond((*new_hosts, *new_modules, *new_secrets), _named_in(row.needs)),
        "subset_of_released": released is not None
        and not new_hosts
        and not new_modules
        and not new_secrets
        and _within(manifest, released),
    }


def _grant_asked_for(row: RequestRow, held: Granted) -> dict[str, Any]:
    """It is about nothing else, so it is shown; more of what is granted already is more too."""
    match row.kind:
        case Kind.MODULE_GRANT:
            asked = ModuleSubject.model_validate(row.subject)
            return {"new_modules": (asked.requirement.module,)}
        case Kind.HOST_GRANT:
            access = HostSubject.model_validate(row.subject).access
            return {"new_hosts": () if access.allowed_by(held.hosts) else (str(access),)}
        case Kind.SECRET_BINDING:
            return {"new_secrets": (SecretSubject.model_validate(row.subject).name,)}
        case _:
            # Of a kind that rules know nothing about yet: they must not approve it.
            return {"unshown": (row.kind,)}


async def _released_manifest(session: AsyncSession, row: RequestRow) -> Manifest | None:
    if row.released_version_id is None:
        return None
    released = await session.get_one(VersionRow, row.released_version_id)
    return Manifest.model_validate(released.manifest)


def _within(manifest: Manifest, released: Manifest) -> bool:
    return (
        set(manifest.hosts) <= set(released.hosts)
        and set(manifest.modules) <= set(released.modules)
        and set(manifest.secret_names) <= set(released.secret_names)
    )


def _beyond(wanted: Iterable[str], had: Iterable[str]) -> tuple[str, ...]:
    known = frozenset(had)
    return tuple(value for value in wanted if value not in known)


def _named_in(needs: dict[str, Any]) -> set[str]:
    return {value for values in needs.values() for value in values if isinstance(value, str)}


async def _owner_of(session: AsyncSession, row: RequestRow) -> str:
    if row.authors == [row.requester]:  # so whose client it is, is written there
        return next(iter(row.owners), "")
    kind, _, name = row.requester.partition(":")
    client = await find_client(session, name) if kind == PrincipalKind.CLIENT else None
    return "" if client is None else client.owner


def _past(row: RequestRow, votes: Sequence[DecisionRow]) -> PastDecision | None:
    verdict = Verdict.DENY if row.state == State.DENIED else Verdict.APPROVE
    newest = {vote.reviewer: vote for vote in votes}
    led_there = [vote for vote in newest.values() if vote.verdict == verdict]
    if not led_there:
        return None
    return PastDecision(
        request_id=RequestId(row.id),
        facts=ReviewFacts.model_validate(row.facts),
        verdict=verdict,
        decided_by=tuple(vote.reviewer for vote in led_there),
        by_rule=any(vote.channel == Channel.POLICY for vote in led_there),
        decided_at=led_there[-1].decided_at,
    )

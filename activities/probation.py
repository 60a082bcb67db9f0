"""Ending probations, and what is asked of people then."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import final_domain_errors
from activities.telling import tell_of_probation
from mcpbox.domain.base import utc_now
from mcpbox.domain.ids import Digest
from mcpbox.domain.probation import Probation, ProbationEnd
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.requests import RequestDraft, request_id_of, workflow_id_of, workflow_ids_begin
from mcpbox.domain.review import ReviewTerms
from mcpbox.domain.subjects import PublishSubject
from mcpbox.policies.probation import what_happened
from mcpbox.store import asked_before, probations, requests
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables.requests import RequestRow
from mcpbox.store.tables.tools import ToolRow
from workflows.contracts import (
    CloseProbation,
    EndedProbation,
    EndProbation,
    ProbationActivities,
)


class StoredProbations(ProbationActivities):
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def end_probation(self, given: EndProbation) -> EndedProbation:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                found = await probations.find_probation(session, given.release_id, for_update=True)
                if found is None:
                    return EndedProbation(over=True)
                row, release, _ = found
                await probations.end_if_over(session, found, given.at)
                if row.ended_at is None:
                    return EndedProbation(over=False)
                probation = probations.probation_of(found)
                if probation.cause is ProbationEnd.REPLACED:
                    return EndedProbation(over=True)
                earlier = await requests.get_request_row(session, release.request_id)
                await tell_of_probation(session, earlier, given.release_id)
                return await _asked_again(session, earlier, probation)

    @activity.defn
    async def close_probation(self, given: CloseProbation) -> None:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                found = await probations.find_probation(session, given.release_id, for_update=True)
                if found is not None and found[0].closed_at is None:
                    found[0].closed_at = utc_now()


async def _asked_again(
    session: AsyncSession, earlier: RequestRow, probation: Probation
) -> EndedProbation:
    """The same version, for the same author, unless people are asked about the tool already."""
    tool = await session.get_one(ToolRow, earlier.tool_id)
    # Whatever made the release: it is asked for as a publication of that version.
    released = requests.subject_in(earlier)
    subject = PublishSubject.model_validate(released.model_dump(exclude={"kind"}))
    attempts = await asked_before.attempts(session, workflow_ids_begin(subject, _digest(earlier)))
    since = [row for row in attempts if row.created_at > probation.began_at]
    asked = await asked_before.open_workflows(session, tool.id)
    if tool.deleted_at is not None or (asked and not since):
        return EndedProbation(over=True)
    # Run again after the request was opened, it names the same one.
    attempt = attempts.index(since[0]) if since else len(attempts)
    workflow_id = workflow_id_of(subject, _digest(earlier), attempt)
    draft = RequestDraft(
        id=request_id_of(workflow_id),
        subject=subject,
        digest=_digest(earlier),
        requester=earlier.requester,
        notes=what_happened(probation)[:REASON_MAX_LENGTH],
        quorum=earlier.quorum,
        terms=ReviewTerms.model_validate(earlier.terms),
        ttl=max(earlier.expires_at - earlier.created_at, timedelta(minutes=1)),
    )
    return EndedProbation(over=True, reopened=draft, workflow_id=workflow_id)


def _digest(row: RequestRow) -> Digest:
    return Digest(row.digest)

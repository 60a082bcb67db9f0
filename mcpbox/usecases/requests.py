"""Change requests: ask, read, decide, withdraw. The workflow is the truth; this asks it."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import structlog

from mcpbox.domain.audit import Action
from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.commands import DecideCommand, RetractCommand, ReviseCommand, WithdrawCommand
from mcpbox.domain.comments import Comment, CommentDraft
from mcpbox.domain.decisions import Channel, DecisionDraft
from mcpbox.domain.digests import digest_of_ask
from mcpbox.domain.errors import (
    Conflict,
    DomainError,
    Invalid,
    NotFound,
    Refused,
    RequestFinished,
    Unavailable,
)
from mcpbox.domain.ids import CommentId, Digest, RequestId, ServerId, ToolId
from mcpbox.domain.modules import Requirement
from mcpbox.domain.nesting import ARGUMENTS_MAX_DEPTH, nests_deeper_than
from mcpbox.domain.people import SYSTEM, Principal
from mcpbox.domain.requests import (
    Outcome,
    RequestDetail,
    RequestDraft,
    RequestSummary,
    ReviewAfterwards,
    State,
    request_id_of,
    workflow_id_of,
    workflow_ids_begin,
)
from mcpbox.domain.subjects import Kind, ModuleSubject, Subject
from mcpbox.news import RequestNews
from mcpbox.policies.releases import may_publish_again
from mcpbox.policies.review import (
    facts_of,
    instead_of_revising,
    may_comment,
    may_decide,
    may_repeat,
    may_retract,
    may_revise,
    may_withdraw,
)
from mcpbox.store import asked_before, modules, releases, requests, servers, tools
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.requests import CommentRow, RequestRow
from mcpbox.temporal import Message, TemporalGate, WorkerSilent
from mcpbox.usecases.attempts import attempt_after, require_askable, require_publishable
from mcpbox.usecases.opening import Opening, not_projected_yet
from mcpbox.usecases.publications import publication_of, require_grantable

_SAMPLE_MAX_BYTES = 64 * 1024
_COMMENTS_MAX = 1000
log = structlog.get_logger()


class Requests:
    def __init__(
        self,
        sessions: Sessions,
        gate: TemporalGate,
        *,
        ttl: timedelta,
        news: RequestNews | None = None,
    ) -> None:
        """``ttl``: how long a request waits for a decision.

        ``news``: of the database's changes, where the process hears of them; it waits less so.
        """
        self._sessions = sessions
        self._gate = gate
        self._opening = Opening(sessions, gate, news)
        self._ttl = ttl

    async def get(self, request_id: RequestId) -> RequestDetail:
        """Raises: NotFound."""
        async with reading(self._sessions) as session:
            return await requests.get_request(session, request_id)

    async def request_publish(
        self,
        by: Principal,
        tool_id: ToolId,
        *,
        notes: str = "",
        sample_arguments: dict[str, Any] | None = None,
        requirements: Sequence[Requirement] = (),
    ) -> RequestSummary:
        """Ask that the newest version be released; asking twice is asking once.

        ``sample_arguments`` are what the trial, which reviewers see, is run with;
        ``requirements`` are modules that it imports and its server does not have yet.
        Raises: Conflict: released, revoked or denied already; Invalid; NotFound; Unavailable.
        """
        if len(json.dumps(sample_arguments)) > _SAMPLE_MAX_BYTES:
            raise Invalid("sample_arguments are larger than 64 KB; give a smaller example.")
        if nests_deeper_than(ARGUMENTS_MAX_DEPTH, sample_arguments):
            raise Invalid("sample_arguments are nested too deeply; give a flatter example.")
        async with transaction(self._sessions) as session:
            tool = await tools.get_tool(session, tool_id)
            held = await modules.requirements_of(session, tool.server_id)
            subject, digest = publication_of(tool, requirements, held), tool.current.digest
            current = await releases.get_released_version(session, tool_id, tool.current.id)
            may_publish_again(current).require()
            earlier = await asked_before.attempts(session, workflow_ids_begin(subject, digest))
            denied = await asked_before.denied_publication(session, tool_id, digest)
            waiting = await asked_before.open_publications(session, tool_id)
            if sample_arguments is not None:
                await tools.keep_sample(session, tool.current.id, sample_arguments)
        require_publishable(tool, subject, denied)
        for row in waiting:
            if row.digest == digest and row.round > 1:
                return await self.get(RequestId(row.id))
            if row.state == State.CHANGES_REQUESTED and row.requester == by.label:
                return await self.revise(
                    by, RequestId(row.id), notes=notes, requirements=requirements
                )
        return await self.ask_people(by, subject, digest, earlier, notes, tool.released_version)

    async def request_module(
        self,
        by: Principal,
        server_id: ServerId,
        requirement: Requirement,
        *,
        days: int | None = None,
        notes: str = "",
    ) -> RequestSummary:
        """Ask that a server's tools may import a module; asking twice is asking once.

        Raises: Invalid; Conflict: granted or denied already; NotFound; Unavailable.
        """
        require_grantable(requirement)
        digest = digest_of_ask(server_id, requirement, days=days)
        async with reading(self._sessions) as session:
            server = await servers.require_server(session, server_id)
            subject = ModuleSubject(
                server_id=server_id,
                server_name=server.name,
                requirement=requirement,
                days=days,
            )
            granted = await modules.requirements_of(session, server_id)
            earlier = await asked_before.attempts(session, workflow_ids_begin(subject, digest))
        require_askable(subject, granted, earlier)
        return await self.ask_people(by, subject, digest, earlier, notes)

    async def decide(
        self, by: Principal, channel: Channel, request_id: RequestId, draft: DecisionDraft
    ) -> Outcome:
        """Answers when the decision has taken effect; with the same id again, the same answer.

        Raises: NotFound; Refused; Conflict; Invalid; Unavailable: send it again, same id.
        """
        try:
            return await self._decide(by, channel, request_id, draft)
        except (NotFound, Refused, Conflict, Invalid) as refusal:
            await self._keep_attempt(by, channel, request_id, draft, refusal)
            raise

    async def revise(
        self,
        by: Principal,
        request_id: RequestId,
        *,
        notes: str = "",
        requirements: Sequence[Requirement] = (),
    ) -> RequestSummary:
        """Ask for the newest version of the tool instead, in a new round of the same request.

        ``requirements``: modules that it imports and its server does not have yet.

        Raises: NotFound; Refused; Conflict; Invalid: it is not about a tool; Unavailable.
        """
        request = await self.get(request_id)
        if request.kind is not Kind.PUBLISH or request.tool_id is None:
            raise Invalid(instead_of_revising(request.kind))
        async with reading(self._sessions) as session:
            tool = await tools.get_tool(session, request.tool_id)
            held = await modules.requirements_of(session, tool.server_id)
        digest = tool.current.digest
        may_revise(facts_of(request), by, digest).require()
        command = ReviseCommand(
            by=by, subject=publication_of(tool, requirements, held), digest=digest, notes=notes
        )
        await self._ask(request, Message.REVISE, command)
        return await self.get(request_id)

    async def retract(self, by: Principal, channel: Channel, request_id: RequestId) -> Outcome:
        """Take one's own vote back, as long as nothing is decided.

        Raises: NotFound; Refused; Conflict: no vote of theirs counts; Unavailable.
        """
        request = await self.get(request_id)
        may_retract(facts_of(request), by).require()
        vouched = self._gate.vouchers.for_retraction(request_id, by.name, channel)
        command = RetractCommand(by=by, channel=channel, voucher=vouched)
        return await self._ask(request, Message.RETRACT, command)

    async def comment(self, by: Principal, request_id: RequestId, draft: CommentDraft) -> Comment:
        """It moves nothing, so the workflow is not asked and its history does not grow.

        Raises: NotFound; Refused; Conflict: there are too many already.
        """
        request = await self.get(request_id)
        may_comment(facts_of(request), by).require()
        if len(request.comments) >= _COMMENTS_MAX:
            raise Conflict(f"A request holds at most {_COMMENTS_MAX} comments; decide or withdraw.")
        comment = Comment(
            id=CommentId(uuid4()),
            request_id=request_id,
            author=by.label,
            text=draft.text,
            line=draft.line,
            digest=request.digest,
            round=request.round,
            commented_at=utc_now(),
        )
        async with transaction(self._sessions) as session:
            session.add(CommentRow(**comment.model_dump()))
            await session.flush()
            announce(session, Topic.REQUESTS, request_id)
            add_event(
                session,
                actor=by.label,
                action=Action.REQUEST_COMMENTED,
                subject=requests.subject_of(request_id),
                detail=draft.text if draft.line is None else f"line {draft.line}: {draft.text}",
                at=comment.commented_at,
            )
        return comment

    async def withdraw(self, by: Principal, request_id: RequestId, reason: str = "") -> Outcome:
        """Raises: NotFound; Refused; RequestFinished; Unavailable."""
        request = await self.get(request_id)
        may_withdraw(facts_of(request), by).require()
        command = WithdrawCommand(by=by, reason=reason)
        return await self._ask(request, Message.WITHDRAW, command)

    async def withdraw_all(self, workflow_ids: Sequence[str], *, reason: str) -> None:
        """Open requests about what is no more, as far as Temporal can be reached now."""
        command = WithdrawCommand(by=SYSTEM, reason=reason)
        for workflow_id in workflow_ids:
            try:
                await self._gate.update(workflow_id, Message.WITHDRAW, command, Outcome)
            except DomainError as error:
                log.warning("request.not_withdrawn", workflow_id=workflow_id, reason=str(error))

    async def list(
        self,
        states: Sequence[State],
        page: PageRequest,
        tool_id: ToolId | None = None,
        review_afterwards: ReviewAfterwards | None = None,
    ) -> Page[RequestSummary]:
        """Newest first; no states means all of them."""
        async with reading(self._sessions) as session:
            return await requests.requests(session, page, states, tool_id, review_afterwards)

    async def ask_people(
        self,
        by: Principal,
        subject: Subject,
        digest: Digest,
        earlier: Sequence[RequestRow],
        notes: str,
        released_number: int | None = None,
    ) -> RequestSummary:
        """For the use cases of the kinds of request, once they know that it may be asked.

        ``earlier``: those for the same digest, oldest first; one that is open is asked again.
        Raises: Unavailable.
        """
        attempt = attempt_after(earlier)
        while True:
            workflow_id = workflow_id_of(subject, digest, attempt)
            draft = RequestDraft(
                id=request_id_of(workflow_id),
                subject=subject,
                digest=digest,
                requester=by.label,
                notes=notes,
                ttl=self._ttl,
            )
            known = attempt < len(earlier)
            alive, projected = await self._opening.open(draft, workflow_id, known=known)
            if alive and projected and projected.round > 1 and projected.digest != digest:
                # It has been revised since, so this digest needs a request of its own.
                attempt += 1
                continue
            if alive or (projected is not None and projected.state.terminal):
                return projected or not_projected_yet(draft, workflow_id, released_number)
            # Terminated in Temporal, which runs no code: the next attempt closes its row.
            attempt += 1

    async def _decide(
        self, by: Principal, channel: Channel, request_id: RequestId, draft: DecisionDraft
    ) -> Outcome:
        async with reading(self._sessions) as session:
            row, decided = await requests.get_decided(session, request_id)
        earlier = next((one for one in decided if one.id == draft.id), None)
        # Asked here too, so that a refusal costs Temporal nothing.
        if earlier is None:
            may_decide(requests.facts_in(row, decided), by, draft, channel).require()
        else:
            may_repeat(earlier, by.name, draft).require()
        vouched = self._gate.vouchers.for_decision(request_id, draft, by.name, channel)
        command = DecideCommand(draft=draft, reviewer=by, channel=channel, voucher=vouched)
        # Whoever uses the id for something else at the same moment is not given this answer.
        update_id = f"{Message.DECIDE}:{draft.id}:{draft.verdict}:{by.name}"
        try:
            return await self._ask(row, Message.DECIDE, command, update_id=update_id)
        except WorkerSilent as error:
            return await self._recorded_at_least(request_id, draft, error)

    async def _keep_attempt(
        self,
        by: Principal,
        channel: Channel,
        request_id: RequestId,
        draft: DecisionDraft,
        refusal: DomainError,
    ) -> None:
        async with transaction(self._sessions) as session:
            announce(session, Topic.REQUESTS, request_id)
            add_event(
                session,
                actor=by.label,
                action=Action.DECISION_REFUSED,
                subject=requests.subject_of(request_id),
                detail=str(refusal),
                facts={"channel": channel, "verdict": draft.verdict},
            )

    async def _ask(
        self,
        request: RequestSummary | RequestRow,
        message: Message,
        command: DecideCommand | WithdrawCommand | ReviseCommand | RetractCommand,
        *,
        update_id: str | None = None,
    ) -> Outcome:
        try:
            return await self._gate.update(
                request.workflow_id, message, command, Outcome, update_id=update_id
            )
        except NotFound as error:
            now = (await self.get(RequestId(request.id))).state
            if now.terminal:  # it ended between our look and our question
                raise RequestFinished(now) from error
            raise Conflict(
                "Temporal no longer knows this request (was it terminated there?). Its author "
                "can bring it back by asking again."
            ) from error

    async def _recorded_at_least(
        self, request_id: RequestId, draft: DecisionDraft, silence: WorkerSilent
    ) -> Outcome:
        """What was recorded will take effect by itself; what was not has to be sent again."""
        request = await self.get(request_id)
        if any(decision.id == draft.id for decision in request.decisions):
            return Outcome(request_id=request_id, state=request.state)
        raise Unavailable("The worker", "Send the decision again, with the same id.") from silence

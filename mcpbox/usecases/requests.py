"""Change requests: ask, read, decide, withdraw. The workflow is the truth; this asks it."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from mcpbox import temporal
from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.errors import (
    Conflict,
    DomainError,
    Invalid,
    NotFound,
    RequestFinished,
    Unavailable,
)
from mcpbox.domain.ids import RequestId, ToolId
from mcpbox.domain.nesting import ARGUMENTS_MAX_DEPTH, nests_deeper_than
from mcpbox.domain.people import SYSTEM, Principal
from mcpbox.domain.requests import (
    Channel,
    DecideCommand,
    DecisionDraft,
    Outcome,
    PublishSubject,
    RequestDetail,
    RequestDraft,
    RequestSummary,
    State,
    WithdrawCommand,
    request_id_of,
    workflow_id_of,
)
from mcpbox.domain.tools import ToolDetail
from mcpbox.policies.review import RequestFacts, may_decide, may_withdraw
from mcpbox.store import requests, tools
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables import RequestRow
from mcpbox.temporal import Message, TemporalGate, WorkerSilent

_SAMPLE_MAX_BYTES = 64 * 1024
_OPENING_PATIENCE = timedelta(seconds=3)
log = structlog.get_logger()


class Requests:
    def __init__(self, sessions: Sessions, gate: TemporalGate, *, ttl: timedelta) -> None:
        """``ttl``: how long a request waits for a decision."""
        self._sessions = sessions
        self._gate = gate
        self._ttl = ttl

    async def get(self, request_id: RequestId) -> RequestDetail:
        """Raises: NotFound."""
        async with transaction(self._sessions) as session:
            return await requests.get_request(session, request_id)

    async def request_publish(
        self,
        by: Principal,
        tool_id: ToolId,
        *,
        notes: str = "",
        sample_arguments: dict[str, Any] | None = None,
    ) -> RequestSummary:
        """Ask that the newest version be released; asking twice is asking once.

        ``sample_arguments`` are what the trial, which reviewers see, is run with.
        Raises: Conflict: released or denied already; Invalid; NotFound; Unavailable.
        """
        if len(json.dumps(sample_arguments)) > _SAMPLE_MAX_BYTES:
            raise Invalid("sample_arguments are larger than 64 KB; give a smaller example.")
        if nests_deeper_than(ARGUMENTS_MAX_DEPTH, sample_arguments):
            raise Invalid("sample_arguments are nested too deeply; give a flatter example.")
        async with transaction(self._sessions) as session:
            tool = await tools.get_tool(session, tool_id)
            earlier = await requests.attempts(session, tool_id, tool.current.digest)
            if sample_arguments is not None:
                await tools.keep_sample(session, tool.current.id, sample_arguments)
        attempt = _attempt_after(tool, earlier)
        while True:
            draft, workflow_id = self._publish_draft(by, tool, attempt, notes)
            alive = await self._open(draft, workflow_id)
            async with transaction(self._sessions) as session:
                projected = await requests.find_request(session, draft.id)
            if alive or (projected is not None and projected.state.terminal):
                return projected or _not_projected_yet(draft, workflow_id, tool)
            # Terminated in Temporal, which runs no code: the next attempt closes its row.
            attempt += 1

    async def decide(
        self, by: Principal, channel: Channel, request_id: RequestId, draft: DecisionDraft
    ) -> Outcome:
        """Answers when the decision has taken effect; with the same id again, the same answer.

        Raises: NotFound; Refused; Conflict; Invalid; Unavailable: send it again, same id.
        """
        request = await self.get(request_id)
        if not any(decision.id == draft.id for decision in request.decisions):
            # Asked here too, so that a refusal costs Temporal nothing.
            may_decide(_facts(request), by, draft).require()
        command = DecideCommand(draft=draft, reviewer=by, channel=channel)
        try:
            return await self._ask(
                request, Message.DECIDE, command, update_id=f"{Message.DECIDE}:{draft.id}"
            )
        except WorkerSilent as error:
            return await self._recorded_at_least(request_id, draft, error)

    async def withdraw(self, by: Principal, request_id: RequestId, reason: str = "") -> Outcome:
        """Raises: NotFound; Refused; RequestFinished; Unavailable."""
        request = await self.get(request_id)
        may_withdraw(_facts(request), by).require()
        command = WithdrawCommand(by=by, reason=reason)
        return await self._ask(request, Message.WITHDRAW, command)

    async def withdraw_all(self, tool_id: ToolId, *, reason: str) -> None:
        """Every open request about a tool, as far as Temporal can be reached now."""
        async with transaction(self._sessions) as session:
            workflow_ids = await requests.open_workflows(session, tool_id)
        command = WithdrawCommand(by=SYSTEM, reason=reason)
        for workflow_id in workflow_ids:
            try:
                await self._gate.update(workflow_id, Message.WITHDRAW, command, Outcome)
            except DomainError as error:
                log.warning("request.not_withdrawn", workflow_id=workflow_id, reason=str(error))

    async def list(
        self, states: Sequence[State], page: PageRequest, tool_id: ToolId | None = None
    ) -> Page[RequestSummary]:
        """Newest first; no states means all of them."""
        async with transaction(self._sessions) as session:
            return await requests.requests(session, page, states, tool_id)

    def _publish_draft(
        self, by: Principal, tool: ToolDetail, attempt: int, notes: str
    ) -> tuple[RequestDraft, str]:
        version = tool.current
        subject = PublishSubject(
            server_id=tool.server_id,
            server_name=tool.server_name,
            tool_id=tool.id,
            tool_name=version.name,
            version_id=version.id,
            version_number=version.number,
        )
        workflow_id = workflow_id_of(subject, version.digest, attempt)
        draft = RequestDraft(
            id=request_id_of(workflow_id),
            subject=subject,
            digest=version.digest,
            requester=by.label,
            notes=notes,
            ttl=self._ttl,
        )
        return draft, workflow_id

    async def _open(self, draft: RequestDraft, workflow_id: str) -> bool:
        """Whether its workflow lives; asking again for what has ended starts nothing."""
        subject = draft.subject
        await self._gate.start(
            temporal.CHANGE_REQUEST,
            draft,
            workflow_id=workflow_id,
            summary=subject.label,
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(temporal.KIND, subject.kind),
                    SearchAttributePair(temporal.STATE, State.GATHERING),
                    SearchAttributePair(temporal.SERVER, subject.server_name),
                    SearchAttributePair(temporal.TOOL, subject.tool_name),
                    SearchAttributePair(temporal.REQUESTER, draft.requester),
                ]
            ),
        )

        # The ask is durable now; this only lets the asker read at once what they wrote.
        with suppress(WorkerSilent):
            try:
                await self._gate.update(
                    workflow_id, Message.OPENED, None, Outcome, patience=_OPENING_PATIENCE
                )
            except NotFound:
                return False
        return True

    async def _ask(
        self,
        request: RequestSummary,
        message: Message,
        command: DecideCommand | WithdrawCommand,
        *,
        update_id: str | None = None,
    ) -> Outcome:
        try:
            return await self._gate.update(
                request.workflow_id, message, command, Outcome, update_id=update_id
            )
        except NotFound as error:
            now = (await self.get(request.id)).state
            if now.terminal:  # it ended between our look and our question
                raise RequestFinished(now) from error
            raise Conflict(
                "Temporal no longer knows this request (was it terminated there?). Its author "
                "can bring it back: mcpbox_request_publish asks again."
            ) from error

    async def _recorded_at_least(
        self, request_id: RequestId, draft: DecisionDraft, silence: WorkerSilent
    ) -> Outcome:
        """What was recorded will take effect by itself; what was not has to be sent again."""
        request = await self.get(request_id)
        if any(decision.id == draft.id for decision in request.decisions):
            return Outcome(request_id=request_id, state=request.state)
        raise Unavailable("The worker", "Send the decision again, with the same id.") from silence


def _facts(request: RequestSummary) -> RequestFacts:
    return RequestFacts(state=request.state, digest=request.digest, requester=request.requester)


def _attempt_after(tool: ToolDetail, earlier: Sequence[RequestRow]) -> int:
    """What was decided about a digest stays decided; what is open is asked again.

    Raises: Conflict: released or refused already.
    """
    version = tool.current
    if tool.released is not None and tool.released.digest == version.digest:
        raise Conflict(f"Version {version.number} of {tool.callable_name!r} is released.")
    if not earlier:
        return 0
    last = earlier[-1]
    if last.state in (State.DENIED, State.VETOED):
        word = "denied" if last.state == State.DENIED else "vetoed by a check"
        raise Conflict(
            f"This exact version was {word}: {last.state_reason or 'no reason was given'} "
            "Change the tool with mcpbox_update_tool, then ask again."
        )
    return len(earlier) if State(last.state).terminal else len(earlier) - 1


def _not_projected_yet(draft: RequestDraft, workflow_id: str, tool: ToolDetail) -> RequestSummary:
    """Asked for and safe with Temporal; the worker has not written it down yet."""
    subject, now = draft.subject, utc_now()
    return RequestSummary(
        id=draft.id,
        workflow_id=workflow_id,
        kind=subject.kind,
        state=State.GATHERING,
        state_reason="The worker has not taken it up yet; it will.",
        server_id=subject.server_id,
        server_name=subject.server_name,
        tool_id=subject.tool_id,
        tool_name=subject.tool_name,
        version_id=subject.version_id,
        version_number=subject.version_number,
        released_number=tool.released_version,
        digest=draft.digest,
        requester=draft.requester,
        notes=draft.notes,
        quorum=draft.quorum,
        risk=None,
        created_at=now,
        updated_at=now,
        expires_at=now + draft.ttl,
    )

"""Notices that a sandbox was started anew, and brings every running server back to it."""

import asyncio
from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from pydantic import Field, ValidationError, model_validator
    from pydantic_core import PydanticCustomError

    from mcpbox import temporal
    from mcpbox.domain.base import DomainModel
    from mcpbox.domain.errors import DomainError
    from mcpbox.domain.ids import ServerId
    from mcpbox.domain.people import Principal
    from mcpbox.domain.recovery import (
        REASON_MAX_LENGTH,
        RecoveryAction,
        RecoveryOutcome,
        RecoveryState,
        ResolveCommand,
        recovery_workflow_id,
    )
    from mcpbox.domain.texts import Text, made_keepable
    from mcpbox.payloads import Unreadable
    from mcpbox.policies.recovery import may_resolve
    from mcpbox.temporal import Message
    from workflows.operator_input import problems_of

WATCH = "WatchSandbox"
RECOVER_ALL = "RecoverServers"
RECOVER_ONE = "RecoverServer"
EVERY = timedelta(seconds=15)
_NOTICED = 2
"""Looks without an answer; one alone is a hiccup."""
_STORE_TIMEOUT = timedelta(seconds=10)
_STORE_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)
)
_RESTORE_TIMEOUT = timedelta(minutes=6)
_HEARTBEAT = timedelta(seconds=10)
TRIES = 6
_RESTORE_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=TRIES,
)


class Sighting(DomainModel):
    """What was seen of the sandbox; each look is told of the one before."""

    known: tuple[str, ...] = ()
    """Instances that were seen, newest first: behind one address there may be several."""
    silent: int = 0
    """Looks in a row that were not answered."""


class FoundServer(DomainModel):
    server_id: ServerId
    name: str


class FoundServers(DomainModel):
    servers: tuple[FoundServer, ...]


class RestoreServer(FoundServer):
    pass


class RecordRecovery(FoundServer):
    state: RecoveryState
    problem: str = ""
    tries: int = 0
    actor: str
    reason: str = ""
    started_at: datetime


class RecordRefusedAnswer(FoundServer):
    who: str
    reason: str


class FindPerson(DomainModel):
    username: str


class FoundPerson(DomainModel):
    person: Principal | None = None


class RecoveryActivities(ABC):
    @activity.defn
    @abstractmethod
    async def look_at_sandbox(self, given: Sighting) -> Sighting:
        """Asks for its health once; never raises, for silence is an answer too."""

    @activity.defn
    @abstractmethod
    async def find_servers(self) -> FoundServers:
        """Running ones with released tools."""

    @activity.defn
    @abstractmethod
    async def restore_server(self, given: RestoreServer) -> None:
        """Sends modules and bundles again, and has each judged; runs no tool. Heartbeats.

        Raises: ApplicationError: what does not come back, and why.
        """

    @activity.defn
    @abstractmethod
    async def record_recovery(self, given: RecordRecovery) -> None: ...

    @activity.defn
    @abstractmethod
    async def record_refused_answer(self, given: RecordRefusedAnswer) -> None: ...

    @activity.defn
    @abstractmethod
    async def find_person(self, given: FindPerson) -> FoundPerson: ...


class OperatorAnswer(DomainModel):
    """What an operator may send with ``temporal workflow signal --name resolve --input …``."""

    action: RecoveryAction
    operator: Text = Field(min_length=1, max_length=80)
    reason: Text = Field(default="", max_length=REASON_MAX_LENGTH)

    @model_validator(mode="before")
    @classmethod
    def _readable(cls, given: object) -> object:
        if isinstance(given, Unreadable):
            raise PydanticCustomError("unreadable", "{why}", {"why": given.why})
        return given


@workflow.defn(name=WATCH)
class WatchSandboxWorkflow:
    """Run by a schedule, each run with what the last one saw."""

    @workflow.run
    async def run(self) -> Sighting:
        last: Sighting | None = workflow.get_last_completion_result(Sighting)
        before = last or Sighting()
        now = await workflow.execute_activity_method(
            RecoveryActivities.look_at_sandbox,
            before,
            start_to_close_timeout=_STORE_TIMEOUT,
            retry_policy=_STORE_RETRY,
        )
        new = now.known[0] if now.known[:1] != before.known[:1] else None
        if new is not None and new not in before.known:
            await self._recover(f"recover-servers/{new}")
        elif now.silent == _NOTICED or (before.silent >= _NOTICED and not now.silent):
            # Silence makes the recoveries say so and wait; its end makes them try again.
            await self._recover(f"recover-servers/{workflow.info().run_id}")
        return now

    async def _recover(self, workflow_id: str) -> None:
        try:
            await workflow.start_child_workflow(
                RECOVER_ALL,
                id=workflow_id,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                parent_close_policy=ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("recovery.already_started")


@workflow.defn(name=RECOVER_ALL)
class RecoverServersWorkflow:
    """Gives each server a recovery of its own; one that runs already is told to try again."""

    @workflow.run
    async def run(self) -> FoundServers:
        found = await workflow.execute_activity_method(
            RecoveryActivities.find_servers,
            start_to_close_timeout=_STORE_TIMEOUT,
            retry_policy=_STORE_RETRY,
        )
        for server in found.servers:
            await self._begin(server)
        return found

    async def _begin(self, server: FoundServer) -> None:
        workflow_id = recovery_workflow_id(server.server_id)
        try:
            await workflow.start_child_workflow(
                RECOVER_ONE,
                server,
                id=workflow_id,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"bring {server.name} back",
                search_attributes=temporal.recovery_attributes(server.name),
            )
        except WorkflowAlreadyStartedError:
            handle = workflow.get_external_workflow_handle(workflow_id)
            try:
                await handle.signal(Message.AGAIN, None)
            except ApplicationError:
                # It ended in between, when the sandbox was back already.
                workflow.logger.info("recovery.ended_meanwhile")


@workflow.defn(name=RECOVER_ONE)
class RecoverServerWorkflow:
    """One server: tries with growing pauses, then waits for an admin's answer."""

    @workflow.init
    def __init__(self, server: FoundServer) -> None:
        self._server = server
        self._state = RecoveryState.RESTORING
        self._problem = ""
        self._tries = 0
        self._answer: tuple[RecoveryAction, str, str] | None = None
        self._again = False
        self._answering = asyncio.Lock()

    @workflow.run
    async def run(self, server: FoundServer) -> RecoveryOutcome:
        while True:
            self._again = False
            await self._restore()
            if self._state is RecoveryState.RESTORED and not self._again:
                break
            if self._state is RecoveryState.WAITING:
                await workflow.wait_condition(lambda: self._answer is not None or self._again)
            answer, self._answer = self._answer, None
            if answer is None or answer[0] is RecoveryAction.RETRY:
                actor, reason = answer[1:] if answer else ("system:mcpbox", "")
                await self._enter(RecoveryState.RESTORING, actor=actor, reason=reason)
                continue
            stopped = answer[0] is RecoveryAction.STOP
            end = RecoveryState.STOPPED if stopped else RecoveryState.IGNORED
            await self._enter(end, problem=self._problem, actor=answer[1], reason=answer[2])
            break
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._so_far()

    async def _restore(self) -> None:
        self._tries += 1
        self._show()
        try:
            await workflow.execute_activity_method(
                RecoveryActivities.restore_server,
                RestoreServer(**self._server.model_dump()),
                start_to_close_timeout=_RESTORE_TIMEOUT,
                heartbeat_timeout=_HEARTBEAT,
                retry_policy=_RESTORE_RETRY,
            )
        except ActivityError as error:
            cause = error.cause
            said = cause.message if isinstance(cause, ApplicationError) else ""
            problem = made_keepable(said[:1000]) or "The worker gave no reason in time."
            # Known here before anybody can read it: who reads it may answer at once.
            self._state = RecoveryState.WAITING
            await self._enter(RecoveryState.WAITING, problem=problem)
        else:
            await self._enter(RecoveryState.RESTORED)

    async def _enter(
        self,
        state: RecoveryState,
        *,
        problem: str = "",
        actor: str = "system:mcpbox",
        reason: str = "",
    ) -> None:
        await workflow.execute_activity_method(
            RecoveryActivities.record_recovery,
            RecordRecovery(
                **self._server.model_dump(),
                state=state,
                problem=problem,
                tries=self._tries,
                actor=actor,
                reason=reason,
                started_at=workflow.info().workflow_start_time,
            ),
            start_to_close_timeout=_STORE_TIMEOUT,
            retry_policy=_STORE_RETRY,
        )
        self._state, self._problem = state, problem
        self._show()

    # Messages

    @workflow.update(name=Message.RESOLVE, description="Answer: retry, stop or ignore.")
    async def resolve(self, command: ResolveCommand) -> RecoveryOutcome:
        self._answer = (command.action, command.by.label, command.reason)
        await workflow.wait_condition(lambda: self._state is not RecoveryState.WAITING)
        return self._so_far()

    @resolve.validator
    def _admit_answer(self, command: ResolveCommand) -> None:
        self._require_waiting(command.by)

    @workflow.signal(name=Message.RESOLVE, description="For operators: {action, operator, reason}.")
    async def resolve_by_signal(self, raw: Any = None) -> None:
        # Untyped, and nothing is raised from here: see the signal that decides a request.
        who = "unknown"
        async with self._answering:
            try:
                given = OperatorAnswer.model_validate(raw)
                who = given.operator
                found = await workflow.execute_activity_method(
                    RecoveryActivities.find_person,
                    FindPerson(username=given.operator),
                    start_to_close_timeout=_STORE_TIMEOUT,
                    retry_policy=_STORE_RETRY,
                )
                if found.person is None:
                    await self._refuse(who, f"{who!r} is not the name of an active person.")
                    return
                self._require_waiting(found.person)
                self._answer = (given.action, found.person.label, given.reason)
            except ValidationError as error:
                await self._refuse(
                    who,
                    f"Malformed: {problems_of(error)}. Send one JSON object with action, operator "
                    "and reason.",
                )
            except (ActivityError, DomainError) as error:
                await self._refuse(who, str(error))

    @workflow.signal(name=Message.AGAIN, description="Sent when the sandbox was started anew.")
    async def again(self, _: Any = None) -> None:
        self._again = True

    @workflow.query(name="outcome", description="Where the recovery stands.")
    def outcome(self) -> RecoveryOutcome:
        return self._so_far()

    # Parts

    def _require_waiting(self, by: Principal) -> None:
        """Raises: DomainError."""
        state = RecoveryState.RESTORING if self._answer is not None else self._state
        may_resolve(state, by).require()

    async def _refuse(self, who: str, reason: str) -> None:
        await workflow.execute_activity_method(
            RecoveryActivities.record_refused_answer,
            RecordRefusedAnswer(
                **self._server.model_dump(),
                who=made_keepable(who[:80]),
                reason=made_keepable(reason[:1000]),
            ),
            start_to_close_timeout=_STORE_TIMEOUT,
            retry_policy=_STORE_RETRY,
        )

    def _so_far(self) -> RecoveryOutcome:
        return RecoveryOutcome(state=self._state, problem=self._problem)

    def _show(self) -> None:
        workflow.upsert_search_attributes([temporal.STATE.value_set(self._state)])
        lines = [f"### bring {self._server.name} back: {self._state}", "", self._problem]
        if self._state is RecoveryState.WAITING:
            lines += [
                "",
                "An admin answers in the panel, with `mcpbox recovery`, or with `retry`, `stop` or "
                "`ignore` here:",
                "",
                "    temporal workflow signal --workflow-id '<this id>' --name resolve --input "
                '\'{"action": "retry", "operator": "admin", "reason": "…"}\'',
            ]
        workflow.set_current_details("\n".join(lines))

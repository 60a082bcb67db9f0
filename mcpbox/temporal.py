"""Temporal: the names that callers and workers share, and how a caller talks to a workflow."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from mcpbox.domain.errors import DomainError, Invalid, NotFound, Unavailable, rebuilt
from mcpbox.domain.ids import SourceId
from mcpbox.domain.requests import RequestDraft, State
from mcpbox.domain.subjects import VersionSubject
from mcpbox.payloads import data_converter
from mcpbox.tracing import temporal_interceptors
from mcpbox.vouchers import Vouchers

TASK_QUEUE = "mcpbox"
CHANGE_REQUEST = "ChangeRequest"
"""Name of the workflow type; part of every history, so it never changes."""
GRANT_END = "GrantEnd"
PROBATION = "Probation"
SOURCE_CHECK = "CheckSource"
"""As above."""

KIND = SearchAttributeKey.for_keyword("McpboxKind")
STATE = SearchAttributeKey.for_keyword("McpboxState")
SERVER = SearchAttributeKey.for_keyword("McpboxServer")
TOOL = SearchAttributeKey.for_keyword("McpboxTool")
REQUESTER = SearchAttributeKey.for_keyword("McpboxRequester")
RISK = SearchAttributeKey.for_keyword("McpboxRisk")
SEARCH_ATTRIBUTES = (KIND, STATE, SERVER, TOOL, REQUESTER, RISK)

RECOVERY = "recovery"
"""The kind of a workflow that brings a server back."""

_RPC_TIMEOUT = timedelta(seconds=10)
_LOST = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
_PART = "Temporal"
_LOOK_THERE = "The workflow refused it; see it in Temporal."
_SETTLING_S = 0.1
Answer = TypeVar("Answer", bound=BaseModel)


class Message(StrEnum):
    """Updates and signals of the workflow, by the name that operators use too."""

    DECIDE = "decide"
    WITHDRAW = "withdraw"
    REVISE = "revise"
    RETRACT = "retract"
    SUPERSEDE = "supersede"
    CATCH_UP = "catch_up"
    RESOLVE = "resolve"
    AGAIN = "again"
    LOOK = "look"


class WorkerSilent(Unavailable):
    """Temporal is there, but no worker answered in time; what it accepted will be done."""

    def __init__(self) -> None:
        super().__init__("The worker", "What was recorded takes effect when it is back.")


class NotSetUp(Unavailable):
    """A worker has registered our search attributes a moment ago, or none was there yet."""

    def __init__(self) -> None:
        super().__init__(_PART)
        self.args = (
            "Temporal does not know yet how requests are listed. Nothing was changed; try again "
            "in a few seconds, and see whether the worker runs if that does not help.",
        )


class TemporalGate:
    """A connection made when it is first needed, so that no process waits for Temporal."""

    def __init__(self, target: str, namespace: str, keys: Sequence[SecretStr]) -> None:
        """``keys``: what payloads are encrypted with, newest first."""
        self.vouchers = Vouchers(keys)
        self._keys = keys
        self._target = target
        self._namespace = namespace
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def client(self) -> Client:
        """Raises: Unavailable."""
        async with self._connecting:
            if self._client is None:
                try:
                    self._client = await connect(self._target, self._namespace, self._keys)
                except (RuntimeError, OSError) as error:
                    raise Unavailable(_PART) from error
            return self._client

    async def start(
        self,
        workflow: str,
        draft: BaseModel,
        *,
        workflow_id: str,
        summary: str,
        search_attributes: TypedSearchAttributes,
    ) -> bool:
        """Whether it runs; starting a workflow id again, running or closed, changes nothing.

        Raises: Unavailable: nothing was started; NotSetUp: nor can be for the moment.
        """
        client = await self.client()
        try:
            await client.start_workflow(
                workflow,
                draft,
                id=workflow_id,
                task_queue=TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=summary,
                search_attributes=search_attributes,
                rpc_timeout=_RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            _raise_if_lost(error)
            if error.status is RPCStatusCode.INVALID_ARGUMENT and "search attribute" in str(error):
                raise NotSetUp from error
            raise
        return True

    async def begin(
        self, workflow: str, given: BaseModel, *, workflow_id: str, summary: str
    ) -> None:
        """Starts what may run again and again; while it runs, it is not started twice.

        Raises: Unavailable: nothing was started.
        """
        await self._begun(await self.client(), workflow, given, None, workflow_id, summary)

    async def run(
        self,
        workflow: str,
        given: BaseModel,
        answer: type[Answer],
        *,
        workflow_id: str,
        summary: str,
        patience: timedelta,
    ) -> Answer:
        """As above, and waits for what it answers; it goes on when the patience ends.

        Raises: DomainError: as the workflow raised it; Unavailable; WorkerSilent.
        """
        client = await self.client()
        handle = await self._begun(client, workflow, given, answer, workflow_id, summary)
        try:
            async with asyncio.timeout(patience.total_seconds()):
                return await handle.result()
        except WorkflowFailureError as error:
            raise _told_by(error.cause) from error
        except TimeoutError as error:
            if not await self._answers(client):
                raise Unavailable(_PART) from error
            raise WorkerSilent from error
        except RPCError as error:
            _raise_if_lost(error)
            raise

    async def _begun(
        self,
        client: Client,
        workflow: str,
        given: BaseModel,
        answer: type[Answer] | None,
        workflow_id: str,
        summary: str,
    ) -> WorkflowHandle[Any, Answer]:
        try:
            return await client.start_workflow(
                workflow,
                given,
                id=workflow_id,
                task_queue=TASK_QUEUE,
                result_type=answer,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=summary,
                rpc_timeout=_RPC_TIMEOUT,
            )
        except RPCError as error:
            _raise_if_lost(error)
            raise

    async def update(
        self,
        workflow_id: str,
        message: Message,
        payload: BaseModel | None,
        answer: type[Answer],
        *,
        update_id: str | None = None,
        patience: timedelta = _RPC_TIMEOUT,
    ) -> Answer:
        """Ask a workflow and wait for its answer; the same update id asks once.

        Raises: DomainError: as the workflow raised it; NotFound: it has ended;
            Unavailable: Temporal is away; WorkerSilent.
        """
        client = await self.client()
        handle = client.get_workflow_handle(workflow_id)
        try:
            return await handle.execute_update(
                message,
                args=[] if payload is None else [payload],
                id=update_id,
                result_type=answer,
                rpc_timeout=patience,
            )
        except WorkflowUpdateFailedError as error:
            raise _told_by(error.cause) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            if not await self._answers(client):
                raise Unavailable(_PART) from error
            raise WorkerSilent from error
        except RPCError as error:
            _raise_if_lost(error)
            if error.status is RPCStatusCode.NOT_FOUND:
                raise NotFound("open workflow", workflow_id) from error
            raise

    async def signal(self, workflow_id: str, message: Message) -> None:
        """Tell a workflow; one that has ended, or never was, hears nothing. Raises: Unavailable."""
        client = await self.client()
        try:
            await client.get_workflow_handle(workflow_id).signal(
                message, args=[None], rpc_timeout=_RPC_TIMEOUT
            )
        except RPCError as error:
            _raise_if_lost(error)
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def healthy(self) -> bool:
        try:
            return await self._answers(await self.client())
        except Unavailable:
            return False

    async def _answers(self, client: Client) -> bool:
        try:
            return await client.service_client.check_health(timeout=timedelta(seconds=2))
        except RPCError:
            return False


async def connect(target: str, namespace: str, keys: Sequence[SecretStr]) -> Client:
    return await Client.connect(
        target,
        namespace=namespace,
        data_converter=data_converter(keys),
        interceptors=temporal_interceptors(),
    )


async def connect_patiently(
    target: str, namespace: str, keys: Sequence[SecretStr], *, patience: timedelta
) -> Client:
    """For workers, which cannot live without it. Raises: Unavailable: after ``patience``."""
    deadline = time.monotonic() + patience.total_seconds()
    while True:
        try:
            return await connect(target, namespace, keys)
        except (RuntimeError, OSError) as error:
            if time.monotonic() > deadline:
                raise Unavailable(_PART) from error
        await asyncio.sleep(0.2)


def request_attributes(draft: RequestDraft) -> TypedSearchAttributes:
    """Of one that is begun."""
    subject = draft.subject
    attributes = [
        SearchAttributePair(KIND, subject.kind),
        SearchAttributePair(STATE, State.GATHERING),
        SearchAttributePair(SERVER, subject.server_name),
        SearchAttributePair(REQUESTER, draft.requester),
    ]
    if isinstance(subject, VersionSubject):
        attributes.append(SearchAttributePair(TOOL, subject.tool_name))
    return TypedSearchAttributes(attributes)


def recovery_attributes(server_name: str) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [SearchAttributePair(KIND, RECOVERY), SearchAttributePair(SERVER, server_name)]
    )


def source_check_id(source_id: SourceId) -> str:
    return f"source/{source_id}"


async def settle() -> None:
    """The last await of every process that used a client.

    Its threads need a moment to end; an interpreter that exits before that is aborted by them.
    """
    await asyncio.sleep(_SETTLING_S)


def _told_by(cause: BaseException | None) -> DomainError:
    while isinstance(cause, ActivityError):
        cause = cause.cause
    if isinstance(cause, ApplicationError):
        return rebuilt(cause.type, cause.message) or Invalid(_LOOK_THERE)
    return Invalid(_LOOK_THERE)


def _raise_if_lost(error: RPCError) -> None:
    if error.status in _LOST:
        raise Unavailable(_PART) from error

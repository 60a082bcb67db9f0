"""A stand-in for ``tctl``, Temporal's older command line: what the runbook runs of it, and no more.

The real one is in no package registry.
Every request is shaped as tctl 1.18.4 was seen to send it; what is printed says the same, plainer.
Where the environment variable ``TCTL`` names a real one, the tests run that instead of this.
"""

import asyncio
import base64
import json
import os
import socket
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

import httpx
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from temporalio.api.batch.v1 import BatchOperationCancellation
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import EventType, HistoryEventFilterType, ResetReapplyType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.schedule.v1 import SchedulePatch, TriggerImmediatelyRequest
from temporalio.api.workflowservice import v1 as asks
from temporalio.client import Client
from temporalio.service import RPCError

_PATIENCE_S = 30
"""For all of it; tctl's own is 5 seconds a request, which a busy machine may need."""
_NULL = Payload(metadata={"encoding": b"binary/null"})
_ESCAPED = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&"})
_SCHEDULED = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


class Tctl:
    """One method for each command; they answer what is to be printed."""

    def __init__(self, client: Client, given: Namespace) -> None:
        self._service = client.workflow_service
        self._given = given
        self._namespace: str = given.namespace
        self._identity = f"tctl@{socket.gethostname()}"

    async def list(self) -> str:
        request = asks.ListWorkflowExecutionsRequest(
            namespace=self._namespace, page_size=10, query=self._given.query
        )
        return await self._told(await self._service.list_workflow_executions(request))

    async def count(self) -> str:
        request = asks.CountWorkflowExecutionsRequest(
            namespace=self._namespace, query=self._given.query
        )
        answer = await self._service.count_workflow_executions(request)
        return str(answer.count)

    async def describe(self) -> str:
        request = asks.DescribeWorkflowExecutionRequest(
            namespace=self._namespace, execution=self._workflow
        )
        return await self._told(await self._service.describe_workflow_execution(request))

    async def query(self) -> str:
        request = asks.QueryWorkflowRequest(
            namespace=self._namespace,
            execution=self._workflow,
            query=WorkflowQuery(query_type=self._given.query_type),
        )
        return await self._told(await self._service.query_workflow(request))

    async def show(self) -> str:
        every = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT
        events = await self._events(history_event_filter_type=every)
        return "\n".join([await self._told(event) for event in events])

    async def signal(self) -> str:
        request = asks.SignalWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=self._workflow,
            signal_name=self._given.name,
            input=in_the_clear(self._given.input),
            identity=self._identity,
        )
        await self._service.signal_workflow_execution(request)
        return "Signal workflow succeeded."

    async def cancel(self) -> str:
        if self._given.query:
            return await self._cancel_many()
        request = asks.RequestCancelWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=self._workflow,
            identity=self._identity,
            request_id=str(uuid4()),
        )
        await self._service.request_cancel_workflow_execution(request)
        return "Cancel workflow succeeded."

    async def reset(self) -> str:
        events = await self._events(maximum_page_size=1000)
        request = asks.ResetWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=self._workflow,
            reason=f"{user()}:{self._given.reason}",
            workflow_task_finish_event_id=_RESET_POINTS[self._given.reset_type](events),
            request_id=str(uuid4()),
            reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_SIGNAL,
        )
        return await self._told(await self._service.reset_workflow_execution(request))

    async def terminate(self) -> str:
        request = asks.TerminateWorkflowExecutionRequest(
            namespace=self._namespace,
            workflow_execution=self._workflow,
            reason=self._given.reason,
            details=Payloads(payloads=[_NULL]),
            identity=self._identity,
        )
        await self._service.terminate_workflow_execution(request)
        return "Terminate workflow succeeded."

    async def batches(self) -> str:
        request = asks.ListBatchOperationsRequest(namespace=self._namespace)
        return await self._told(await self._service.list_batch_operations(request))

    async def trigger(self) -> str:
        request = asks.PatchScheduleRequest(
            namespace=self._namespace,
            schedule_id=self._given.schedule_id,
            patch=SchedulePatch(trigger_immediately=TriggerImmediatelyRequest()),
            identity=self._identity,
            request_id=str(uuid4()),
        )
        await self._service.patch_schedule(request)
        return "Trigger request sent"

    async def _cancel_many(self) -> str:
        asked = f"Will start a batch job operating on {await self.count()} Workflow Executions."
        if not self._given.yes:
            sys.exit(f"{asked} Continue? Y/N")
        request = asks.StartBatchOperationRequest(
            namespace=self._namespace,
            visibility_query=self._given.query,
            job_id=str(uuid4()),
            reason=self._given.reason,
            cancellation_operation=BatchOperationCancellation(identity=user()),
        )
        await self._service.start_batch_operation(request)
        return f"Batch job {request.job_id} is started"

    @property
    def _workflow(self) -> WorkflowExecution:
        return WorkflowExecution(workflow_id=self._given.workflow_id)

    async def _events(self, **more: Any) -> Sequence[HistoryEvent]:
        request = asks.GetWorkflowExecutionHistoryRequest(
            namespace=self._namespace, execution=self._workflow, **more
        )
        found: list[HistoryEvent] = []
        while True:
            page = await self._service.get_workflow_execution_history(request)
            found += page.history.events
            if not page.next_page_token:
                return found
            request.next_page_token = page.next_page_token

    async def _told(self, answer: Message) -> str:
        async with httpx.AsyncClient() as http:
            return json.dumps(await self._readable(MessageToDict(answer), http), indent=1)

    async def _readable(self, part: Any, http: httpx.AsyncClient) -> Any:
        """Every payload as text, by way of the codec server where there is one."""
        match part:
            case {"metadata": {"encoding": _}, "data": str(data)}:
                if self._given.codec_endpoint:
                    data = await self._decoded(part, http)
                return base64.b64decode(data).decode(errors="replace")
            case dict():
                return {name: await self._readable(value, http) for name, value in part.items()}
            case list():
                return [await self._readable(each, http) for each in part]
            case _:
                return part

    async def _decoded(self, payload: Any, http: httpx.AsyncClient) -> str:
        answer = await http.post(
            f"{self._given.codec_endpoint}/decode",
            json={"payloads": [payload]},
            headers={"authorization": self._given.codec_auth, "x-namespace": self._namespace},
        )
        return answer.raise_for_status().json()["payloads"][0]["data"]


def in_the_clear(inputs: Sequence[str]) -> Payloads | None:
    """As Go writes JSON anew; a codec server is not asked."""
    return Payloads(payloads=[_payload(given) for given in inputs]) if inputs else None


def _payload(given: str) -> Payload:
    try:
        value = json.loads(given)
    except ValueError:
        sys.exit("Error: Input is not valid JSON.")
    if value is None:
        return _NULL
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Payload(metadata={"encoding": b"json/plain"}, data=text.translate(_ESCAPED).encode())


def first_task(events: Sequence[HistoryEvent]) -> int:
    completed = [event.event_id for event in events if event.event_type == _COMPLETED]
    scheduled = [event.event_id + 1 for event in events if event.event_type == _SCHEDULED]
    return (completed or scheduled)[0]


def last_task(events: Sequence[HistoryEvent]) -> int:
    return [
        event.event_id + (event.event_type == _SCHEDULED)
        for event in events
        if event.event_type in (_COMPLETED, _SCHEDULED)
    ][-1]


_RESET_POINTS = {"FirstWorkflowTask": first_task, "LastWorkflowTask": last_task}


def user() -> str:
    named = (os.environ.get(name) for name in ("USER", "LOGNAME", "HOME"))
    return next(filter(None, named), "unknown")


_COMMANDS: dict[str, dict[str, tuple[Callable[[Tctl], Awaitable[str]], str]]] = {
    "workflow": {
        "list": (Tctl.list, "--query"),
        "count": (Tctl.count, "--query"),
        "describe": (Tctl.describe, "-w"),
        "query": (Tctl.query, "-w --query_type"),
        "show": (Tctl.show, "-w"),
        "signal": (Tctl.signal, "-w -n -i?"),
        "cancel": (Tctl.cancel, "-w? --query? --reason? --yes?"),
        "reset": (Tctl.reset, "-w --reset_type --reason"),
        "terminate": (Tctl.terminate, "-w --reason"),
    },
    "batch-v2": {"list": (Tctl.batches, "")},
    "schedule": {"trigger": (Tctl.trigger, "--schedule_id")},
}
"""With the options of each; those with a question mark may be left out."""
_OPTIONS: dict[str, dict[str, Any]] = {
    "-w": {"dest": "workflow_id"},
    "-n": {"dest": "name"},
    "-i": {"dest": "input", "action": "append", "default": []},
    "--reset_type": {"choices": list(_RESET_POINTS)},
    "--yes": {"action": "store_true"},
}
_SETTINGS = {
    "address": "127.0.0.1:7233",
    "namespace": "default",
    "codec_endpoint": "",
    "codec_auth": "",
}


def understood(arguments: Sequence[str]) -> Namespace:
    parser = ArgumentParser("tctl", allow_abbrev=False)
    for name, default in _SETTINGS.items():
        set_to = os.environ.get(f"TEMPORAL_CLI_{name.upper()}", default)
        parser.add_argument(f"--{name}", default=set_to)
    groups = parser.add_subparsers(required=True)
    for group, commands in _COMMANDS.items():
        added = groups.add_parser(group).add_subparsers(required=True)
        for name, (does, options) in commands.items():
            command = added.add_parser(name, allow_abbrev=False)
            command.set_defaults(does=does)
            for option in options.split():
                flag = option.removesuffix("?")
                more = _OPTIONS.get(flag, {})
                command.add_argument(flag, required=flag == option, **more)
    return parser.parse_args(arguments)


async def main() -> None:
    given = understood(sys.argv[1:])
    try:
        async with asyncio.timeout(_PATIENCE_S):
            client = await Client.connect(given.address, namespace=given.namespace)
            said = await given.does(Tctl(client, given))
    except RPCError as error:
        sys.exit(f"Error: {error}")
    sys.stdout.write(f"{said}\n")
    await asyncio.sleep(0.1)  # the threads of the client need a moment to end


if __name__ == "__main__":
    asyncio.run(main())

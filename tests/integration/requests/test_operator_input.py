"""What an operator may type wrong: refused, shown on the request, and nothing is stuck by it."""

import json
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Header, Payload, Payloads, WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import RawValue

from mcpbox.domain.requests import Outcome, RequestSummary, State
from mcpbox.temporal import Message
from tests.integration.requests.conftest import Office
from tests.integration.requests.test_deciding import refusals
from tests.reviewing import eventually


def payload(data: bytes, encoding: bytes | None = b"json/plain", **metadata: bytes) -> Payload:
    named = {} if encoding is None else {"encoding": encoding}
    return Payload(data=data, metadata=named | metadata)


MANY_FIELDS = json.dumps({f"field{number}": 0 for number in range(100_000)}).encode()
UNREADABLE: dict[str, tuple[list[Payload], str]] = {
    "not JSON": ([payload(b"approve please")], "it is not JSON"),
    "cut JSON": ([payload(b'{"verdict": "appr')], "it is not JSON"),
    "nested past all use": ([payload(b"[" * 5000 + b"]" * 5000)], "it is not JSON"),
    "not UTF-8": ([payload(b'"\xff\xfe"')], "it is not JSON"),
    "no encoding": ([payload(b"{}", None)], "its encoding is not json/plain"),
    "bytes": ([payload(b"{}", b"binary/plain")], "its encoding is not json/plain"),
    "an encoding nobody knows": ([payload(b"{}", b"x-own/v9")], "its encoding is not json/plain"),
    "a Protobuf message that does not exist": (
        [payload(b"{}", b"json/protobuf", messageType=b"no.such.Message")],
        "its encoding is not json/plain",
    ),
    "encrypted with a lost key": (
        [payload(b"x" * 60, b"binary/encrypted", **{"encryption-key-id": b"0123456789abcdef"})],
        "it is encrypted with a key that is not known here",
    ),
    "two that are not JSON": ([payload(b"{"), payload(b"}")], "2 inputs were sent"),
    "huge": ([payload(MANY_FIELDS)], "it is larger than 32 KiB"),
    "empty": ([payload(b"", b"binary/null")], "input: "),
}
VALID_HEADERS: dict[str, Payload] = {
    "of no encoding": payload(b"\xff", None),
    "encrypted with a lost key": payload(b"x" * 60, b"binary/encrypted"),
}


@pytest.mark.parametrize("why", UNREADABLE)
async def test_a_signal_that_cannot_be_read_is_refused_on_the_request(
    office: Office, why: str
) -> None:
    """The SDK by itself would drop it without a trace."""
    given, reason = UNREADABLE[why]
    request = await office.asked()

    for name in (Message.DECIDE, Message.SUPERSEDE, "no-such-signal"):
        await send(office, request, name, given)

    found = await refusals(office, request, 3)
    assert any(text.startswith("Malformed: ") and reason in text for text in found), found
    assert any("no-such-signal" in text for text in found)
    assert (await office.decide(request)).state is State.APPLIED


@pytest.mark.parametrize("why", UNREADABLE)
async def test_an_update_that_cannot_be_read_is_answered_and_leaves_no_trace(
    office: Office, why: str
) -> None:
    given, _ = UNREADABLE[why]
    request = await office.asked()
    workflow = office.workflow(request)
    await waiting_again(office, request)
    before = len((await workflow.fetch_history()).events)

    for name in (Message.DECIDE, Message.WITHDRAW, "no-such-update"):
        with pytest.raises(WorkflowUpdateFailedError):
            await workflow.execute_update(name, args=[RawValue(each) for each in given])

    assert len((await workflow.fetch_history()).events) == before
    assert (await office.decide(request)).state is State.APPLIED


@pytest.mark.parametrize("why", VALID_HEADERS)
async def test_a_header_that_nobody_can_read_changes_nothing(office: Office, why: str) -> None:
    request = await office.asked()
    decision = {
        "verdict": "approve",
        "reviewer": "ana",
        "reason": "Read it.",
        "seen_digest": request.digest,
    }

    await send(
        office,
        request,
        Message.DECIDE,
        [payload(json.dumps(decision).encode())],
        Header(fields={"who": VALID_HEADERS[why]}),
    )

    assert (await office.when(request, State.APPLIED)).decisions[0].reviewer == "ana"


async def waiting_again(office: Office, request: RequestSummary) -> None:
    """Its workflow itself says so: it has done all that leads there."""

    async def waits() -> bool:
        outcome = await office.workflow(request).query("outcome", result_type=Outcome)
        return outcome.state is State.AWAITING_DECISION

    await eventually(waits)


async def send(
    office: Office,
    request: RequestSummary,
    name: str,
    given: list[Payload],
    header: Header | None = None,
) -> None:
    """Past every converter of ours, as a command line would."""
    client = office.env.client
    await client.workflow_service.signal_workflow_execution(
        SignalWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=request.workflow_id),
            signal_name=name,
            input=Payloads(payloads=given),
            identity="operator",
            request_id=str(uuid4()),
            header=header,
        )
    )

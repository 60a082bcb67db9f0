"""Starting what nobody works on: durable all the same, and told."""

from uuid import uuid4

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError

from mcpbox import temporal
from mcpbox.domain.ids import RequestId
from tests.integration.requests.conftest import GateTo, Office
from tests.integration.requests.shifts import own_queue
from workflows.contracts import LookUp


async def test_without_a_worker_it_is_started_and_not_twice(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_queue(monkeypatch)
    client, workflow_id = office.env.client, f"gate/{uuid4()}"

    async def started() -> bool:
        return await GateTo(client).start(
            temporal.CHANGE_REQUEST,
            LookUp(request_id=RequestId(uuid4())),
            workflow_id=workflow_id,
            summary="Nobody works on it.",
            search_attributes=TypedSearchAttributes([]),
        )

    assert await started()
    first = await client.get_workflow_handle(workflow_id).describe()
    assert await started()
    again = await client.get_workflow_handle(workflow_id).describe()
    await client.get_workflow_handle(workflow_id).terminate()
    assert not await started()

    assert first.status is WorkflowExecutionStatus.RUNNING
    assert again.run_id == first.run_id


async def test_a_temporal_that_does_not_know_our_search_attributes_yet_is_asked_again_later(
    office: Office,
) -> None:
    client, workflow_id = office.env.client, f"gate/{uuid4()}"
    unknown = SearchAttributePair(SearchAttributeKey.for_keyword("McpboxNewest"), "x")

    with pytest.raises(temporal.NotSetUp, match="try again in a few seconds"):
        await GateTo(client).start(
            temporal.CHANGE_REQUEST,
            LookUp(request_id=RequestId(uuid4())),
            workflow_id=workflow_id,
            summary="Nothing to work on.",
            search_attributes=TypedSearchAttributes([unknown]),
        )

    with pytest.raises(RPCError, match="not found"):
        await client.get_workflow_handle(workflow_id).describe()

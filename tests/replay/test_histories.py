"""Recorded histories are the compatibility contract of the request workflow.

A change of the workflow's commands needs ``workflow.patched``; without it, requests that wait
while MCPbox is updated would be stuck. New paths: ``pytest tests/integration/requests --record``.
"""

from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.worker import Interceptor, Replayer

from mcpbox import temporal
from mcpbox.domain.requests import Outcome
from mcpbox.payloads import data_converter
from workflows.change_request import ChangeRequestWorkflow
from workflows.contracts import StartRequest
from workflows.grant_end import GrantEndWorkflow
from workflows.interceptor import OneSignalArgument

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def recorded(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())


def replayer(workflow_class: type = ChangeRequestWorkflow, *more: Interceptor) -> Replayer:
    return Replayer(
        workflows=[workflow_class, GrantEndWorkflow],
        data_converter=data_converter(()),
        interceptors=[OneSignalArgument(), *more],
    )


def test_every_way_a_request_can_end_is_recorded() -> None:
    assert {path.stem for path in HISTORIES} >= {
        "applied",
        "applied_at_the_second_try",
        "applied_by_signal",
        "apply_failed",
        "bundle_applied",
        "caught_up",
        "denied",
        "expired",
        "goes_on_anew",
        "grant_ended",
        "host_granted",
        "lapsed",
        "malformed_signals",
        "module_granted",
        "reminded_and_escalated",
        "restored",
        "rolled_back",
        "secret_bound",
        "forced",
        "retracted_and_applied",
        "revised_and_applied",
        "superseded_after_changes_requested",
        "vetoed",
        "went_on_anew",
        "withdrawn",
    }


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_request_that_began_before_an_update_goes_on_after_it(path: Path) -> None:
    await replayer().replay_workflow(recorded(path))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_request_goes_on_when_traces_are_switched_on_meanwhile(path: Path) -> None:
    """ADR 0034."""
    await replayer(ChangeRequestWorkflow, TracingInterceptor()).replay_workflow(recorded(path))


@workflow.defn(name=temporal.CHANGE_REQUEST, sandboxed=False)
class Changed(ChangeRequestWorkflow):
    """The same, with a timer in front."""

    @workflow.init
    def __init__(self, start: StartRequest) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: StartRequest) -> Outcome:
        await workflow.sleep(1)
        return await super().run(start)


async def test_an_incompatible_change_would_be_noticed() -> None:
    path = next(path for path in HISTORIES if path.stem == "applied")

    with pytest.raises(workflow.NondeterminismError):
        await replayer(Changed).replay_workflow(recorded(path))

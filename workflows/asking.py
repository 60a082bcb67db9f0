"""Opening a request that nobody has just asked for: about what was withdrawn by itself."""

from contextlib import suppress

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from mcpbox import temporal
    from mcpbox.domain.requests import RequestDraft


async def ask_again(draft: RequestDraft, workflow_id: str) -> None:
    """It outlives this workflow, and starting it twice starts it once."""
    with suppress(WorkflowAlreadyStartedError):
        await workflow.start_child_workflow(
            temporal.CHANGE_REQUEST,
            draft,
            id=workflow_id,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=draft.subject.label,
            search_attributes=temporal.request_attributes(draft),
        )

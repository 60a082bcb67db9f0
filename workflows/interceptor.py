"""Keeps operators' input from wedging a workflow."""

from temporalio import workflow
from temporalio.worker import (
    HandleSignalInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

with workflow.unsafe.imports_passed_through():
    from mcpbox.payloads import Unreadable


class OneSignalArgument(Interceptor):
    """Gives every named signal handler exactly one argument; by our convention each takes one.

    A wrong number raises a TypeError inside the workflow task, which then fails and retries for
    ever; ``temporal workflow signal`` without ``--input`` would be enough. What is handed over
    instead is something that the handler refuses.
    """

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002 - the SDK's name
    ) -> type[WorkflowInboundInterceptor]:
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002 - the SDK's name
        if workflow.get_signal_handler(input.signal) is not None and len(input.args) != 1:
            input.args = [Unreadable(f"{len(input.args)} inputs were sent, and one is wanted")]
        await super().handle_signal(input)

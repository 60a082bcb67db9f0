"""Keeps operators' input from wedging a workflow."""

import inspect
from collections.abc import Callable
from typing import Any, cast

from temporalio import workflow
from temporalio.worker import (
    HandleSignalInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)


class FitArity(Interceptor):
    """Gives every named signal handler as many arguments as it takes.

    A wrong number raises a TypeError inside the workflow task, which then fails and retries for
    ever; ``temporal workflow signal`` without ``--input`` would be enough. What is handed over
    instead is something that the handler refuses.
    """

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002 - the SDK's name
    ) -> type[WorkflowInboundInterceptor]:
        return _FitArityInbound


class _FitArityInbound(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002 - the SDK's name
        handler = cast("Callable[..., object] | None", workflow.get_signal_handler(input.signal))
        if handler is not None:
            wanted = len(inspect.signature(handler).parameters)
            if len(input.args) != wanted:
                input.args = _fitted(list(input.args), wanted)
        await super().handle_signal(input)


def _fitted(given: list[Any], wanted: int) -> list[Any]:
    return [given or None, *[None] * (wanted - 1)] if wanted else []

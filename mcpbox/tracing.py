"""OpenTelemetry traces: which release, request and workflow a call belongs to (ADR 0034).

Off unless an endpoint is set; then what is here costs a call about a microsecond.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING

import anyio.to_thread
from opentelemetry import propagate, trace

from mcpbox.domain.errors import Invalid

if TYPE_CHECKING:
    from temporalio.contrib.opentelemetry import TracingInterceptor

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""OpenTelemetry's own variables; its library reads these and the others by itself."""
_TRACER = trace.get_tracer("mcpbox")
_CLOSE_TIMEOUT_S = 3.0


class Attribute(StrEnum):
    """Names and ids alone: no argument, no result, no code, no secret."""

    TOOL = "mcpbox.tool"
    TOOL_VERSION = "mcpbox.tool.version"
    DIGEST = "mcpbox.digest"
    RELEASE = "mcpbox.release.id"
    REQUEST = "mcpbox.request.id"
    WORKFLOW = "mcpbox.workflow.id"
    EXECUTION = "mcpbox.execution.id"
    OUTCOME = "mcpbox.outcome"
    CALLER = "mcpbox.caller"
    TRIAL = "mcpbox.trial"
    SOURCE = "mcpbox.source.id"


_close: Callable[[], None] | None = None


def configure(service: str) -> None:
    """Once per process, in ``main()``.

    Raises: Invalid: an endpoint is set, and the extra is missing.
    """
    global _close
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return
    try:
        from mcpbox.otlp import start
    except ImportError as error:
        raise Invalid(
            f"{ENDPOINTS[0]} is set, but what sends traces is not installed: install the extra "
            "'otel' (in a checkout: pip install '.[otel]'), or unset the variable."
        ) from error
    _close = start(service)


async def close() -> None:
    """Send what is left; a collector that is away must not keep a process from ending."""
    if _close is not None:
        with anyio.move_on_after(_CLOSE_TIMEOUT_S):
            await anyio.to_thread.run_sync(_close, abandon_on_cancel=True)


def asking(name: str, attributes: Mapping[str, str | bool]) -> AbstractContextManager[object]:
    """A span around what another process is asked for; nothing where traces are off."""
    if _close is None:
        return nullcontext()
    return _TRACER.start_as_current_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes)


def headers() -> dict[str, str]:
    """The current span, as W3C ``traceparent``, for whoever is asked next."""
    if _close is None:
        return {}
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


def temporal_interceptors() -> "list[TracingInterceptor]":
    """They add a header to what is started, and no command: histories are replayed as before."""
    if _close is None:
        return []
    # It needs the extra, which is there where `configure` found it.
    from temporalio.contrib.opentelemetry import TracingInterceptor

    return [TracingInterceptor()]

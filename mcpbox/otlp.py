"""Sends spans to a collector over OTLP/HTTP; loaded only where an endpoint is set (ADR 0034)."""

from collections.abc import Callable, Sequence
from importlib.metadata import version

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_SHOWN = ("mcpbox.", "mcp.", "temporal", "gen_ai.operation.", "gen_ai.tool.name")
_SHOWN_TOO = ("error.type", "rpc.response.status_code", "jsonrpc.request.id")
_MAX_CHARS = 200


def start(service: str) -> Callable[[], None]:
    """For the whole process; answers what ends it, which sends what is left and blocks."""
    provider = TracerProvider(
        resource=Resource.create(
            {
                "service.name": f"mcpbox-{service}",
                "service.namespace": "mcpbox",
                "service.version": version("mcpbox"),
            }
        ),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(Withholding(OTLPSpanExporter())))
    trace.set_tracer_provider(provider)
    # Not the baggage that a client may send along: it would travel on into Temporal's histories.
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    return provider.shutdown


class Withholding(SpanExporter):
    """Lets attributes through that are on the list, and no text of an exception.

    Libraries record exceptions with their message and stack, which may say anything.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_shown(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _shown(span: ReadableSpan) -> ReadableSpan:
    attributes = {
        name: value[:_MAX_CHARS] if isinstance(value, str) else value
        for name, value in (span.attributes or {}).items()
        if name.startswith(_SHOWN) or name in _SHOWN_TOO
    }
    return ReadableSpan(
        name=span.name[:_MAX_CHARS],
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )

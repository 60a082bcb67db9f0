"""What leaves in a trace, and what happens where traces are off or cannot be sent."""

import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags

from mcpbox import tracing
from mcpbox.domain.errors import Invalid
from mcpbox.otlp import Withholding

SECRET = "correct-horse"
CONTEXT = SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(1))


def test_names_and_ids_leave_and_nothing_that_a_library_adds() -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Withholding(kept)))
    tracer = provider.get_tracer("test")
    attributes = {"mcpbox.tool": "calc__add", "arguments": SECRET, "error.type": "ValueError"}
    with (
        pytest.raises(ValueError, match=SECRET),
        tracer.start_as_current_span("n" * 1000, attributes=attributes),
    ):
        raise ValueError(SECRET)

    [span] = kept.get_finished_spans()
    assert SECRET not in span.to_json()
    assert dict(span.attributes or {}) == {"mcpbox.tool": "calc__add", "error.type": "ValueError"}
    assert (span.events, span.status.status_code) == ((), StatusCode.ERROR)
    assert len(span.name) == 200


def test_where_no_endpoint_is_set_nothing_is_loaded_or_sent_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in tracing.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "mcpbox.otlp", None)
    tracing.configure("test")

    with trace.use_span(NonRecordingSpan(CONTEXT)):
        assert tracing.headers() == {}
    assert tracing.temporal_interceptors() == []


def test_where_one_is_set_the_next_process_is_told_of_the_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracing, "_close", lambda: None)

    with trace.use_span(NonRecordingSpan(CONTEXT)):
        told = tracing.headers()
    assert told == {"traceparent": f"00-{7:032x}-{9:016x}-01"}


def test_an_endpoint_without_what_sends_traces_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(tracing.ENDPOINTS[0], "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "mcpbox.otlp", None)

    with pytest.raises(Invalid, match="install the extra 'otel'"):
        tracing.configure("test")

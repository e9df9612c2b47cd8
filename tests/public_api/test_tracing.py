"""Tracing: a span for each call, with its attempts and messages as events."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from letta_ext import APIConnectionError, LettaError, NotFoundError, RunError

from ..client.helpers import (
    CONVERSATION,
    KEY,
    NO_DELAY,
    STEP,
    ClientDriver,
    event_stream,
    make_response,
    recording,
    respond_with,
    sse,
)

PROMPT = "What I say to my agent"


@pytest.fixture
def spans(exporter: Any) -> Iterator[Any]:
    exporter.clear()
    yield exporter.get_finished_spans
    for span in exporter.get_finished_spans():
        assert KEY not in span.to_json()
        assert PROMPT not in span.to_json()


def events(span: Any, name: str) -> list[dict[str, Any]]:
    return [dict(event.attributes) for event in span.events if event.name == name]


def test_span_of_call_has_http_attributes(driver: ClientDriver, spans: Any) -> None:
    """A call is a client span with HTTP attributes and an event for its attempt."""
    client = driver.client(respond_with(make_response(200, json={"id": STEP}, headers={"x-request-id": "req-7"})))
    driver.run(client.steps.retrieve(STEP, extra_query={"token": KEY}))
    (span,) = spans()
    assert span.name == "steps.retrieve"
    assert (span.kind.name, span.status.status_code.name) == ("CLIENT", "UNSET")
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "letta.test",
        "server.port": 80,
        "url.full": f"http://letta.test/v1/steps/{STEP}",
        "url.template": "/v1/steps/{step_id}",
    }
    (attempt,) = events(span, "letta.attempt")
    assert attempt.pop("letta.attempt.seconds") >= 0
    assert attempt == {"letta.attempt.number": 1, "http.response.status_code": 200, "letta.request.id": "req-7"}
    assert span.instrumentation_scope.name == "letta_ext"


def test_span_of_retried_call_has_event_for_each_attempt(driver: ClientDriver, spans: Any) -> None:
    """Each attempt is an event of the span."""
    handler = respond_with(503, httpx.ReadError("cut"), make_response(200, json={"id": STEP}))
    driver.run(driver.client(handler, retry=NO_DELAY).steps.retrieve(STEP))
    (span,) = spans()
    first, second, third = events(span, "letta.attempt")
    assert (first["http.response.status_code"], second["error.type"], third["letta.attempt.number"]) == (
        503,
        "ReadError",
        3,
    )
    assert (first["letta.attempt.delay"], third.get("letta.attempt.delay")) == (0, None)
    assert span.attributes["http.request.resend_count"] == 2
    assert span.status.status_code.name == "UNSET"


@pytest.mark.parametrize(
    ("outcome", "error", "kind"),
    [
        (make_response(404, json={"detail": PROMPT}), NotFoundError, "404"),
        (httpx.ReadError("cut"), APIConnectionError, "APIConnectionError"),
    ],
)
def test_span_of_failed_call_has_error_status_without_message(
    driver: ClientDriver, spans: Any, outcome: Any, error: Any, kind: str
) -> None:
    """A failed call has an error status with the class of the exception, not its message."""
    with pytest.raises(error):
        driver.run(driver.client(respond_with(outcome)).steps.retrieve(STEP))
    (span,) = spans()
    assert (span.status.status_code.name, span.status.description) == ("ERROR", error.__name__)
    assert span.attributes["error.type"] == kind
    assert events(span, "exception") == [{"exception.type": f"letta_ext.errors.{error.__name__}"}]


def test_invalid_argument_starts_no_span(driver: ClientDriver, spans: Any) -> None:
    """A call that is rejected before sending has no span."""
    with pytest.raises(ValueError, match="step_id"):
        driver.run(driver.client(respond_with(200)).steps.retrieve(""))
    assert spans() == ()


def test_span_of_stream_ends_with_the_stream(driver: ClientDriver, spans: Any) -> None:
    """The span of a stream ends with the stream, and has one event for each message."""
    streamed = recording("send_tokens_stream")
    client = driver.client(lambda _: streamed.response())
    stream = driver.run(client.conversations.messages.create(CONVERSATION, input=PROMPT))
    assert spans() == (), "the stream has not ended"
    count = len(driver.items(stream))
    (span,) = spans()
    assert span.name == "conversations.messages.create"
    assert span.attributes["letta.stream.events"] == count
    assert span.attributes["letta.stream.closed_early"] is False
    assert span.attributes["letta.run.id"].startswith("run-")
    assert span.attributes["gen_ai.conversation.id"] == CONVERSATION
    assert span.attributes["gen_ai.operation.name"] == "invoke_agent"
    types = [event["letta.message.type"] for event in events(span, "letta.event")]
    assert types.count("assistant_message") == 1, "its deltas are one event"
    assert types[-1] == "usage_statistics"


def test_span_of_stream_closed_early_has_no_error(driver: ClientDriver, spans: Any) -> None:
    """A stream that is closed early has no error status."""
    streamed = recording("send_tokens_stream")
    client = driver.client(lambda _: streamed.response())
    driver.drain(driver.run(client.conversations.messages.create(CONVERSATION, input=PROMPT)), lambda _: True)
    (span,) = spans()
    assert (span.attributes["letta.stream.closed_early"], span.status.status_code.name) == (True, "UNSET")


def test_span_of_failed_run_has_error_status(driver: ClientDriver, spans: Any) -> None:
    """A failed run has an error status."""
    failed = sse({"message_type": "error_message", "detail": PROMPT, "run_id": "run-1"}, event="error")
    client = driver.client(lambda _: event_stream(failed))
    _, fault = driver.drain(driver.run(client.conversations.messages.create(CONVERSATION, input=PROMPT)))
    assert isinstance(fault, RunError)
    (span,) = spans()
    assert (span.status.status_code.name, span.attributes["error.type"]) == ("ERROR", "RunError")


def test_span_of_resumed_stream_has_resume_event(driver: ClientDriver, spans: Any) -> None:
    """A resumption is an event of the span."""
    sent = [{"message_type": "ping", "run_id": "run-1", "seq_id": 1}, {"message_type": "x", "id": "m", "seq_id": 2}]
    handler = respond_with(lambda: event_stream(sse(sent[0])), lambda: event_stream(sse(sent[1], "[DONE]")))
    create = driver.client(handler, retry=NO_DELAY).conversations.messages.create
    driver.items(driver.run(create(CONVERSATION, input=PROMPT, background=True)))
    (span,) = spans()
    assert events(span, "letta.resume") == [
        {"letta.resume.number": 1, "letta.resume.delay": 0, "letta.event.seq_id": 1},
    ]
    assert [event["letta.attempt.number"] for event in events(span, "letta.attempt")] == [1, 1]


def test_span_for_each_page_of_list(driver: ClientDriver, spans: Any) -> None:
    """Each request of a list is a span."""
    handler = respond_with(
        make_response(200, json=[{"id": "step-1"}, {"id": "step-2"}]), make_response(200, json=[{"id": "step-2"}])
    )
    assert len(driver.items(driver.run(driver.client(handler).steps.list(limit=2)))) == 2
    assert [span.name for span in spans()] == ["steps.list"] * len(handler.requests)


def test_span_is_child_of_current_and_parent_of_http_client(driver: ClientDriver, spans: Any) -> None:
    """The span is a child of the current span, and current during the request."""
    from opentelemetry import trace

    current: list[Any] = []

    def handler(_: httpx.Request) -> httpx.Response:
        current.append(trace.get_current_span())
        return httpx.Response(200, json={"id": STEP})

    with trace.get_tracer("mine").start_as_current_span("outer") as outer:
        driver.run(driver.client(handler).steps.retrieve(STEP))
        assert trace.get_current_span() is outer
    inner, _ = spans()
    assert current[0].get_span_context() == inner.context
    assert inner.parent.span_id == outer.get_span_context().span_id


def test_span_of_untyped_request_has_method_name(driver: ClientDriver, spans: Any) -> None:
    """An untyped request is a span with the name of the method."""
    driver.run(driver.client(respond_with(make_response(200, json=1))).post("/v1/tools", body={"text": PROMPT}))
    (span,) = spans()
    assert (span.name, span.attributes["url.template"]) == ("post", "/v1/tools")


def test_unsampled_span_records_nothing(driver: ClientDriver, spans: Any) -> None:
    """An unsampled span records nothing."""
    from opentelemetry import trace
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

    current: list[Any] = []

    def handler(_: httpx.Request) -> httpx.Response:
        current.append(trace.get_current_span())
        return httpx.Response(404)

    unsampled = NonRecordingSpan(SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(0)))
    with trace.use_span(unsampled), pytest.raises(LettaError):
        driver.run(driver.client(handler).steps.retrieve(STEP))
    assert spans() == ()
    assert current == [unsampled], "no span of the library was started"


def test_library_does_not_import_opentelemetry() -> None:
    """The library never imports OpenTelemetry."""
    code = """
import sys, httpx, letta_ext
http = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=1)))
letta_ext.Letta(base_url="http://a.test", http_client=http).get("/v1/x")
loaded = [name for name in sys.modules if name.startswith("opentelemetry")]
print(loaded, "letta_ext._instrumentation.span_observer" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[] False\n"

"""Spans: one for each call, with its attempts and events, for programs that use OpenTelemetry."""

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


def test_a_call_is_a_span(side: ClientDriver, spans: Any) -> None:
    client = side.client(respond_with(make_response(200, json={"id": STEP}, headers={"x-request-id": "req-7"})))
    side.run(client.steps.retrieve(STEP, extra_query={"token": KEY}))
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


def test_attempts_are_events(side: ClientDriver, spans: Any) -> None:
    handler = respond_with(503, httpx.ReadError("cut"), make_response(200, json={"id": STEP}))
    side.run(side.client(handler, retry=NO_DELAY).steps.retrieve(STEP))
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
    ("became", "error", "kind"),
    [
        (make_response(404, json={"detail": PROMPT}), NotFoundError, "404"),
        (httpx.ReadError("cut"), APIConnectionError, "APIConnectionError"),
    ],
)
def test_a_failure_is_an_error_without_its_words(
    side: ClientDriver, spans: Any, became: Any, error: Any, kind: str
) -> None:
    with pytest.raises(error):
        side.run(side.client(respond_with(became)).steps.retrieve(STEP))
    (span,) = spans()
    assert (span.status.status_code.name, span.status.description) == ("ERROR", error.__name__)
    assert span.attributes["error.type"] == kind
    assert events(span, "exception") == [{"exception.type": f"letta_ext.errors.{error.__name__}"}]


def test_what_is_refused_before_it_is_sent_is_no_span(side: ClientDriver, spans: Any) -> None:
    with pytest.raises(ValueError, match="step_id"):
        side.run(side.client(respond_with(200)).steps.retrieve(""))
    assert spans() == ()


def test_a_stream_is_one_span_until_its_end(side: ClientDriver, spans: Any) -> None:
    streamed = recording("send_tokens_stream")
    client = side.client(lambda _: streamed.response())
    stream = side.run(client.conversations.messages.create(CONVERSATION, input=PROMPT))
    assert spans() == (), "it is not over"
    count = len(side.items(stream))
    (span,) = spans()
    assert span.name == "conversations.messages.create"
    assert span.attributes["letta.stream.events"] == count
    assert span.attributes["letta.stream.closed_early"] is False
    assert span.attributes["letta.run.id"].startswith("run-")
    assert span.attributes["gen_ai.conversation.id"] == CONVERSATION
    assert span.attributes["gen_ai.operation.name"] == "invoke_agent"
    told = [event["letta.message.type"] for event in events(span, "letta.event")]
    assert told.count("assistant_message") == 1, "its deltas are one event"
    assert told[-1] == "usage_statistics"


def test_a_stream_that_is_left_is_no_error(side: ClientDriver, spans: Any) -> None:
    streamed = recording("send_tokens_stream")
    client = side.client(lambda _: streamed.response())
    side.drain(side.run(client.conversations.messages.create(CONVERSATION, input=PROMPT)), lambda _: True)
    (span,) = spans()
    assert (span.attributes["letta.stream.closed_early"], span.status.status_code.name) == (True, "UNSET")


def test_a_run_that_fails_is_an_error(side: ClientDriver, spans: Any) -> None:
    failed = sse({"message_type": "error_message", "detail": PROMPT, "run_id": "run-1"}, event="error")
    client = side.client(lambda _: event_stream(failed))
    _, fault = side.drain(side.run(client.conversations.messages.create(CONVERSATION, input=PROMPT)))
    assert isinstance(fault, RunError)
    (span,) = spans()
    assert (span.status.status_code.name, span.attributes["error.type"]) == ("ERROR", "RunError")


def test_a_resumption_is_an_event(side: ClientDriver, spans: Any) -> None:
    sent = [{"message_type": "ping", "run_id": "run-1", "seq_id": 1}, {"message_type": "x", "id": "m", "seq_id": 2}]
    handler = respond_with(lambda: event_stream(sse(sent[0])), lambda: event_stream(sse(sent[1], "[DONE]")))
    create = side.client(handler, retry=NO_DELAY).conversations.messages.create
    side.items(side.run(create(CONVERSATION, input=PROMPT, background=True)))
    (span,) = spans()
    assert events(span, "letta.resume") == [
        {"letta.resume.number": 1, "letta.resume.delay": 0, "letta.event.seq_id": 1},
    ]
    assert [event["letta.attempt.number"] for event in events(span, "letta.attempt")] == [1, 1]


def test_each_page_of_a_walk_is_a_span(side: ClientDriver, spans: Any) -> None:
    handler = respond_with(
        make_response(200, json=[{"id": "step-1"}, {"id": "step-2"}]), make_response(200, json=[{"id": "step-2"}])
    )
    assert len(side.items(side.run(side.client(handler).steps.list(limit=2)))) == 2
    assert [span.name for span in spans()] == ["steps.list"] * len(handler.requests)


def test_it_lies_below_the_callers_span_and_above_the_http_clients(side: ClientDriver, spans: Any) -> None:
    from opentelemetry import trace

    current: list[Any] = []

    def handler(_: httpx.Request) -> httpx.Response:
        current.append(trace.get_current_span())
        return httpx.Response(200, json={"id": STEP})

    with trace.get_tracer("mine").start_as_current_span("outer") as outer:
        side.run(side.client(handler).steps.retrieve(STEP))
        assert trace.get_current_span() is outer
    inner, _ = spans()
    assert current[0].get_span_context() == inner.context
    assert inner.parent.span_id == outer.get_span_context().span_id


def test_a_verb_is_a_span_too(side: ClientDriver, spans: Any) -> None:
    side.run(side.client(respond_with(make_response(200, json=1))).post("/v1/things", body={"said": PROMPT}))
    (span,) = spans()
    assert (span.name, span.attributes["url.template"]) == ("post", "/v1/things")


def test_nothing_is_told_of_a_span_that_is_not_recorded(side: ClientDriver, spans: Any) -> None:
    from opentelemetry import trace
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

    unsampled = NonRecordingSpan(SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(0)))
    with trace.use_span(unsampled), pytest.raises(LettaError):
        side.run(side.client(respond_with(404)).steps.retrieve(STEP))
    assert spans() == ()


def test_it_is_never_loaded_by_this_library() -> None:
    code = """
import sys, httpx, letta_ext
http = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=1)))
letta_ext.Letta(base_url="http://a.test", http_client=http).get("/v1/x")
loaded = [name for name in sys.modules if name.startswith("opentelemetry")]
print(loaded, "letta_ext._instrumentation.span_observer" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[] False\n"

"""Tracing with OpenTelemetry, if the program has imported it. This library does not depend on it.

A call is a span that has the name of its operation. The attempts, resumptions and messages of the call are events of
the span. The content of messages is not recorded.
"""

from __future__ import annotations

import sys
from typing import Any

import httpx

from letta_api.operations import Operation

from .._types import is_mapping
from .._version import __version__
from ..hooks import ResumeReport
from ..retry import Attempt
from .observer import TRACING, ObservedCall, Observer, Outcome
from .redaction import redact, secrets_of_request


def begin_span(call: ObservedCall) -> list[Observer]:
    """Start the span of a call, and return its observer. The list is empty if the span is not recorded."""
    trace: Any = sys.modules[TRACING]
    attributes = {"http.request.method": call.request.method, "url.template": call.operation.path}
    if call.operation.streaming is not None:
        attributes |= {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "letta"}
    if "conversation_id" in call.operation.path_parameters:
        parts = zip(call.operation.path.split("/"), call.request.path.split("/"), strict=False)
        attributes["gen_ai.conversation.id"] = next(part for name, part in parts if name == "{conversation_id}")
    tracer = trace.get_tracer("letta_ext", __version__)
    span = tracer.start_span(call.operation.id, kind=trace.SpanKind.CLIENT, attributes=attributes)
    return [SpanObserver(trace, span)] if span.is_recording() else []


class SpanObserver(Observer):
    """An observer that records one call as a span."""

    def __init__(self, trace: Any, span: Any) -> None:
        self._trace = trace
        self._span = span
        self._current: Any = None
        self._message: tuple[Any, Any] | None = None
        self._secrets: frozenset[str] = frozenset()

    def enter(self) -> None:
        """Make the span the current one, so that it is the parent of spans of the HTTP client."""
        self._current = self._trace.use_span(self._span, record_exception=False, set_status_on_exception=False)
        self._current.__enter__()

    def leave(self) -> None:
        """Restore the previous span. The caller's code between two events is outside of this span."""
        self._current.__exit__(None, None, None)
        self._current = None

    def on_attempt_start(self, request: httpx.Request, number: int) -> None:
        """Record the address of the server."""
        url = request.url
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        if number == 1:
            address = url.copy_with(query=None, fragment=None, username=None, password=None)
            self._span.set_attributes({"url.full": str(address), "server.address": url.host, "server.port": port})

    def on_attempt_end(
        self, operation: Operation, attempt: Attempt, seconds: float, delay: float | None, outcome: Outcome
    ) -> None:
        """Record an attempt."""
        attributes: dict[str, Any] = {"letta.attempt.number": attempt.number, "letta.attempt.seconds": seconds}
        if isinstance(outcome, httpx.Response):
            self._secrets = secrets_of_request(outcome.request)  # includes the credentials of an auth flow
            attributes["http.response.status_code"] = outcome.status_code
            self._span.set_attribute("http.response.status_code", outcome.status_code)
            if request_id := outcome.headers.get("x-request-id"):
                attributes["letta.request.id"] = redact(request_id, self._secrets)
        else:
            attributes["error.type"] = type(outcome).__name__
        if delay is not None:
            attributes["letta.attempt.delay"] = delay
        if attempt.number > 1:
            self._span.set_attribute("http.request.resend_count", attempt.number - 1)
        self._span.add_event("letta.attempt", attributes)

    def on_resume(self, report: ResumeReport) -> None:
        """Record the resumption of a stream."""
        attributes: dict[str, Any] = {"letta.resume.number": report.number, "letta.resume.delay": report.delay}
        if report.last_seq_id is not None:
            attributes["letta.event.seq_id"] = report.last_seq_id
        if report.error is not None:
            attributes["error.type"] = type(report.error).__name__
        self._span.add_event("letta.resume", attributes)

    def on_event(self, data: Any) -> None:
        """Record a message. The events of one message are recorded once."""
        if not is_mapping(data):
            return
        message = (data.get("message_type"), data.get("id"))
        if message == self._message:
            return
        self._message = message
        attributes = {
            "letta.message.type": message[0],
            "letta.message.id": message[1],
            "letta.event.seq_id": data.get("seq_id"),
        }
        redacted = {name: self._redact(value) for name, value in attributes.items() if value is not None}
        self._span.add_event("letta.event", redacted)
        if isinstance(run_id := data.get("run_id"), str):
            self._span.set_attribute("letta.run.id", self._redact(run_id))

    def _redact(self, value: Any) -> Any:
        return redact(value, self._secrets) if isinstance(value, str) else value

    def on_end(self, error: BaseException | None, seconds: float, events: int | None) -> None:
        """End the span."""
        closed_early = isinstance(error, GeneratorExit)
        if events is not None:
            self._span.set_attributes({"letta.stream.events": events, "letta.stream.closed_early": closed_early})
        if error is not None and not closed_early:
            status = getattr(error, "status_code", None) or 0
            has_status = status >= 400 and events is None  # the status of an error event is not that of a response
            self._span.set_attribute("error.type", str(status) if has_status else type(error).__name__)
            # Without the message and the traceback, which can quote the conversation.
            cls = type(error)
            self._span.add_event("exception", {"exception.type": f"{cls.__module__}.{cls.__qualname__}"})
            self._span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, type(error).__name__))
        self._span.end()

"""Spans of OpenTelemetry, for programs that use it. This library neither needs nor loads it.

Each call is one span, named by its operation. Its attempts, the resumptions of its stream and the messages that come
are events of the span; no word of what is said to an agent or by it is recorded.
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
from .observer import TRACING, Became, Observer, Watched
from .redaction import secrets_of_request, without


def begin_span(call: Watched) -> list[Observer]:
    """What makes the span of a call: one observer, or none where no tracer records it."""
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
    """Records what becomes of one call."""

    def __init__(self, trace: Any, span: Any) -> None:
        self._trace = trace
        self._span = span
        self._current: Any = None
        self._message: tuple[Any, Any] | None = None
        self._secrets: frozenset[str] = frozenset()

    def enter(self) -> None:
        """Makes the span the current one, so that spans of the HTTP client lie below it."""
        self._current = self._trace.use_span(self._span, record_exception=False, set_status_on_exception=False)
        self._current.__enter__()

    def leave(self) -> None:
        """Puts things as they were. The caller's code between two events is not below this span."""
        self._current.__exit__(None, None, None)
        self._current = None

    def sent(self, request: httpx.Request, number: int) -> None:
        """An attempt begins."""
        url = request.url
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        if number == 1:
            shown = url.copy_with(query=None, fragment=None, username=None, password=None)
            self._span.set_attributes({"url.full": str(shown), "server.address": url.host, "server.port": port})

    def attempted(
        self, operation: Operation, attempt: Attempt, seconds: float, delay: float | None, became: Became
    ) -> None:
        """An attempt has ended."""
        facts: dict[str, Any] = {"letta.attempt.number": attempt.number, "letta.attempt.seconds": seconds}
        if isinstance(became, httpx.Response):
            self._secrets = secrets_of_request(became.request)  # an auth flow has put credentials into it by now
            facts["http.response.status_code"] = became.status_code
            self._span.set_attribute("http.response.status_code", became.status_code)
            if request_id := became.headers.get("x-request-id"):
                facts["letta.request.id"] = without(request_id, self._secrets)
        else:
            facts["error.type"] = type(became).__name__
        if delay is not None:
            facts["letta.attempt.delay"] = delay
        if attempt.number > 1:
            self._span.set_attribute("http.request.resend_count", attempt.number - 1)
        self._span.add_event("letta.attempt", facts)

    def resumed(self, report: ResumeReport) -> None:
        """A cut stream is about to go on."""
        facts: dict[str, Any] = {"letta.resume.number": report.number, "letta.resume.delay": report.delay}
        if report.last_seq_id is not None:
            facts["letta.event.seq_id"] = report.last_seq_id
        if report.error is not None:
            facts["error.type"] = type(report.error).__name__
        self._span.add_event("letta.resume", facts)

    def event(self, data: Any) -> None:
        """An event came. The deltas of one message are recorded as the one that they are."""
        if not is_mapping(data):
            return
        message = (data.get("message_type"), data.get("id"))
        if message == self._message:
            return
        self._message = message
        facts = {
            "letta.message.type": message[0],
            "letta.message.id": message[1],
            "letta.event.seq_id": data.get("seq_id"),
        }
        shown = {name: self._text(value) for name, value in facts.items() if value is not None}
        self._span.add_event("letta.event", shown)
        if isinstance(run_id := data.get("run_id"), str):
            self._span.set_attribute("letta.run.id", self._text(run_id))

    def _text(self, value: Any) -> Any:
        return without(value, self._secrets) if isinstance(value, str) else value

    def end(self, fault: BaseException | None, seconds: float, events: int | None) -> None:
        """All is over."""
        left = isinstance(fault, GeneratorExit)
        if events is not None:
            self._span.set_attributes({"letta.stream.events": events, "letta.stream.left": left})
        if fault is not None and not left:
            status = getattr(fault, "status_code", None) or 0
            self._span.set_attribute("error.type", str(status) if status >= 400 else type(fault).__name__)
            # Neither its words nor its traceback: a server's refusal may quote what was said.
            kind = type(fault)
            self._span.add_event("exception", {"exception.type": f"{kind.__module__}.{kind.__qualname__}"})
            self._span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, type(fault).__name__))
        self._span.end()

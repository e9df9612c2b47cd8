"""The log of requests and responses, and their validation against the specification."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..api import serializers
from ..api.specification import Document, Node, events
from .fault_middleware import FAULT
from .faults import Fault

MAX_REQUESTS = 10_000
"""Maximum number of logged requests."""

MAX_TOTAL_BYTES = 64 * 2**20
"""Maximum size of the bodies of all logged requests together [B]."""

MAX_BODY_SIZE = 2**20
"""Maximum size of a logged body [B]. A longer body is truncated and not validated."""

_RECORD = "letta_ext.record"


class SpecificationError(AssertionError):
    """An accepted request, or a response, does not match the specification."""


@dataclass(slots=True, kw_only=True)
class Received:
    """A request with its response.

    Attributes:
        method: HTTP method.
        path: Path without the query.
        query: Raw query.
        content: Raw body, at most 1 MiB.
        status: Status code of the response. None if no response was sent.
        events: Number of events in the response.
        fault: The fault assigned to the request. None if no fault was planned.
        problems: Differences between the request or response and the specification.
    """

    method: str
    path: str
    query: str = ""
    content: bytes = b""
    status: int | None = None
    events: int = 0
    fault: Fault | None = None
    problems: list[str] = field(default_factory=list[str])

    @property
    def body(self) -> Any:
        """The body as JSON. None if it is empty or not JSON."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None

    def __str__(self) -> str:
        """Return one line, such as ``POST /v1/conversations/conv-…/messages 200, 9 events, fault Cut(events=3, …)``."""
        query = f"?{self.query}" if self.query else ""
        parts = [f"{self.method} {_printable(self.path + query)} {self.status or 'no response'}"]
        if self.events:
            parts.append(f"{self.events} event{'s' * (self.events > 1)}")
        if self.fault is not None:
            parts.append(f"fault {self.fault}")
        parts += [f"specification: {problem}" for problem in self.problems]
        line = ", ".join(parts)
        return line if line.isprintable() else ascii(line)[1:-1]


class RequestLog:
    """The newest requests of a server, limited in number and size. Thread-safe.

    Args:
        keep: Maximum number of requests.
        keep_bytes: Maximum size of all their bodies together [B].
    """

    def __init__(self, keep: int = MAX_REQUESTS, keep_bytes: int = MAX_TOTAL_BYTES) -> None:
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._records: dict[int, Received] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, record: Received) -> None:
        """Append a request before its body has arrived."""
        with self._lock:
            self._records[id(record)] = record
            if len(self._records) > self._keep:
                self._drop()

    def set_body(self, record: Received, content: bytes) -> None:
        """Set the body of a request."""
        with self._lock:
            if id(record) in self._records:
                self._bytes += len(content) - len(record.content)
            record.content = content
            while self._bytes > self._keep_bytes and len(self._records) > 1:
                self._drop()

    def all(self) -> list[Received]:
        """Return the requests, oldest first."""
        with self._lock:
            return list(self._records.values())

    def _drop(self) -> None:
        oldest = self._records.pop(next(iter(self._records)))
        self._bytes -= len(oldest.content)


def record_requests(
    app: ASGIApp, requests: RequestLog, on_request: Callable[[Received], None] | None = None
) -> ASGIApp:
    """Wrap an application so that its requests are logged.

    Args:
        app: The application.
        requests: The log.
        on_request: Called with each request after its response.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        record = Received(method=scope["method"], path=scope["path"], query=scope["query_string"].decode("latin-1"))
        scope[_RECORD] = record
        requests.add(record)
        body = bytearray()

        async def log_receive() -> Message:
            message = await receive()
            body.extend(message.get("body", b"")[: MAX_BODY_SIZE - len(body)])
            if not message.get("more_body"):
                requests.set_body(record, bytes(body))
            return message

        async def log_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                requests.set_body(record, bytes(body))
                record.status = message["status"]
                record.fault = scope.get(FAULT)
            else:
                record.events += message["body"].count(serializers.END_OF_EVENT)
            await send(message)

        try:
            await app(scope, log_receive, log_send)
        except Exception as error:
            record.problems.append(f"server error: {type(error).__name__}: {error}")
            raise
        finally:
            record.fault = scope.get(FAULT)
            if on_request is not None:
                on_request(record)

    return wrapped


def check_conformance(app: ASGIApp, document: Document, *, requests: bool = True) -> ASGIApp:
    """Wrap an application so that its requests and responses are validated against a document.

    A request is validated only if it was accepted: an error response already reports its problems.

    Args:
        app: The application, inside of `record_requests`.
        document: The document.
        requests: Whether to validate requests as well. Defaults to True.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        record: Received | None = scope.get(_RECORD)
        if record is None:
            await app(scope, receive, send)
            return
        await app(scope, receive, _ConformanceCheck(document, record, send, requests=requests).send)

    return wrapped


class _ConformanceCheck:
    """Validates one request and its response, and sends the response."""

    def __init__(self, document: Document, record: Received, send: Send, *, requests: bool) -> None:
        self._send = send
        self._document = document
        self._record = record
        self._requests = requests
        self._schema: Node | None = None
        self._stream = False
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._check_head(message)
        elif self._schema is not None:
            self._check_body(self._schema, message)
        await self._send(message)

    def _check_body(self, schema: Node, message: Message) -> None:
        if self._stream:
            for data in events(message["body"]):
                self._add_problems("event", self._document.content_problems(schema, data))
        else:
            self._body += message["body"]
            if not message.get("more_body"):
                self._add_problems("response", self._document.content_problems(schema, self._body))

    def _check_head(self, message: Message) -> None:
        record = self._record
        if self._requests and message["status"] < 300 and len(record.content) < MAX_BODY_SIZE:
            self._add_problems(
                "request",
                self._document.request_problems(record.method, record.path, record.query, record.content),
            )
        kind = dict(message["headers"]).get(b"content-type", b"").decode("latin-1")
        self._stream = kind.startswith("text/event-stream")
        self._schema, problems = self._document.response_schema(record.method, record.path, message["status"], kind)
        self._add_problems("response", problems)

    def _add_problems(self, subject: str, problems: list[str]) -> None:
        self._record.problems += [f"{subject}: {problem}" for problem in problems]


def _printable(text: str) -> str:
    """Return a text without control characters, which could control a terminal."""
    return text.encode("ascii", "backslashreplace").decode() if text.isprintable() else repr(text)[1:-1]

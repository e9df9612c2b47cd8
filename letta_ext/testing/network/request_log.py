"""What a server was asked and what it answered: a record of each request, held against the specification."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..api import serializers
from ..api.specification import Document, events
from .fault_middleware import FAULT
from .faults import Fault

KEPT = 10_000
"""How many of the newest requests are remembered."""

KEPT_BYTES = 64 * 2**20
"""How many bytes the bodies of the remembered requests have together, at most."""

LONGEST = 2**20
"""How many bytes of a request's body are remembered; a longer one is not held against the specification."""

_RECORD = "letta_ext.record"


class SpecificationError(AssertionError):
    """A request that the server took, or an answer that it gave, is not what the specification says."""


@dataclass(slots=True, kw_only=True)
class Received:
    """A request that a server got, and what became of it.

    Attributes:
        method: the HTTP method.
        path: the path, without the query.
        query: the query, as it was sent.
        content: the body, as it was sent, but no more than its first MiB.
        status: the status of the answer; None if none was sent.
        events: how many events the answer had.
        fault: what happened to it, if anything was planned.
        problems: what the specification has against it, or against its answer.
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
        """The body as JSON; None if there was none, or it was no JSON."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None

    def __str__(self) -> str:
        """A line for a person: ``POST /v1/conversations/conv-…/messages 200, 9 events, after Cut(events=3, …)``."""
        query = f"?{self.query}" if self.query else ""
        parts = [f"{self.method} {_printable(self.path + query)} {self.status or 'no answer'}"]
        if self.events:
            parts.append(f"{self.events} event{'s' * (self.events > 1)}")
        if self.fault is not None:
            parts.append(f"fault {self.fault}")
        parts += [f"against the specification: {problem}" for problem in self.problems]
        line = ", ".join(parts)
        return line if line.isprintable() else ascii(line)[1:-1]


class RequestLog:
    """The newest requests of a server, bounded in number and in the bytes of their bodies. Safe to use from threads.

    Args:
        keep: How many requests to keep.
        keep_bytes: How many bytes their bodies have together, at most.
    """

    def __init__(self, keep: int = KEPT, keep_bytes: int = KEPT_BYTES) -> None:
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._kept: dict[int, Received] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, record: Received) -> None:
        """Append a request whose body is not known yet."""
        with self._lock:
            self._kept[id(record)] = record
            if len(self._kept) > self._keep:
                self._drop()

    def note_body(self, record: Received, content: bytes) -> None:
        """Note the body of a request."""
        with self._lock:
            if id(record) in self._kept:
                self._bytes += len(content) - len(record.content)
            record.content = content
            while self._bytes > self._keep_bytes and len(self._kept) > 1:
                self._drop()

    def all(self) -> list[Received]:
        """Return the requests, oldest first."""
        with self._lock:
            return list(self._kept.values())

    def _drop(self) -> None:
        oldest = self._kept.pop(next(iter(self._kept)))
        self._bytes -= len(oldest.content)


def recorded(app: ASGIApp, requests: RequestLog, tell: Callable[[Received], None] | None = None) -> ASGIApp:
    """Return an application whose requests are remembered.

    Args:
        app: the application.
        requests: where they are remembered.
        tell: what is told of each when it is through.
    """

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        record = Received(method=scope["method"], path=scope["path"], query=scope["query_string"].decode("latin-1"))
        scope[_RECORD] = record
        requests.add(record)
        body = bytearray()

        async def reading() -> Message:
            message = await receive()
            body.extend(message.get("body", b"")[: LONGEST - len(body)])
            if not message.get("more_body"):
                requests.note_body(record, bytes(body))
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                requests.note_body(record, bytes(body))
                record.status = message["status"]
                record.fault = scope.get(FAULT)
            else:
                record.events += message["body"].count(serializers.END_OF_EVENT)
            await send(message)

        try:
            await app(scope, reading, sending)
        except Exception as error:
            record.problems.append(f"the server failed: {type(error).__name__}: {error}")
            raise
        finally:
            record.fault = scope.get(FAULT)
            if tell is not None:
                tell(record)

    return called


def checked(app: ASGIApp, document: Document, *, requests: bool = True) -> ASGIApp:
    """Return an application whose requests and answers are held against a document.

    A request that the document does not allow is a problem where it was taken all the same; a refusal says so itself.

    Args:
        app: the application, below the layer that records.
        document: the document.
        requests: whether requests are checked too.
    """

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        record: Received | None = scope.get(_RECORD)
        if record is None:
            await app(scope, receive, send)
            return
        check = _Check(document, record, requests=requests)

        async def sending(message: Message) -> None:
            check.see(message)
            await send(message)

        await app(scope, receive, sending)

    return called


class _Check:
    """Holds one request and its answer against the document."""

    def __init__(self, document: Document, record: Received, *, requests: bool) -> None:
        self._document = document
        self._record = record
        self._requests = requests
        self._where: str | None = None
        self._stream = False
        self._body = b""

    def see(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._head(message)
        elif self._where is None:
            return
        elif self._stream:
            for data in events(message["body"]):
                self._note("an event", self._document.content_problems(self._where, data))
        else:
            self._body += message["body"]
            if not message.get("more_body"):
                self._note("the answer", self._document.content_problems(self._where, self._body))

    def _head(self, message: Message) -> None:
        record = self._record
        if self._requests and message["status"] < 300 and len(record.content) < LONGEST:
            self._note(
                "the request",
                self._document.request_problems(record.method, record.path, record.query, record.content),
            )
        kind = dict(message["headers"]).get(b"content-type", b"").decode("latin-1")
        self._stream = kind.startswith("text/event-stream")
        self._where, problems = self._document.answer(record.method, record.path, message["status"], kind)
        self._note("the answer", problems)

    def _note(self, what: str, problems: list[str]) -> None:
        self._record.problems += [f"{what}: {problem}" for problem in problems]


def _printable(text: str) -> str:
    """Return a text that cannot steer a terminal."""
    return text.encode("ascii", "backslashreplace").decode() if text.isprintable() else repr(text)[1:-1]

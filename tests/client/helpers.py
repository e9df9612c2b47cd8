"""Shared helpers: recordings, broken bodies, scripted servers, and one driver for both clients."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from letta_ext import AsyncLetta, Letta, RetryPolicy

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "recordings"
BASE_URL = "http://letta.test"
KEY = "sk-let-do-not-show-this"
STEP = "step-123e4567-e89b-42d3-8456-426614174000"
CONVERSATION = "conv-123e4567-e89b-42d3-8456-426614174000"
NO_RETRIES = RetryPolicy(max_retries=0)
NO_DELAY = RetryPolicy(max_retries=2, initial_delay=0)
MINIMAL = {"POST/conversations/{id}/messages": {"input": "hello"}}
"""The arguments without which a call is rejected before it is sent."""

Handler = Callable[[httpx.Request], httpx.Response]

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Recording:
    """One recorded exchange with a real server."""

    name: str
    method: str
    path: str
    params: dict[str, Any] | None
    body: dict[str, Any] | None
    status: int
    headers: dict[str, str]
    content: bytes

    def response(self) -> httpx.Response:
        return httpx.Response(self.status, headers=self.headers, stream=Body([self.content]))

    def events(self) -> list[Any]:
        """Return the parsed JSON of each data line."""
        lines = self.content.decode().split("\n")
        return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]

    def call(self, driver: ClientDriver, client: Any, *, arguments: bool = True) -> Any:
        """Make the recorded call with the client method of its endpoint."""
        _, _, kind, *rest = self.path.split("/")
        name = "/".join([self.method, kind, *["{id}" if "-" in part or part == "abc" else part for part in rest]])
        functions = {
            "GET/steps/": client.steps.list,
            "GET/steps/{id}": client.steps.retrieve,
            "GET/steps/{id}/metrics": client.steps.metrics.retrieve,
            "GET/steps/{id}/trace": client.steps.trace.retrieve,
            "GET/steps/{id}/messages": client.steps.messages.list,
            "PATCH/steps/{id}/feedback": client.steps.feedback.create,
            "GET/conversations/{id}/messages": client.conversations.messages.list,
            "POST/conversations/{id}/messages": client.conversations.messages.create,
            "POST/conversations/{id}/stream": client.conversations.messages.stream,
            "POST/conversations/{id}/compact": client.conversations.messages.compact,
        }
        name = name.replace("/default/", "/{id}/").replace("/nonsense/", "/{id}/")
        ids = [part for part in rest[:1] if part]
        given = {**(self.params or {}), **(self.body or {})} if arguments else MINIMAL.get(name, {})
        return driver.run(functions[name](*ids, **given))


def recording(name: str) -> Recording:
    facts = json.loads((RECORDINGS / f"{name}.json").read_text())
    return Recording(name=name, content=(RECORDINGS / f"{name}.body").read_bytes(), **facts)


def recordings(suffix: str = "") -> list[Recording]:
    return [recording(path.stem) for path in sorted(RECORDINGS.glob(f"*{suffix}.json"))]


def parse_timestamps(value: Any) -> Any:
    """Return JSON with parsed timestamps, so that `Z` and `+00:00` compare equal."""
    if isinstance(value, dict):
        return {key: parse_timestamps(item) for key, item in value.items()}
    if isinstance(value, list):
        return [parse_timestamps(item) for item in value]
    if isinstance(value, str) and TIMESTAMP.fullmatch(value):
        return datetime.fromisoformat(value)
    return value


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in chunks that may fail after the last one and records whether it was closed."""

    def __init__(self, chunks: Sequence[bytes], fault: Exception | None = None) -> None:
        self.chunks = list(chunks)
        self.fault = fault
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        if self.fault is not None:
            raise self.fault

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


EVENTS = {"content-type": "text/event-stream; charset=utf-8"}


def event_stream(content: bytes | Sequence[bytes], fault: Exception | None = None) -> httpx.Response:
    body = Body([content] if isinstance(content, bytes) else content, fault)
    return httpx.Response(200, headers=EVENTS, stream=body)


def sse(*data: Any, event: str | None = None) -> bytes:
    """Return events with these data fields, as the server formats them."""
    head = f"event: {event}\n" if event else ""
    texts = [item if isinstance(item, str) else json.dumps(item) for item in data]
    return "".join(f"{head}data: {text}\n\n" for text in texts).encode()


@dataclass
class ResponseQueue:
    """A handler that returns its responses in order, repeats the last one, and records the requests."""

    responses: Sequence[Callable[[], httpx.Response] | Exception]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        response = self.responses[min(len(self.requests), len(self.responses) - 1)]
        self.requests.append(request)
        if isinstance(response, Exception):
            raise response
        return response()


def respond_with(*responses: Callable[[], httpx.Response] | Exception | int) -> ResponseQueue:
    """Return a handler for these responses; a number is a status without a body."""
    return ResponseQueue([_empty(each) if isinstance(each, int) else each for each in responses])


def _empty(status: int) -> Callable[[], httpx.Response]:
    return lambda: httpx.Response(status)


def make_response(status: int = 200, **content: Any) -> Callable[[], httpx.Response]:
    return lambda: httpx.Response(status, **content)


class ClientDriver:
    """Runs one of the two clients from sync code, so that each test is written once."""

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async
        self._runner = asyncio.Runner()
        self._to_close: list[Any] = []

    def httpx_client(self, **settings: Any) -> Any:
        """Return an httpx client of the driver's kind, closed with the driver."""
        made = httpx.AsyncClient(**settings) if self.is_async else httpx.Client(**settings)
        self._to_close.append(made)
        return made

    def client(self, handler: Handler | None = None, **settings: Any) -> Any:
        """Return a client; with a handler, its requests go to that handler."""
        if handler is not None:
            http = self.httpx_client(transport=httpx.MockTransport(handler))
            settings = {"base_url": BASE_URL, "api_key": KEY, "retry": NO_RETRIES, "http_client": http, **settings}
        made = AsyncLetta(**settings) if self.is_async else Letta(**settings)
        self._to_close.append(made)
        return made

    def run(self, value: Any) -> Any:
        """Return the value, or the result of awaiting it."""
        if not inspect.isawaitable(value):
            return value

        async def wait() -> Any:
            return await value

        return self._runner.run(wait())

    def items(self, iterable: Any) -> list[Any]:
        """Return all items of an iterable."""
        found, fault = self.drain(iterable)
        if fault is not None:
            raise fault
        return found

    def drain(self, iterable: Any, stop: Callable[[Any], bool] = lambda _: False) -> tuple[list[Any], Exception | None]:
        """Return the items of an iterable, up to the first for which `stop` is true, and its exception."""
        found: list[Any] = []

        async def consume() -> None:
            async for item in iterable:
                found.append(item)
                if stop(item):
                    break
            for _ in range(5):  # the event loop closes an abandoned generator within a few iterations
                await asyncio.sleep(0)

        try:
            if self.is_async:
                self._runner.run(consume())
            else:
                for item in iterable:
                    found.append(item)
                    if stop(item):
                        break
        except Exception as fault:  # noqa: BLE001  # the test checks the class
            return found, fault
        return found, None

    def close(self) -> None:
        for each in reversed(self._to_close):
            self.run(each.aclose() if isinstance(each, httpx.AsyncClient) else each.close())
        self._runner.close()


@dataclass
class Loopback:
    """A server that sends handwritten bytes, which may violate HTTP."""

    base_url: str
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


DISCONNECT = b"<cut>"
"""As the end of a reply: the connection is closed after it."""


@contextmanager
def loopback(*replies: bytes) -> Iterator[Loopback]:
    """Send these replies to the requests in order and repeat the last; an empty reply leaves the request pending."""
    stopped = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    server = Loopback(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def serve(connection: socket.socket) -> None:
        # A client that closes its connection early resets it while the reply is being sent.
        with connection, connection.makefile("rb") as incoming, suppress(ConnectionError):
            while head := _request(incoming):
                reply = replies[min(len(server.requests), len(replies) - 1)]
                server.requests.append(head)
                if not reply:
                    stopped.wait()
                    return
                connection.sendall(reply.removesuffix(DISCONNECT))
                if reply.endswith(DISCONNECT):
                    return

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            if stopped.is_set():
                connection.close()
                return
            server.connections += 1
            threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
            threads[-1].start()

    threads = [threading.Thread(target=accept, daemon=True)]
    threads[0].start()
    try:
        yield server
    finally:
        stopped.set()
        socket.create_connection(listener.getsockname()).close()
        threads[0].join(5)
        listener.close()


def _request(incoming: BinaryIO) -> bytes:
    head = b""
    while (line := incoming.readline()) not in (b"\r\n", b""):
        head += line
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return head + incoming.read(int(length.group(1)) if length else 0)

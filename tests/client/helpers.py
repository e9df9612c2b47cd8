"""What the tests of the client share: recorded answers, bodies that break, servers that break, both clients in one."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
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

Handler = Callable[[httpx.Request], httpx.Response]

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Recording:
    """One exchange with a real server."""

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
        """The JSON of each data line."""
        lines = self.content.decode().split("\n")
        return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]

    def call(self, driver: ClientDriver, client: Any, *, arguments: bool = True) -> Any:
        """Makes the recorded call, by the function that is meant for its endpoint."""
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
        return driver.run(functions[name](*ids, **({**(self.params or {}), **(self.body or {})} if arguments else {})))


def recording(name: str) -> Recording:
    facts = json.loads((RECORDINGS / f"{name}.json").read_text())
    return Recording(name=name, content=(RECORDINGS / f"{name}.body").read_bytes(), **facts)


def recordings(suffix: str = "") -> list[Recording]:
    return [recording(path.stem) for path in sorted(RECORDINGS.glob(f"*{suffix}.json"))]


def plain(value: Any) -> Any:
    """JSON with its instants as instants: `Z` and `+00:00` are one."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str) and INSTANT.fullmatch(value):
        return datetime.fromisoformat(value)
    return value


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in chunks, which may fail behind the last, and knows whether it was closed."""

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
    """Events with this data, as the server writes them."""
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
    """One of the two clients, driven from plain code, so that each scenario is written once."""

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async
        self._runner = asyncio.Runner()
        self._to_close: list[Any] = []

    def client(self, handler: Handler | None = None, **settings: Any) -> Any:
        """A client; with a handler, one whose requests go there."""
        if handler is not None:
            transport = httpx.MockTransport(handler)
            http = httpx.AsyncClient(transport=transport) if self.is_async else httpx.Client(transport=transport)
            self._to_close.append(http)
            settings = {"base_url": BASE_URL, "api_key": KEY, "retry": NO_RETRIES, "http_client": http, **settings}
        made = AsyncLetta(**settings) if self.is_async else Letta(**settings)
        self._to_close.append(made)
        return made

    def run(self, value: Any) -> Any:
        """The value, or what it brings when awaited."""
        if not inspect.isawaitable(value):
            return value

        async def wait() -> Any:
            return await value

        return self._runner.run(wait())

    def items(self, things: Any) -> list[Any]:
        """All that an iterable yields."""
        found, fault = self.drain(things)
        if fault is not None:
            raise fault
        return found

    def drain(self, things: Any, stop: Callable[[Any], bool] = lambda _: False) -> tuple[list[Any], Exception | None]:
        """What an iterable yields, up to where it is told to stop, and what it raises."""
        found: list[Any] = []

        async def go() -> None:
            async for item in things:
                found.append(item)
                if stop(item):
                    break
            for _ in range(5):  # the loop closes a generator that was left in one of its next turns
                await asyncio.sleep(0)

        try:
            if self.is_async:
                self._runner.run(go())
            else:
                for item in things:
                    found.append(item)
                    if stop(item):
                        break
        except Exception as fault:  # noqa: BLE001  (the test says which it must be)
            return found, fault
        return found, None

    def close(self) -> None:
        for each in reversed(self._to_close):
            self.run(each.aclose() if isinstance(each, httpx.AsyncClient) else each.close())
        self._runner.close()


@dataclass
class Loopback:
    """A server that does not follow the rules: what it sends is written by hand."""

    base_url: str
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


DISCONNECT = b"<cut>"
"""At the end of an answer: the connection is closed behind it."""


@contextmanager
def loopback(*given: bytes) -> Iterator[Loopback]:
    """Answers each request with the next of these bytes; an empty one is no answer at all."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    server = Loopback(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as incoming:
            while head := _request(incoming):
                reply = given[min(len(server.requests), len(given) - 1)]
                server.requests.append(head)
                if not reply:
                    over.wait()
                    return
                connection.sendall(reply.removesuffix(DISCONNECT))
                if reply.endswith(DISCONNECT):
                    return

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            if over.is_set():
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
        over.set()
        socket.create_connection(listener.getsockname()).close()
        threads[0].join(5)
        listener.close()


def _request(incoming: BinaryIO) -> bytes:
    head = b""
    while (line := incoming.readline()) not in (b"\r\n", b""):
        head += line
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return head + incoming.read(int(length.group(1)) if length else 0)

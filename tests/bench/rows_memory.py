"""Rows of memory: what a decoded message holds, and that iterating holds nothing."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Generator, Mapping
from importlib import import_module
from typing import Any, Final

import httpx

from letta_api.api.conversations_messages import conversations_messages_list
from letta_api.unions import Message
from letta_ext import AsyncLetta, Letta

from . import bodies, others
from .measuring import FLOOR, OURS, PUBLISHED, Sampled
from .others import ROOT
from .rows_decoding import BASE_URL, CONVERSATION, AsyncBody

MEMORY: Final = "memory"
TENTH: Final = "after a tenth"
MANY: Final = 1_000_000
PAGE: Final = 1_000


def held(work: Callable[[], Any]) -> float:
    """Bytes that a result holds."""
    work()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = work()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    del result
    return after - before


def a_message() -> Mapping[str, Callable[[], float]]:
    """Bytes of one decoded message of a page."""
    count = 500
    text = bodies.page_of_messages(count)
    construct, kind = others.construct(), list[others.published("agents.message", "Message")]  # type: ignore[misc]  # at run time
    floor = others.floor_decoder(list[Message])
    return {
        OURS: lambda: held(lambda: conversations_messages_list.read_response(text)) / count,
        PUBLISHED: lambda: held(lambda: construct(type_=kind, value=json.loads(text))) / count,
        FLOOR: lambda: held(lambda: floor(text)) / count,
    }


class _Endless(httpx.SyncByteStream):
    """A stream of many events that is never whole anywhere."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Generator[bytes, None, None]:
        opening, piece, *_ = bodies.frame_by_frame(bodies.stream(1))
        yield opening
        chunk = piece * 10
        for _ in range(self.count // 10):
            yield chunk
        yield b"data: [DONE]\n\n"


def _peak() -> int:
    import resource  # not on Windows, where this row is not measured

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _watched(iterating: Generator[object, None, None], count: int) -> None:
    """Print the peak memory of this process after a tenth of the items, and at the end."""
    seen = 0
    for seen, _ in enumerate(iterating, 1):
        if seen == count // 10:
            print(_peak())
    if seen < count:
        raise RuntimeError(f"{seen} of {count}")
    print(_peak())


def _events(count: int) -> Generator[object, None, None]:
    def respond(request: httpx.Request) -> httpx.Response:
        head = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=head, stream=_Endless(count), request=request)

    http = httpx.Client(transport=httpx.MockTransport(respond))
    client = Letta(api_key="key", base_url="http://letta.test", http_client=http)
    yield from client.conversations.messages.create(CONVERSATION, input="hello")


def listing_steps(total: int) -> Letta:
    """Return a client of a server with so many steps, whose pages are made on demand."""

    def respond(request: httpx.Request) -> httpx.Response:
        query = request.url.params
        page = bodies.steps_after(query.get("after"), int(query["limit"]), total)
        return httpx.Response(200, content=page, headers={"content-type": "application/json"}, request=request)

    http = httpx.Client(transport=httpx.MockTransport(respond))
    return Letta(api_key="key", base_url="http://letta.test", http_client=http)


def _items(count: int) -> Generator[object, None, None]:
    yield from listing_steps(count).steps.list(limit=PAGE)


def open_streams() -> Mapping[str, Callable[[], float]]:
    """Bytes of one of 1,000 async streams that are open at once, each after its first event."""
    count = 1_000
    chunks = bodies.frame_by_frame(bodies.stream(3))

    async def first_events(client: Any) -> list[Any]:
        found: list[Any] = []
        for _ in range(count):
            stream = await client.conversations.messages.create(CONVERSATION, input="hello", streaming=True)
            events = aiter(stream)
            found.append((stream, events, await anext(events)))
        return found

    def respond(request: httpx.Request) -> httpx.Response:
        head = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=head, stream=AsyncBody(chunks), request=request)

    def http() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(respond))

    def side(make: Callable[[], Any]) -> Callable[[], float]:
        async def run() -> float:
            client = make()
            await first_events(client)
            gc.collect()
            tracemalloc.start()
            try:
                found = await first_events(client)
                gc.collect()
                held = tracemalloc.get_traced_memory()[0]
            finally:
                tracemalloc.stop()
            for stream, events, _ in found:
                await events.aclose()
                await stream.close()
            return held / count

        return lambda: asyncio.run(run())

    def published() -> Any:
        return import_module("letta_client").AsyncLetta(api_key="key", base_url=BASE_URL, http_client=http())

    return {
        OURS: side(lambda: AsyncLetta(api_key="key", base_url=BASE_URL, http_client=http())),
        PUBLISHED: side(published),
    }


def iterating(what: str) -> Mapping[str, Callable[[], float]]:
    """Measure the peak memory of a process that iterates, at its end and after a tenth."""
    found: list[float] = []

    def run() -> float:
        command = [sys.executable, "-m", "tests.bench.rows_memory", what]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        found[:] = map(float, done.stdout.split())
        return found[1]

    return {OURS: run, TENTH: lambda: found[0]}


def rows() -> list[Sampled]:
    """Return the rows."""
    flat: dict[str, Any] = {"sense": "overhead", "unit": "MB", "scale": 1e-6, "most": 2, "long": True}
    return [
        Sampled(MEMORY, "a decoded message of a page", a_message, unit="bytes", scale=1, most=3),
        Sampled(MEMORY, "an open async stream, of 1,000", open_streams, unit="bytes", scale=1, most=3),
        Sampled(MEMORY, "peak over a million events", lambda: iterating("events"), TENTH, 1.02, **flat),
        Sampled(MEMORY, "peak over a million steps", lambda: iterating("items"), TENTH, 1.02, **flat),
    ]


if __name__ == "__main__":
    _watched({"events": _events, "items": _items}[sys.argv[1]](MANY), MANY)

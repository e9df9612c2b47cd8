"""Rows of public calls, as a user writes them, from the call to a value in the caller's hands."""

from __future__ import annotations

import asyncio
import atexit
import json
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from functools import cache, partial
from importlib import import_module
from typing import Any, Final

import httpx

from letta_api.unions import StreamEvent
from letta_ext import AsyncLetta, Letta

from . import bodies, others
from .measuring import BARE, FLOOR, OURS, PUBLISHED, Row, Sampled, Work, wall
from .rows_calls import HEADERS, server
from .rows_decoding import BASE_URL, CONVERSATION, AsyncBody, Body, answering, published_client

PUBLIC: Final = "public calls"
LOOPBACK: Final = "public calls, embedded server"
KNOWN: Final = "without the field"
SYNC: Final = "sync"
LIMIT: Final = "limit"
AGENT: Final = "agent-123e4567-e89b-42d3-8456-426614174000"
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"

STREAMED: Final = 5_000
CHUNK: Final = 4_096
MOST_READ: Final = 65_536
"""Bytes that httpx reads from a socket at once."""
PAGE: Final = 100
PAGES: Final = 10
LONGEST_STEP: Final = 0.010
"""Seconds that a step of the event loop may take, so that other tasks are served."""

Respond = Callable[[httpx.Request], httpx.Response]


@cache
def event_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of all async rows. It is closed when the process ends."""
    loop = asyncio.new_event_loop()
    atexit.register(_close, loop)
    return loop


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Close an event loop after its remaining tasks, such as those that close connections."""
    while tasks := asyncio.all_tasks(loop):
        loop.run_until_complete(asyncio.wait(tasks))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def sync_sides(respond: Respond, use: Callable[[Any], object]) -> Mapping[str, Work]:
    """Return the sides of a call of both clients on a transport without a network."""
    ours = Letta(api_key="key", base_url=BASE_URL, http_client=httpx.Client(transport=httpx.MockTransport(respond)))
    published = published_client(httpx.Client(transport=httpx.MockTransport(respond)), BASE_URL)
    return {OURS: lambda: use(ours), PUBLISHED: lambda: use(published)}


def async_sides(respond: Respond, use: Callable[[Any], Coroutine[Any, Any, object]]) -> Mapping[str, Work]:
    """Return the sides of a call of both async clients, in an event loop that is kept."""
    loop = event_loop()

    def http() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(respond))

    ours = AsyncLetta(api_key="key", base_url=BASE_URL, http_client=http())
    published = import_module("letta_client").AsyncLetta(api_key="key", base_url=BASE_URL, http_client=http())
    return {
        OURS: lambda: loop.run_until_complete(use(ours)),
        PUBLISHED: lambda: loop.run_until_complete(use(published)),
    }


def responding(content: bytes, content_type: str = JSON) -> Respond:
    """Return a handler that sends the same content each time."""
    return lambda request: httpx.Response(200, headers={"content-type": content_type}, content=content, request=request)


def streaming(chunks: list[bytes], body: type[Body | AsyncBody]) -> Respond:
    """Return a handler that sends the same stream each time."""
    head = {"content-type": EVENTS}
    return lambda request: httpx.Response(200, headers=head, stream=body(chunks), request=request)


def read_stream(client: Any) -> None:
    """Iterate over the events of a send."""
    for _ in client.conversations.messages.create(CONVERSATION, input="hello", streaming=True):
        pass


async def read_async_stream(client: Any) -> None:
    """Iterate over the events of a send."""
    async for _ in await client.conversations.messages.create(CONVERSATION, input="hello", streaming=True):
        pass


@cache
def stream_chunks(field: str = "") -> list[bytes]:
    """Return the chunks of the stream, whose events have another field if its name is given."""
    body = bodies.stream(STREAMED)
    if field:
        body = body.replace(b'"}\n\n', b'","%b":null}\n\n' % field.encode())
    return bodies.in_chunks(body, CHUNK)


def stream() -> Mapping[str, Work]:
    """Send and read a stream; the floor splits and decodes it by msgspec."""
    chunks = stream_chunks()
    bare, floor = answering(chunks), others.floor_decoder(StreamEvent)

    def split() -> None:
        buffer = b""
        with bare.stream("POST", f"{BASE_URL}/v1/conversations/{CONVERSATION}/messages", json={}) as response:
            for chunk in response.iter_bytes():
                *frames, buffer = (buffer + chunk).split(b"\n\n")
                for frame in frames:
                    if frame != b"data: [DONE]":
                        floor(frame[6:])

    return {**sync_sides(streaming(chunks, Body), read_stream), FLOOR: split}


def async_stream() -> Mapping[str, Work]:
    """Send and read a stream."""
    return async_sides(streaming(stream_chunks(), AsyncBody), read_async_stream)


def async_over_sync() -> Mapping[str, Work]:
    """Read a stream by both clients of this library."""
    sync = sync_sides(streaming(stream_chunks(), Body), read_stream)
    return {OURS: async_stream()[OURS], SYNC: sync[OURS]}


def newer_stream() -> Mapping[str, Work]:
    """Read a stream of a server that is newer by one field."""
    newer, known = (
        sync_sides(streaming(stream_chunks(field), Body), read_stream)[OURS] for field in ("a_newer_field", "")
    )
    return {OURS: newer, KNOWN: known}


def steps_page(client: Any) -> object:
    """Return an attribute of the last item of a page."""
    return client.steps.list(limit=PAGE).items[-1].id


def messages_page(client: Any) -> object:
    """Return an attribute of the last item of a page."""
    return client.conversations.messages.list(CONVERSATION, limit=PAGE).items[-1].id


async def async_steps_page(client: Any) -> object:
    """Return an attribute of the last item of a page."""
    return (await client.steps.list(limit=PAGE)).items[-1].id


async def async_messages_page(client: Any) -> object:
    """Return an attribute of the last item of a page."""
    return (await client.conversations.messages.list(CONVERSATION, limit=PAGE)).items[-1].id


def paging() -> Respond:
    """Return a handler that sends the pages of a list of messages. Each is made once."""
    messages: list[dict[str, Any]] = json.loads(bodies.page_of_messages(PAGES * PAGE))
    places = {message["id"]: place for place, message in enumerate(messages)}
    texts = [json.dumps(message, separators=(",", ":")).encode() for message in messages]

    @cache
    def page(query: bytes) -> bytes:
        given = httpx.QueryParams(query.decode())
        begin = places[given["after"]] + 1 if "after" in given else 0
        end = places[given["before"]] if "before" in given else len(texts)
        return b"[%b]" % b",".join(texts[begin : min(end, begin + int(given["limit"]))])

    return lambda request: responding(page(request.url.query))(request)


def iterate(client: Any) -> None:
    """Iterate over a list."""
    _check(sum(1 for _ in client.conversations.messages.list(CONVERSATION, limit=PAGE, order="asc")))


async def async_iterate(client: Any) -> None:
    """Iterate over a list."""
    count = 0
    async for _ in client.conversations.messages.list(CONVERSATION, limit=PAGE, order="asc"):
        count += 1
    _check(count)


def _check(count: int) -> None:
    if count != PAGES * PAGE:
        raise RuntimeError(f"{count} items of {PAGES * PAGE}")


def logprobs() -> Mapping[str, Work]:
    """Send without streaming, and read the first token. letta-client reads such a response by its agents only."""
    respond = responding(bodies.response_with_logprobs())

    def first(response: Any) -> object:
        return response.logprobs.content[0].token

    conversation = sync_sides(
        respond, lambda client: first(client.conversations.messages.create(CONVERSATION, input="hi", streaming=False))
    )
    agent = sync_sides(respond, lambda client: first(client.agents.messages.create(AGENT, input="hi", streaming=False)))
    return {OURS: conversation[OURS], PUBLISHED: agent[PUBLISHED]}


def longest_step(read: Callable[[Any], Coroutine[Any, Any, object]], respond: Respond) -> Mapping[str, Any]:
    """Read while another task waits for its turns: the longest time between two of them [s]."""

    async def run() -> float:
        client = AsyncLetta(
            api_key="key", base_url=BASE_URL, http_client=httpx.AsyncClient(transport=httpx.MockTransport(respond))
        )
        reading = asyncio.ensure_future(read(client))
        longest, turn = 0.0, time.thread_time()
        while not reading.done():
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, turn = max(longest, now - turn), now
        await reading
        return longest

    return {OURS: lambda: asyncio.run(run()), LIMIT: lambda: LONGEST_STEP}


def embedded(use: Callable[[Any], object], path: str) -> Mapping[str, Work]:
    """Make a call to the embedded server over loopback; the same requests by httpx."""
    url = server("embedded")
    ours, published, bare = Letta(api_key="key", base_url=url), published_client(httpx.Client(), url), httpx.Client()
    return {
        OURS: lambda: use(ours),
        PUBLISHED: lambda: use(published),
        BARE: lambda: bare.get(f"{url}{path}", headers=HEADERS).json(),
    }


def embedded_pages() -> Mapping[str, Work]:
    """Iterate over ten pages of the embedded server."""
    url = server("embedded")
    ours, published, bare = Letta(api_key="key", base_url=url), published_client(httpx.Client(), url), httpx.Client()

    def take(items: Iterator[object]) -> None:
        for _, _ in zip(range(PAGES * PAGE), items, strict=False):
            pass

    def pages() -> Iterator[object]:
        after: dict[str, str] = {}
        while True:
            found = bare.get(f"{url}/v1/steps/", params={"limit": PAGE, **after}, headers=HEADERS).json()
            yield from found
            after = {"after": found[-1]["id"]}

    return {
        OURS: lambda: take(iter(ours.steps.list(limit=PAGE))),
        PUBLISHED: lambda: take(iter(published.steps.list(limit=PAGE))),
        BARE: lambda: take(pages()),
    }


def rows() -> list[Row | Sampled]:
    """Return the rows."""
    streams: dict[str, Any] = {"each": STREAMED, "note": "an event"}
    items: dict[str, Any] = {"each": PAGE, "note": "an item"}
    many: dict[str, Any] = {"each": PAGE * PAGES, "note": "an item"}
    steps, messages = responding(bodies.steps_after(None, PAGE, PAGE)), responding(bodies.page_of_messages(PAGE))
    at_once = streaming(bodies.in_chunks(bodies.stream(STREAMED), MOST_READ), AsyncBody)
    step: dict[str, Any] = {"versus": LIMIT, "sense": "overhead", "unit": "ms", "scale": 1e3, "most": 5}
    return [
        Row(PUBLIC, "stream of 5,000 events in 4 KB chunks", stream, reach=15, **streams),
        Row(PUBLIC, "stream of 5,000 events over msgspec", stream, FLOOR, 1.5, "overhead", **streams),
        Row(PUBLIC, "stream of 5,000 events, async", async_stream, reach=12, **streams),
        Row(PUBLIC, "stream of 5,000 events, async over sync", async_over_sync, SYNC, None, "overhead", **streams),
        Row(PUBLIC, "stream with one undocumented field", newer_stream, KNOWN, 1.3, "overhead", **streams),
        Row(PUBLIC, "page of 100 steps", partial(sync_sides, steps, steps_page), reach=20, **items),
        Row(PUBLIC, "page of 100 steps, async", partial(async_sides, steps, async_steps_page), **items),
        Row(PUBLIC, "page of 100 messages", partial(sync_sides, messages, messages_page), reach=12, **items),
        Row(PUBLIC, "page of 100 messages, async", partial(async_sides, messages, async_messages_page), **items),
        Row(PUBLIC, "ten pages of 100 messages, iterated", lambda: sync_sides(paging(), iterate), reach=8, **many),
        Row(PUBLIC, "ten pages of 100 messages, async", lambda: async_sides(paging(), async_iterate), **many),
        Row(PUBLIC, "response with 20,000 logprobs", logprobs, reach=20),
        Sampled(
            PUBLIC, "async stream that has arrived, longest step of the event loop",
            lambda: longest_step(read_async_stream, at_once), reach=1, **step,
        ),
        Row(
            LOOPBACK, "page of 100 steps, embedded server",
            lambda: embedded(steps_page, f"/v1/steps/?limit={PAGE}"), clock=wall, **items,
        ),
        Row(LOOPBACK, "ten pages of 100 steps, embedded server", embedded_pages, clock=wall, **many),
    ]  # fmt: skip

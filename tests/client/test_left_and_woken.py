"""Streams that are left, closed by another thread or task, or interrupted by a time limit."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import httpx
import pytest

from letta_api.models import AssistantMessage
from letta_ext import AsyncLetta, Letta, RetryPolicy, StreamInterrupted
from letta_ext.testing import EmbeddedServer
from letta_ext.types import UnknownMessage

from .helpers import CONVERSATION, NO_RETRIES, STEP, Body, ClientDriver, loopback, sse
from .http2_server import MOST, http2_server
from .test_streams import message

BEGUN: Final = sse(message("a", 1), message("b", 2))
HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
OPEN: Final = HEAD + b"%x\r\n%s\r\n" % (len(BEGUN), BEGUN)
OLD: Final = b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + BEGUN


@pytest.fixture
def silent() -> Iterator[Callable[[bytes], str]]:
    """Servers that send this, and then nothing."""
    over = threading.Event()
    contexts: list[Any] = []

    def start(answer: bytes) -> str:
        context = loopback(answer, b"")
        contexts.append(context)
        found: str = context.__enter__().base_url
        return found

    yield start
    over.set()
    for context in contexts:
        context.__exit__(None, None, None)


def http2(driver: ClientDriver) -> Any:
    kind = httpx.AsyncClient if driver.is_async else httpx.Client
    http = kind(http1=False, http2=True, timeout=5)
    driver._to_close.append(http)
    return http


@pytest.mark.parametrize("way", ["loop", "with", "close", "release"])
def test_left_streams_of_http2_are_reset(driver: ClientDriver, way: str) -> None:
    """More of them are left than a connection may have, and later calls are answered."""
    count = 2 * MOST + 5
    with http2_server(BEGUN) as server:
        client = driver.client(base_url=server.base_url, http_client=http2(driver), retry=NO_RETRIES)

        async def leave() -> None:
            stream = await client.conversations.messages.create(CONVERSATION, input="hi")
            if way == "loop":
                async for _ in stream:
                    break
            elif way == "with":
                async with stream:
                    await anext(aiter(stream))
            elif way == "close":
                await stream.close()
            del stream
            for _ in range(10):
                await asyncio.sleep(0)

        def leave_sync() -> None:
            stream = client.conversations.messages.create(CONVERSATION, input="hi")
            if way == "loop":
                for _ in stream:
                    break
            elif way == "with":
                with stream:
                    next(iter(stream))
            elif way == "close":
                stream.close()

        for _ in range(count):
            driver.run(leave()) if driver.is_async else leave_sync()
        assert server.connections == 1
        assert len(server.opened) == count
        assert len(server.reset) >= count - 1  # the last one may be on its way


def read_in_thread(stream: Any) -> tuple[threading.Thread, threading.Event, list[BaseException]]:
    """Read a stream in a thread of its own, until it waits for an event that never comes."""
    reading, faults = threading.Event(), list[BaseException]()

    def read() -> None:
        try:
            for number, _ in enumerate(stream):
                if number == 1:
                    reading.set()
        except BaseException as fault:  # noqa: BLE001  # the test says which it must be
            faults.append(fault)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread, reading, faults


@pytest.mark.parametrize(
    ("protocol", "closed"),  # an httpx client that was passed, as for HTTP/2, is not closed
    [(version, closed) for version in ("HTTP/1.1", "HTTP/1.0") for closed in ("stream", "client")]
    + [("HTTP/2", "stream")],
)
@pytest.mark.parametrize("background", [False, True])
def test_close_wakes_the_reader(
    silent: Callable[[bytes], str], protocol: str, closed: str, *, background: bool
) -> None:
    """A thread that waits for an event is told where the stream stands when the stream, or its client, is closed."""
    with http2_server(BEGUN) as server:
        address = server.base_url if protocol == "HTTP/2" else silent(OPEN if protocol == "HTTP/1.1" else OLD)
        http = httpx.Client(http1=False, http2=True, timeout=20) if protocol == "HTTP/2" else None
        client = Letta(base_url=address, http_client=http, timeout=20, retry=RetryPolicy(max_retries=2))
        stream = client.conversations.messages.create(CONVERSATION, input="hi", background=background)
        thread, reading, faults = read_in_thread(stream)
        assert reading.wait(5)
        while not stream._connection.reading:
            time.sleep(0.001)  # the thread is on its way into the next read
        since = time.monotonic()
        (stream if closed == "stream" else client).close()
        thread.join(5)
        assert not thread.is_alive()
        assert time.monotonic() - since < 3
        assert isinstance(faults[0], StreamInterrupted)
        assert faults[0].last_seq_id == 2
        if http is not None:
            other = client.conversations.messages.create(CONVERSATION, input="hi")
            first = next(iter(other))
            assert isinstance(first, AssistantMessage)
            assert first.content == "a"
            assert server.connections == 1  # the other streams of the connection are none the worse
            http.close()


def test_async_close_of_the_client_wakes_the_reader(silent: Callable[[bytes], str]) -> None:
    """Async version: a task that waits for an event of a background stream."""

    async def main() -> None:
        client = AsyncLetta(base_url=silent(OPEN), timeout=20)
        stream = await client.conversations.messages.create(CONVERSATION, input="hi", background=True)
        events = aiter(stream)
        await anext(events)
        await anext(events)
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.05)
        await client.close()
        with pytest.raises(StreamInterrupted) as caught:
            await asyncio.wait_for(waiting, 5)
        assert caught.value.last_seq_id == 2

    asyncio.run(main())


@pytest.mark.parametrize("taken", ["raw", "http_response", "response"])
def test_released_responses_of_streams_free_their_connection(
    driver: ClientDriver, server: EmbeddedServer, taken: str
) -> None:
    """A response that was taken from a stream stays open while it is referred to, and no longer."""
    kind = httpx.AsyncClient if driver.is_async else httpx.Client
    limits = httpx.Limits(max_connections=2)
    http = kind(limits=limits, timeout=httpx.Timeout(5, pool=0.5))
    driver._to_close.append(http)
    client = driver.client(base_url=server.base_url, http_client=http, retry=NO_RETRIES)
    messages = client.conversations.messages

    async def taken_now() -> Any:
        if taken == "response":
            stream = messages.create(server.conversation_id, input="x")
            return (await stream if driver.is_async else stream).response
        raw = messages.with_raw_response.create(server.conversation_id, input="x")
        raw = await raw if driver.is_async else raw
        assert raw.status_code == 200
        return raw if taken == "raw" else raw.http_response

    async def use() -> None:
        found = await taken_now()
        assert not getattr(found, "is_closed", False)
        del found
        gc.collect()
        for _ in range(20):
            await asyncio.sleep(0)

    for _ in range(4):
        driver.run(use())


SLOW: Final = 6


def slowly(driver: ClientDriver) -> Callable[[httpx.Request], httpx.Response]:
    """A server whose events come one by one, each after a pause; a background stream goes on where it is asked to."""

    class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __init__(self, first: int) -> None:
            self.first = first

        def parts(self) -> list[bytes]:
            events = [sse(message(f"w{n} ", n)) for n in range(self.first, SLOW + 1)]
            return [*events, sse({"message_type": "stop_reason", "stop_reason": "end_turn"}), sse("[DONE]")]

        def __iter__(self) -> Iterator[bytes]:
            for part in self.parts():
                time.sleep(0.03)
                yield part

        async def __aiter__(self) -> Any:
            for part in self.parts():
                await asyncio.sleep(0.03)
                yield part

        async def aclose(self) -> None: ...

    def handle(request: httpx.Request) -> httpx.Response:
        import json

        asked = json.loads(request.content)
        after = asked.get("starting_after") or 0
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(after + 1))

    return handle


@pytest.mark.parametrize("name", ["events", "text"])
def test_heartbeats_interrupt_a_background_stream_without_loss(driver: ClientDriver, name: str) -> None:
    """A time limit around each `next` is passed many times, and every event comes once."""
    client = driver.client(slowly(driver))
    beats = 0
    found: list[Any] = []

    async def beat() -> None:
        nonlocal beats
        stream = await client.conversations.messages.create(CONVERSATION, input="x", background=True)
        events = aiter(stream if name == "events" else stream.text())
        limit = 0.015
        while True:
            try:
                found.append(await asyncio.wait_for(anext(events), limit))
            except TimeoutError:
                beats += 1
                limit += 0.005
            except StopAsyncIteration:
                return

    class AlarmError(Exception): ...

    def ring(_: int, interrupted: FrameType | None) -> None:
        # An event that was handed over is the caller's: the time limit is around `next`, not around what follows it.
        if interrupted is None or interrupted.f_code is not beat_sync.__code__:
            raise AlarmError

    def beat_sync() -> None:
        nonlocal beats
        stream = client.conversations.messages.create(CONVERSATION, input="x", background=True)
        events = iter(stream if name == "events" else stream.text())
        limit = 0.015
        before = signal.signal(signal.SIGALRM, ring)
        try:
            while True:
                try:
                    signal.setitimer(signal.ITIMER_REAL, limit)
                    for event in events:
                        signal.setitimer(signal.ITIMER_REAL, 0)
                        found.append(event)
                        break
                    else:
                        return
                except AlarmError:
                    beats += 1
                    limit += 0.005
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
        finally:
            signal.signal(signal.SIGALRM, before)

    driver.run(beat()) if driver.is_async else beat_sync()
    texts = [
        each if isinstance(each, str) else each.content for each in found if hasattr(each, "content") or name == "text"
    ]
    assert texts == [f"w{n} " for n in range(1, SLOW + 1)]
    assert beats > 0


def test_a_foreground_stream_fails_again_and_again_after_a_time_limit(driver: ClientDriver) -> None:
    """It cannot be resumed, and never looks complete."""
    client = driver.client(slowly(driver))

    async def main() -> None:
        events = aiter(await client.conversations.messages.create(CONVERSATION, input="x"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 0.005)
        for _ in range(3):
            with pytest.raises(StreamInterrupted, match="was raised while it was read"):
                await anext(events)

    if driver.is_async:
        driver.run(main())
        return
    events = iter(client.conversations.messages.create(CONVERSATION, input="x"))

    class AlarmError(Exception): ...

    here = sys._getframe().f_code

    def ring(_: int, interrupted: FrameType | None) -> None:
        if interrupted is None or interrupted.f_code is not here:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise AlarmError

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
        with pytest.raises(AlarmError):
            next(events)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    for _ in range(3):
        with pytest.raises(StreamInterrupted, match="was raised while it was read"):
            next(events)


def test_lists_repeat_the_page_request_that_failed(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A 502 that was caught in the middle of an iteration loses no item."""
    plain = Letta(base_url=server.base_url)
    for _ in range(4):
        list(plain.conversations.messages.create(server.conversation_id, input="hi"))
    known = plain.conversations.messages.list(server.conversation_id, order="asc")
    whole = [each.id for each in known if not isinstance(each, UnknownMessage)]
    failed: set[str] = set()

    def handle(request: httpx.Request) -> httpx.Response:
        if str(request.url) not in failed:
            failed.add(str(request.url))
            return httpx.Response(502)
        with httpx.Client() as http:
            url = request.url.copy_with(scheme="http", host="127.0.0.1", port=int(server.base_url.rsplit(":", 1)[1]))
            answer = http.request(request.method, url)
        return httpx.Response(answer.status_code, headers={"content-type": "application/json"}, content=answer.content)

    client = driver.client(handle)
    failed.add(f"http://letta.test/v1/conversations/{server.conversation_id}/messages?limit=3&order=asc")
    listed = client.conversations.messages.list(server.conversation_id, order="asc", limit=3)
    iterator = aiter(listed) if driver.is_async else iter(listed)
    found: list[str] = []
    faults = 0
    while True:
        items, fault = driver.drain(iterator)
        found += [each.id for each in items]
        if fault is None:
            break
        faults += 1
    assert found == whole
    assert faults > 2


def test_events_ahead_of_one_that_is_too_large_are_handed_over(driver: ClientDriver) -> None:
    """They may come in the same chunk."""
    from letta_ext import StreamLimits
    from letta_ext.errors import EventTooLargeError

    from .helpers import event_stream, respond_with

    body = sse(message("a"), message("b")) + b"data: " + b"x" * 5000
    client = driver.client(respond_with(lambda: event_stream(body)), stream_limits=StreamLimits(max_event_bytes=1000))
    stream = driver.run(client.conversations.messages.create(CONVERSATION, input="x"))
    iterator = aiter(stream) if driver.is_async else iter(stream)
    events, fault = driver.drain(iterator)
    assert [event.content for event in events] == ["a", "b"]
    assert isinstance(fault, EventTooLargeError)
    again, fault = driver.drain(iterator)
    assert again == []
    assert isinstance(fault, EventTooLargeError)


def streaming(content: Body) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(200, stream=content)


@pytest.mark.parametrize("name", ["iter_bytes", "iter_lines"])
def test_bodies_that_broke_off_never_look_complete(driver: ClientDriver, name: str) -> None:
    """After an interruption, and after a fault of the connection, each further item fails."""
    from letta_ext import APIConnectionError

    for fault in (httpx.ReadError("broken"), KeyboardInterrupt()):
        content = Body([b"{}\n"], fault)  # type: ignore[arg-type]  # what a signal handler raises
        client = driver.client(streaming(content))

        async def read(client: Any = client) -> list[type[BaseException]]:
            raised: list[type[BaseException]] = []
            context = client.steps.with_streaming_response.retrieve(STEP)
            answer = await context.__aenter__() if driver.is_async else context.__enter__()
            items = getattr(answer, name)()
            for _ in range(5):
                try:
                    await anext(items) if driver.is_async else next(items)
                except BaseException as error:  # noqa: BLE001  # compared below
                    raised.append(type(error))
            return raised

        first = APIConnectionError if isinstance(fault, httpx.ReadError) else KeyboardInterrupt
        raised = driver.run(read())
        assert raised[0] is first
        assert raised[1:] == [APIConnectionError] * (len(raised) - 1)
        assert len(raised) >= 3

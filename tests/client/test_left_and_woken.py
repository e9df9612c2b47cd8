"""Streams that are abandoned, closed by another thread or task, or interrupted by a time limit."""

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
from .http2_server import MAX_STREAMS, http2_server
from .test_streams import message

BEGUN: Final = sse(message("a", 1), message("b", 2))
HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
OPEN: Final = HEAD + b"%x\r\n%s\r\n" % (len(BEGUN), BEGUN)
OLD: Final = b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + BEGUN


@pytest.fixture
def silent_server() -> Iterator[Callable[[bytes], str]]:
    """Start servers that send one reply and then stay silent."""
    stopped = threading.Event()
    contexts: list[Any] = []

    def start(reply: bytes) -> str:
        context = loopback(reply, b"")
        contexts.append(context)
        found: str = context.__enter__().base_url
        return found

    yield start
    stopped.set()
    for context in contexts:
        context.__exit__(None, None, None)


def http2(driver: ClientDriver) -> Any:
    kind = httpx.AsyncClient if driver.is_async else httpx.Client
    http = kind(http1=False, http2=True, timeout=5)
    driver._to_close.append(http)
    return http


@pytest.mark.parametrize("way", ["loop", "with", "close", "release"])
def test_abandoned_http2_streams_are_reset(driver: ClientDriver, way: str) -> None:
    """More streams than a connection may have are abandoned, and later calls are served."""
    count = 2 * MAX_STREAMS + 5
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
        assert len(server.reset) >= count - 1  # the last reset may still be in flight


def read_in_thread(stream: Any) -> tuple[threading.Thread, threading.Event, list[BaseException]]:
    """Read a stream in a thread until it waits for an event that never arrives."""
    reading, faults = threading.Event(), list[BaseException]()

    def read() -> None:
        try:
            for number, _ in enumerate(stream):
                if number == 1:
                    reading.set()
        except BaseException as fault:  # noqa: BLE001  # the test checks the class
            faults.append(fault)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread, reading, faults


@pytest.mark.parametrize(
    ("protocol", "closed"),  # the client does not close an httpx client that was passed, as for HTTP/2
    [(version, closed) for version in ("HTTP/1.1", "HTTP/1.0") for closed in ("stream", "client")]
    + [("HTTP/2", "stream")],
)
@pytest.mark.parametrize("background", [False, True])
def test_closing_stream_or_client_wakes_blocked_reader(
    silent_server: Callable[[bytes], str], protocol: str, closed: str, *, background: bool
) -> None:
    """A thread blocked in a read raises `StreamInterrupted` with the last sequence number."""
    with http2_server(BEGUN) as server:
        address = server.base_url if protocol == "HTTP/2" else silent_server(OPEN if protocol == "HTTP/1.1" else OLD)
        http = httpx.Client(http1=False, http2=True, timeout=20) if protocol == "HTTP/2" else None
        client = Letta(base_url=address, http_client=http, timeout=20, retry=RetryPolicy(max_retries=2))
        stream = client.conversations.messages.create(CONVERSATION, input="hi", background=background)
        thread, reading, faults = read_in_thread(stream)
        assert reading.wait(5)
        while not stream._connection.reading:
            time.sleep(0.001)  # the thread has not entered the next read yet
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
            assert server.connections == 1  # the other streams of the connection are unaffected
            http.close()


def test_closing_async_client_wakes_blocked_task(silent_server: Callable[[bytes], str]) -> None:
    """A task blocked in a read of a background stream raises `StreamInterrupted`."""

    async def main() -> None:
        client = AsyncLetta(base_url=silent_server(OPEN), timeout=20)
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


@pytest.mark.slow
@pytest.mark.parametrize("taken", ["raw", "http_response", "response"])
def test_released_stream_response_frees_connection(driver: ClientDriver, server: EmbeddedServer, taken: str) -> None:
    """A response taken from a stream stays open while referenced, and no longer."""
    kind = httpx.AsyncClient if driver.is_async else httpx.Client
    limits = httpx.Limits(max_connections=2)
    http = kind(limits=limits, timeout=httpx.Timeout(5, pool=0.5))
    driver._to_close.append(http)
    client = driver.client(base_url=server.base_url, http_client=http, retry=NO_RETRIES)
    messages = client.conversations.messages

    async def take() -> Any:
        if taken == "response":
            stream = messages.create(server.conversation_id, input="x")
            return (await stream if driver.is_async else stream).response
        raw = messages.with_raw_response.create(server.conversation_id, input="x")
        raw = await raw if driver.is_async else raw
        assert raw.status_code == 200
        return raw if taken == "raw" else raw.http_response

    async def use() -> None:
        found = await take()
        assert not getattr(found, "is_closed", False)
        del found
        gc.collect()
        for _ in range(20):
            await asyncio.sleep(0)

    for _ in range(4):
        driver.run(use())


SLOW: Final = 6


def slow_events(driver: ClientDriver) -> Callable[[httpx.Request], httpx.Response]:
    """Return a handler whose events arrive one by one after a pause; a background stream resumes where requested."""

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

        body = json.loads(request.content)
        after = body.get("starting_after") or 0
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(after + 1))

    return handle


@pytest.fixture
def no_gc_callbacks() -> Iterator[None]:
    """Remove the callbacks of garbage collection, as of hypothesis. What a signal handler raises in one is lost."""
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks[:] = callbacks


@pytest.mark.usefixtures("no_gc_callbacks")
@pytest.mark.parametrize("name", ["events", "text"])
def test_time_limits_around_next_lose_no_event_of_background_stream(driver: ClientDriver, name: str) -> None:
    """A time limit around `next` expires many times, and every event is yielded once."""
    client = driver.client(slow_events(driver))
    timeouts = 0
    found: list[Any] = []

    async def read_with_timeout() -> None:
        nonlocal timeouts
        stream = await client.conversations.messages.create(CONVERSATION, input="x", background=True)
        events = aiter(stream if name == "events" else stream.text())
        limit = 0.015
        while True:
            try:
                found.append(await asyncio.wait_for(anext(events), limit))
            except TimeoutError:
                timeouts += 1
                limit += 0.005
            except StopAsyncIteration:
                return

    class AlarmError(Exception): ...

    def ring(_: int, interrupted: FrameType | None) -> None:
        # An event that was handed stopped is the caller's: the time limit is around `next`, not around what follows it.
        if interrupted is None or interrupted.f_code is not read_with_alarm.__code__:
            raise AlarmError

    def read_with_alarm() -> None:
        nonlocal timeouts
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
                    timeouts += 1
                    limit += 0.005
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
        finally:
            signal.signal(signal.SIGALRM, before)

    driver.run(read_with_timeout()) if driver.is_async else read_with_alarm()
    texts = [
        each if isinstance(each, str) else each.content for each in found if hasattr(each, "content") or name == "text"
    ]
    assert texts == [f"w{n} " for n in range(1, SLOW + 1)]
    assert timeouts > 0


@pytest.mark.usefixtures("no_gc_callbacks")
def test_foreground_stream_after_time_limit_raises_on_every_next(driver: ClientDriver) -> None:
    """A foreground stream cannot be resumed, and never appears complete."""
    client = driver.client(slow_events(driver))

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


def test_list_iteration_after_502_repeats_failed_page_request(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A 502 that is caught during iteration loses no item."""
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
            response = http.request(request.method, url)
        headers = {"content-type": "application/json"}
        return httpx.Response(response.status_code, headers=headers, content=response.content)

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


def test_events_before_too_large_event_are_yielded(driver: ClientDriver) -> None:
    """Events before one that is too large are yielded, in the same chunk or not."""
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
def test_iterating_broken_body_again_raises_each_time(driver: ClientDriver, name: str) -> None:
    """After an interruption or a connection error, each further item raises."""
    from letta_ext import APIConnectionError

    for fault in (httpx.ReadError("broken"), KeyboardInterrupt()):
        content = Body([b"{}\n"], fault)  # type: ignore[arg-type]  # raised by a signal handler
        client = driver.client(streaming(content))

        async def read(client: Any = client) -> list[type[BaseException]]:
            raised: list[type[BaseException]] = []
            context = client.steps.with_streaming_response.retrieve(STEP)
            response = await context.__aenter__() if driver.is_async else context.__enter__()
            items = getattr(response, name)()
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

"""Servers that answer a streamed send with something else, or badly, and callers that leave at awkward moments."""

from __future__ import annotations

import asyncio
import gc
import gzip
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from letta_ext import (
    APIConnectionError,
    APIResponseValidationError,
    LettaError,
    RetryPolicy,
    StreamInterrupted,
    StreamLimits,
    StreamTimeoutError,
)
from letta_ext.errors import EventTooLargeError
from letta_ext.limits import DEFAULT_MAX_ERROR_BYTES

from .helpers import (
    BASE_URL,
    CONVERSATION,
    DISCONNECT,
    EVENTS,
    NO_DELAY,
    Body,
    ClientDriver,
    event_stream,
    loopback,
    make_response,
    respond_with,
    sse,
)

DONE = b"data: [DONE]\n\n"
STOP = {"message_type": "stop_reason", "stop_reason": "end_turn"}
ANSWERS = {
    "json": (b'{"detail": "no such thing"}', "application/json", {"detail": "no such thing"}),
    "page": (b"<h1>Welcome to the proxy</h1>", "text/html; charset=utf-8", "<h1>Welcome to the proxy</h1>"),
    "no utf-8": (b"\xff", "text/plain", "\ufffd"),
    "empty": (b"", "text/html", ""),
}


def message(text: str, number: int | None = None) -> dict[str, Any]:
    date = "2026-01-01T00:00:00Z"
    return {"id": "m", "date": date, "message_type": "assistant_message", "content": text, "seq_id": number}


def head(*lines: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} 200 OK", "content-type: text/event-stream", *lines, "", ""]).encode()


def chunked(*parts: bytes) -> bytes:
    return head("transfer-encoding: chunked") + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


def opened(driver: ClientDriver, address: str, **arguments: Any) -> Any:
    settings = {"retry": NO_DELAY, "timeout": httpx.Timeout(5, read=2), **arguments.pop("settings", {})}
    client = driver.client(base_url=address, **settings)
    return driver.run(client.conversations.messages.create(CONVERSATION, input="hi", **arguments))


# What is no stream of events.


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(("content", "kind", "shown"), ANSWERS.values(), ids=ANSWERS)
def test_another_content_type_is_told_with_what_came(
    driver: ClientDriver, content: bytes, kind: str, shown: Any, background: bool
) -> None:
    body = Body([content])
    handler = respond_with(lambda: httpx.Response(200, headers={"content-type": kind}, stream=body))
    create = driver.client(handler, retry=NO_DELAY).conversations.messages.create
    with pytest.raises(APIResponseValidationError, match="events were asked for, and ") as caught:
        driver.run(create(CONVERSATION, input="hi", background=background))
    assert caught.value.body == shown
    assert body.closed
    assert len(handler.requests) == 1


def test_no_more_is_read_of_it_than_is_shown(driver: ClientDriver) -> None:
    body = Body([b"x" * 10_000] * 1000, httpx.ReadError("nobody reads so far"))
    handler = respond_with(lambda: httpx.Response(200, headers={"content-type": "text/html"}, stream=body))
    with pytest.raises(APIResponseValidationError) as caught:
        driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi"))
    assert caught.value.body == "x" * DEFAULT_MAX_ERROR_BYTES
    assert body.closed


def test_a_page_in_place_of_a_resumed_stream_interrupts_it(driver: ClientDriver) -> None:
    handler = respond_with(lambda: event_stream(sse(message("a", 2))), make_response(200, html="<h1>Welcome</h1>"))
    stream = driver.run(
        driver.client(handler, retry=NO_DELAY).conversations.messages.create(CONVERSATION, input="hi", background=True)
    )
    events, fault = driver.drain(stream)
    assert len(events) == 1
    assert isinstance(fault, StreamInterrupted)
    assert "text/html" in str(fault)
    assert fault.last_seq_id == 2


@pytest.mark.parametrize("kind", ["text/event-stream", "Text/Event-Stream ; charset=utf-8", None])
def test_a_stream_is_one_however_its_type_is_spelt(driver: ClientDriver, kind: str | None) -> None:
    headers = {"content-type": kind} if kind else {}
    handler = respond_with(lambda: httpx.Response(200, headers=headers, stream=Body([sse(message("a")), DONE])))
    stream = driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi"))
    assert len(driver.items(stream)) == 1


# Other ways to send one.


def test_a_body_that_the_end_of_the_connection_ends(driver: ClientDriver) -> None:
    with loopback(head(version="1.0") + sse(message("a")) + DONE + DISCONNECT) as server:
        assert len(driver.items(opened(driver, server.base_url))) == 1


def test_such_a_body_without_its_end_is_cut(driver: ClientDriver) -> None:
    with loopback(head(version="1.0") + sse(message("a")) + DISCONNECT) as server:
        events, fault = driver.drain(opened(driver, server.base_url))
    assert len(events) == 1
    assert isinstance(fault, StreamInterrupted)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_stream(driver: ClientDriver, coding: str) -> None:
    text = sse(*(message(f"word{number} ") for number in range(50))) + DONE
    packed = gzip.compress(text) if coding == "gzip" else zlib.compress(text)
    whole = head(f"content-encoding: {coding}", f"content-length: {len(packed)}") + packed
    with loopback(whole, whole[: -len(packed) // 2] + DISCONNECT, whole.replace(packed, b"?" * len(packed))) as server:
        assert len(driver.items(opened(driver, server.base_url))) == 50
        for _ in range(2):  # half of it, and what is not compressed at all
            _, fault = driver.drain(opened(driver, server.base_url))
            assert isinstance(fault, StreamInterrupted)


@pytest.mark.parametrize("rest", [b"data: {", b"data: [DONE]", b"data: [DONE]\n", b"event: error\ndata: {}\n", b":"])
def test_half_an_event_at_the_end_is_none(driver: ClientDriver, rest: bytes) -> None:
    with loopback(chunked(sse(message("a")), rest) + b"0\r\n\r\n") as server:
        events, fault = driver.drain(opened(driver, server.base_url))
    assert len(events) == 1
    assert isinstance(fault, StreamInterrupted)


def test_headers_without_end_are_not_read_for_ever(driver: ClientDriver) -> None:
    line = b"x-more: " + b"x" * 1000 + b"\r\n"
    with loopback(b"HTTP/1.1 200 OK\r\n" + line * 1000 + DISCONNECT) as server:
        with pytest.raises(APIConnectionError):
            opened(driver, server.base_url)
        assert len(server.requests) == 1


def test_an_event_that_is_too_large(driver: ClientDriver) -> None:
    with loopback(chunked(sse(message("a")), b"data: " + b"x" * 50_000, b"x" * 60_000)) as server:
        stream = opened(driver, server.base_url, stream_limits=StreamLimits(max_event_bytes=100_000))
        events, fault = driver.drain(stream)
    assert len(events) == 1
    assert isinstance(fault, EventTooLargeError)
    assert stream.response.is_closed


def test_comments_without_end_are_silence(driver: ClientDriver) -> None:
    clock: Iterator[int] = iter(range(0, 1_000_000, 10))
    limits = StreamLimits(idle=60, clock=clock.__next__)
    with loopback(chunked(*[b": still here\n\n"] * 50) + DISCONNECT) as server:
        _, fault = driver.drain(opened(driver, server.base_url, stream_limits=limits))
    assert isinstance(fault, StreamTimeoutError)


# Time.


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_caller_who_takes_long_is_no_silence(driver: ClientDriver) -> None:
    clock = Clock()
    content = [sse(message(str(number))) for number in range(3)]
    handler = respond_with(lambda: event_stream([*content, DONE]))
    limits = StreamLimits(idle=60, clock=clock)
    stream = driver.run(
        driver.client(handler, stream_limits=limits).conversations.messages.create(CONVERSATION, input="x")
    )
    clock.now += 1000

    def slowly(_: Any) -> bool:
        clock.now += 1000
        return False

    events, fault = driver.drain(stream, slowly)
    assert (len(events), fault) == (3, None)


@pytest.mark.parametrize(
    "limits", [StreamLimits(idle=0.05), StreamLimits(idle=None, total=0.05)], ids=["idle", "total"]
)
def test_the_bounds_hold_where_reading_has_none(driver: ClientDriver, limits: StreamLimits) -> None:
    with loopback(chunked(sse(message("a")))) as server:
        stream = opened(driver, server.base_url, settings={"timeout": None}, stream_limits=limits)
        events, fault = driver.drain(stream)
    assert len(events) == 1
    assert isinstance(fault, StreamTimeoutError)


# Closing, and letting go.


def kept(driver: ClientDriver, *, background: bool = False) -> tuple[Any, Body, Any]:
    body = Body([sse(message(str(number), number + 2)) for number in range(10)])
    handler = respond_with(lambda: httpx.Response(200, stream=body))
    create = driver.client(handler, retry=NO_DELAY).conversations.messages.create
    return driver.run(create(CONVERSATION, input="hi", background=background)), body, handler


def test_a_stream_that_nobody_goes_over_is_closed_when_it_is_let_go(driver: ClientDriver) -> None:
    stream, body, _ = kept(driver)
    assert not body.closed
    del stream
    driver.run(turns())
    assert body.closed


async def turns() -> None:
    """The loop closes what was let go in one of its next turns."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_response_that_was_taken_is_left_to_whoever_took_it(driver: ClientDriver) -> None:
    stream, body, _ = kept(driver)
    response = stream.response
    del stream
    driver.run(turns())
    assert not body.closed
    assert not response.is_closed


def test_a_response_that_was_taken_is_closed_where_its_events_are_gone_over(driver: ClientDriver) -> None:
    stream, body, _ = kept(driver)
    assert stream.response is not None
    driver.drain(stream, lambda _: stream.response is not None)
    assert body.closed


@pytest.mark.parametrize("background", [False, True])
def test_a_closed_stream_is_not_gone_over(driver: ClientDriver, background: bool) -> None:
    stream, body, handler = kept(driver, background=background)
    driver.run(stream.close())
    assert body.closed
    events, fault = driver.drain(stream)
    assert events == []
    assert isinstance(fault, LettaError)
    assert "was closed before its end" in str(fault)
    assert len(handler.requests) == 1


@pytest.mark.parametrize("background", [False, True])
def test_whoever_closes_a_stream_wakes_who_reads_it(driver: ClientDriver, background: bool) -> None:
    """Nor is it resumed: it was no accident."""
    with loopback(chunked(sse(message("a", 2)))) as server:
        retry, timeout = RetryPolicy(initial_delay=0), httpx.Timeout(5, read=30)
        stream = opened(driver, server.base_url, background=background, settings={"retry": retry, "timeout": timeout})
        since = time.monotonic()
        if driver.is_async:
            events, fault = driver.run(closed_by_another_task(stream))
        else:
            reading = threading.Event()
            threading.Thread(target=lambda: (reading.wait(), stream.close())).start()

            def go_on(_: Any) -> bool:
                reading.set()
                return False

            events, fault = driver.drain(stream, go_on)
        assert time.monotonic() - since < 1
        assert len(server.requests) == 1
    assert len(events) == 1
    assert isinstance(fault, StreamInterrupted)
    assert "was closed before its end" in str(fault)


async def closed_by_another_task(stream: Any) -> tuple[list[Any], Exception | None]:
    events: list[Any] = []
    reading = asyncio.Event()

    async def close() -> None:
        await reading.wait()
        await stream.close()

    task = asyncio.create_task(close())
    try:
        async for event in stream:
            events.append(event)
            reading.set()
    except LettaError as fault:
        await task
        return events, fault
    await task
    return events, None


def test_an_interrupt_in_the_loop_closes_the_response(driver: ClientDriver) -> None:
    stream, body, _ = kept(driver)

    async def interrupted_async() -> None:
        async for _ in stream:
            raise KeyboardInterrupt

    def interrupted() -> Any:
        for _ in stream:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        driver.run(interrupted_async() if driver.is_async else interrupted())
    gc.collect()
    driver.run(turns())
    assert body.closed


class CountedBody(Body):
    """A body that counts how often its connection is asked for it."""

    times = 0

    def __iter__(self) -> Iterator[bytes]:
        self.times += 1
        return super().__iter__()


def test_a_stream_that_a_hook_has_read_is_not_read_again(driver: ClientDriver) -> None:
    """Its connection may answer the request of another thread by then."""

    def read(response: httpx.Response) -> None:
        response.read()

    async def read_async(response: httpx.Response) -> None:
        await response.aread()

    body = CountedBody([sse(message("a"), STOP, "[DONE]")])
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=EVENTS, stream=body))
    hooks: Any = {"response": [read_async if driver.is_async else read]}
    kind: Any = httpx.AsyncClient if driver.is_async else httpx.Client
    http = kind(transport=transport, event_hooks=hooks)
    driver._to_close.append(http)
    assert len(driver.items(opened(driver, BASE_URL, settings={"http_client": http}))) == 2
    assert body.times == 1


FAULTS: list[Exception] = [
    httpx.StreamClosed(),
    httpx.ReadError("Closed by the server."),
    OSError(9, "Bad file descriptor"),
    ExceptionGroup("unhandled errors in a TaskGroup (1 sub-exception)", [OSError("The line is dead...")]),
    KeyError("odd"),
    RuntimeError(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
@pytest.mark.parametrize("background", [False, True])
def test_a_cut_is_told_in_sentences_that_name_its_cause(
    driver: ClientDriver, fault: Exception, background: bool
) -> None:
    cut = event_stream([sse(message("a", 1))], fault)
    client = driver.client(respond_with(lambda: cut, make_response(404, json={"detail": " "})), retry=NO_DELAY)
    sent = client.conversations.messages.create(CONVERSATION, input="hi", background=background)
    _, caught = driver.drain(driver.run(sent))
    assert isinstance(caught, StreamInterrupted)
    assert ".." not in str(caught)
    assert "  " not in str(caught)
    assert ("the server gave no reason." if background else ": ") in str(caught)
    assert background or not isinstance(fault, KeyError) or "KeyError: 'odd'. " in str(caught)

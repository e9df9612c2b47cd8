"""Streamed sends with malformed responses, and streams that are closed at unusual moments."""

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
NOT_EVENT_STREAMS = {
    "json": (b'{"detail": "not found"}', "application/json", {"detail": "not found"}),
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


def open_stream(driver: ClientDriver, address: str, **arguments: Any) -> Any:
    settings = {"retry": NO_DELAY, "timeout": httpx.Timeout(5, read=2), **arguments.pop("settings", {})}
    client = driver.client(base_url=address, **settings)
    return driver.run(client.conversations.messages.create(CONVERSATION, input="hi", **arguments))


# Responses that are not event streams


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(("content", "kind", "expected"), NOT_EVENT_STREAMS.values(), ids=NOT_EVENT_STREAMS)
def test_send_with_other_content_type_raises_validation_error_with_body(
    driver: ClientDriver, content: bytes, kind: str, expected: Any, background: bool
) -> None:
    """A response that is not an event stream raises with its body and is not retried."""
    body = Body([content])
    handler = respond_with(lambda: httpx.Response(200, headers={"content-type": kind}, stream=body))
    create = driver.client(handler, retry=NO_DELAY).conversations.messages.create
    with pytest.raises(APIResponseValidationError, match="expected text/event-stream, got ") as caught:
        driver.run(create(CONVERSATION, input="hi", background=background))
    assert caught.value.body == expected
    assert body.closed
    assert len(handler.requests) == 1


def test_unexpected_body_is_read_up_to_error_limit_only(driver: ClientDriver) -> None:
    """At most `max_error_bytes` of an unexpected body are read."""
    body = Body([b"x" * 10_000] * 1000, httpx.ReadError("read past the limit"))
    handler = respond_with(lambda: httpx.Response(200, headers={"content-type": "text/html"}, stream=body))
    with pytest.raises(APIResponseValidationError) as caught:
        driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi"))
    assert caught.value.body == "x" * DEFAULT_MAX_ERROR_BYTES
    assert body.closed


def test_resume_with_html_response_raises_stream_interrupted(driver: ClientDriver) -> None:
    """An HTML response to a resume request raises `StreamInterrupted`."""
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
def test_event_stream_content_type_is_case_insensitive_and_optional(driver: ClientDriver, kind: str | None) -> None:
    """The content type may have any case and parameters, or be missing."""
    headers = {"content-type": kind} if kind else {}
    handler = respond_with(lambda: httpx.Response(200, headers=headers, stream=Body([sse(message("a")), DONE])))
    stream = driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi"))
    assert len(driver.items(stream)) == 1


# Transfer encodings


def test_http10_stream_with_terminal_event_is_complete(driver: ClientDriver) -> None:
    """A body delimited by the end of the connection is complete after `[DONE]`."""
    with loopback(head(version="1.0") + sse(message("a")) + DONE + DISCONNECT) as server:
        assert len(driver.items(open_stream(driver, server.base_url))) == 1


def test_http10_stream_without_terminal_event_raises_stream_interrupted(driver: ClientDriver) -> None:
    """A body delimited by the end of the connection is incomplete without `[DONE]`."""
    with loopback(head(version="1.0") + sse(message("a")) + DISCONNECT) as server:
        events, fault = driver.drain(open_stream(driver, server.base_url))
    assert len(events) == 1
    assert isinstance(fault, StreamInterrupted)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_stream_is_decoded_and_its_faults_interrupt_it(driver: ClientDriver, coding: str) -> None:
    """A compressed stream is decoded; truncated or invalid data raises `StreamInterrupted`."""
    text = sse(*(message(f"word{number} ") for number in range(50))) + DONE
    packed = gzip.compress(text) if coding == "gzip" else zlib.compress(text)
    whole = head(f"content-encoding: {coding}", f"content-length: {len(packed)}") + packed
    with loopback(whole, whole[: -len(packed) // 2] + DISCONNECT, whole.replace(packed, b"?" * len(packed))) as server:
        assert len(driver.items(open_stream(driver, server.base_url))) == 50
        for _ in range(2):  # a truncated body, and one that is not compressed
            _, fault = driver.drain(open_stream(driver, server.base_url))
            assert isinstance(fault, StreamInterrupted)


@pytest.mark.parametrize("rest", [b"data: {", b"data: [DONE]", b"data: [DONE]\n", b"event: error\ndata: {}\n", b":"])
def test_incomplete_last_event_is_dropped_and_interrupts_stream(driver: ClientDriver, rest: bytes) -> None:
    """An incomplete event at the end is not yielded, and the stream raises."""
    with loopback(chunked(sse(message("a")), rest) + b"0\r\n\r\n") as server:
        events, fault = driver.drain(open_stream(driver, server.base_url))
    assert len(events) == 1
    assert isinstance(fault, StreamInterrupted)


def test_endless_response_headers_raise_api_connection_error(driver: ClientDriver) -> None:
    """Endless headers raise `APIConnectionError`, and the send is not retried."""
    line = b"x-more: " + b"x" * 1000 + b"\r\n"
    with loopback(b"HTTP/1.1 200 OK\r\n" + line * 1000 + DISCONNECT) as server:
        with pytest.raises(APIConnectionError):
            open_stream(driver, server.base_url)
        assert len(server.requests) == 1


def test_event_over_max_event_bytes_raises_and_closes_stream(driver: ClientDriver) -> None:
    """An event over `max_event_bytes` raises `EventTooLargeError` and closes the response."""
    with loopback(chunked(sse(message("a")), b"data: " + b"x" * 50_000, b"x" * 60_000)) as server:
        stream = open_stream(driver, server.base_url, stream_limits=StreamLimits(max_event_bytes=100_000))
        events, fault = driver.drain(stream)
    assert len(events) == 1
    assert isinstance(fault, EventTooLargeError)
    assert stream.response.is_closed


def test_endless_comments_raise_stream_timeout_at_idle_limit(driver: ClientDriver) -> None:
    """Comments do not reset the idle limit."""
    clock: Iterator[int] = iter(range(0, 1_000_000, 10))
    limits = StreamLimits(idle=60, clock=clock.__next__)
    with loopback(chunked(*[b": still here\n\n"] * 50) + DISCONNECT) as server:
        _, fault = driver.drain(open_stream(driver, server.base_url, stream_limits=limits))
    assert isinstance(fault, StreamTimeoutError)


# Timeouts


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_slow_consumer_does_not_count_towards_idle_limit(driver: ClientDriver) -> None:
    """Time that the caller spends between events does not count."""
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
def test_stream_limits_apply_without_read_timeout(driver: ClientDriver, limits: StreamLimits) -> None:
    """`StreamLimits` applies when `timeout` is None."""
    with loopback(chunked(sse(message("a")))) as server:
        stream = open_stream(driver, server.base_url, settings={"timeout": None}, stream_limits=limits)
        events, fault = driver.drain(stream)
    assert len(events) == 1
    assert isinstance(fault, StreamTimeoutError)


# Closing


def open_body(driver: ClientDriver, *, background: bool = False) -> tuple[Any, Body, Any]:
    body = Body([sse(message(str(number), number + 2)) for number in range(10)])
    handler = respond_with(lambda: httpx.Response(200, stream=body))
    create = driver.client(handler, retry=NO_DELAY).conversations.messages.create
    return driver.run(create(CONVERSATION, input="hi", background=background)), body, handler


def test_uniterated_stream_is_closed_when_garbage_collected(driver: ClientDriver) -> None:
    """A stream that was never iterated is closed when it is garbage-collected."""
    stream, body, _ = open_body(driver)
    assert not body.closed
    del stream
    driver.run(run_loop())
    assert body.closed


async def run_loop() -> None:
    """Run the event loop until it has closed released streams."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_response_taken_from_stream_stays_open_after_stream_is_released(driver: ClientDriver) -> None:
    """A referenced response stays open after its stream is released."""
    stream, body, _ = open_body(driver)
    response = stream.response
    del stream
    driver.run(run_loop())
    assert not body.closed
    assert not response.is_closed


def test_response_taken_from_stream_is_closed_by_iteration(driver: ClientDriver) -> None:
    """Iterating the stream closes its response, referenced or not."""
    stream, body, _ = open_body(driver)
    assert stream.response is not None
    driver.drain(stream, lambda _: stream.response is not None)
    assert body.closed


@pytest.mark.parametrize("background", [False, True])
def test_iterating_closed_stream_raises_and_does_not_resume(driver: ClientDriver, background: bool) -> None:
    """A closed stream raises and is not resumed."""
    stream, body, handler = open_body(driver, background=background)
    driver.run(stream.close())
    assert body.closed
    events, fault = driver.drain(stream)
    assert events == []
    assert isinstance(fault, LettaError)
    assert "was closed before its end" in str(fault)
    assert len(handler.requests) == 1


@pytest.mark.parametrize("background", [False, True])
def test_closing_stream_wakes_concurrent_reader_without_resume(driver: ClientDriver, background: bool) -> None:
    """Closing a stream in another thread or task raises in the reader at once, without a resume."""
    with loopback(chunked(sse(message("a", 2)))) as server:
        retry, timeout = RetryPolicy(initial_delay=0), httpx.Timeout(5, read=30)
        stream = open_stream(
            driver, server.base_url, background=background, settings={"retry": retry, "timeout": timeout}
        )
        since = time.monotonic()
        if driver.is_async:
            events, fault = driver.run(closed_by_another_task(stream))
        else:
            reading = threading.Event()
            threading.Thread(target=lambda: (reading.wait(), stream.close())).start()

            def record_event(_: Any) -> bool:
                reading.set()
                return False

            events, fault = driver.drain(stream, record_event)
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


def test_keyboard_interrupt_in_loop_closes_response(driver: ClientDriver) -> None:
    """`KeyboardInterrupt` in the loop closes the response."""
    stream, body, _ = open_body(driver)

    async def interrupted_async() -> None:
        async for _ in stream:
            raise KeyboardInterrupt

    def interrupted() -> Any:
        for _ in stream:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        driver.run(interrupted_async() if driver.is_async else interrupted())
    gc.collect()
    driver.run(run_loop())
    assert body.closed


class CountedBody(Body):
    """A body that counts how often it is read."""

    times = 0

    def __iter__(self) -> Iterator[bytes]:
        self.times += 1
        return super().__iter__()


def test_stream_read_by_hook_is_not_read_again(driver: ClientDriver) -> None:
    """A body that a hook has read is not read again: its connection may serve another request by then."""

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
    assert len(driver.items(open_stream(driver, BASE_URL, settings={"http_client": http}))) == 2
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
def test_stream_interrupted_message_names_cause_in_sentences(
    driver: ClientDriver, fault: Exception, background: bool
) -> None:
    """The message of `StreamInterrupted` names the cause in complete sentences."""
    cut = event_stream([sse(message("a", 1))], fault)
    client = driver.client(respond_with(lambda: cut, make_response(404, json={"detail": " "})), retry=NO_DELAY)
    sent = client.conversations.messages.create(CONVERSATION, input="hi", background=background)
    _, caught = driver.drain(driver.run(sent))
    assert isinstance(caught, StreamInterrupted)
    assert ".." not in str(caught)
    assert "  " not in str(caught)
    assert ("the server gave no reason." if background else ": ") in str(caught)
    assert background or not isinstance(fault, KeyError) or "KeyError: 'odd'. " in str(caught)

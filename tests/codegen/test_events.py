"""Typed events from a vendored copy: framing, errors and the end of a stream."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_api.api.conversations_messages import conversations_messages_create, conversations_messages_stream
from letta_api.client import LONG_TIMEOUT
from letta_api.errors import DecodeError, IncompleteStreamError, UnexpectedStatus
from letta_api.models import AssistantMessage, LettaErrorMessage
from letta_api.sse import EventTooLargeError
from letta_api.unions import StreamEvent, UnknownStreamEvent

# Reading


class Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A response body with given chunks."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


RAISED = (DecodeError, IncompleteStreamError, UnexpectedStatus, EventTooLargeError)
Outcome = tuple[list[StreamEvent], Exception | None]


def read(chunks: list[bytes], kind: str = "text/event-stream; charset=utf-8", status: int = 200) -> Outcome:
    """Return the events of a response and its final exception, equal in sync and async; both close the response."""
    outcomes: list[Outcome] = []

    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"Content-Type": kind} if kind else {}, stream=bodies[-1])

    def sync() -> Outcome:
        found: list[StreamEvent] = []
        with httpx.Client(transport=httpx.MockTransport(respond), base_url="http://x") as client:
            try:
                for event in conversations_messages_create.events(client, "conv-1", input="hello"):
                    found.append(event)  # noqa: PERF402 - it may fail in between
            except RAISED as fault:
                return found, fault
        return found, None

    async def in_async() -> Outcome:
        found: list[StreamEvent] = []
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond), base_url="http://x") as client:
            try:
                async for event in conversations_messages_create.async_events(client, "conv-1", input="hello"):
                    found.append(event)  # noqa: PERF401 - it may fail in between
            except RAISED as fault:
                return found, fault
        return found, None

    bodies = [Chunks(chunks)]
    outcomes.append(sync())
    bodies.append(Chunks(chunks))
    outcomes.append(asyncio.run(in_async()))
    assert all(body.closed for body in bodies)
    (events, fault), (same, other) = outcomes
    assert events == same
    assert (type(fault), str(fault)) == (type(other), str(other))
    return events, fault


def message(text: str, number: int = 0) -> dict[str, Any]:
    return {
        "message_type": "assistant_message",
        "id": f"m-{number}",
        "date": "2024-06-11T00:00:00+00:00",
        "content": text,
    }


def framed(*events: object, end: bytes = b"data: [DONE]\n\n") -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + end


ENDINGS = st.sampled_from([b"\n", b"\r", b"\r\n"])
TEXTS = st.text(
    st.sampled_from('a€\u2028\u2029\u0085\x0b\x0c\x1c:{}[]"\\ \r\n\ufeff😀') | st.characters(codec="utf-8"), max_size=20
)
NOISE = st.sampled_from([b": keepalive", b":", b"id: 7", b"retry: 10", b"event: x", b"unknown: 1", b"unknown", b"id"])


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Draw events and the chunks of their stream in any framing that the standard allows."""
    events = [message(text, number) for number, text in enumerate(draw(st.lists(TEXTS, max_size=4)))]
    line_end = draw(ENDINGS)
    lines: list[bytes] = []
    for event in events:
        lines += draw(st.lists(NOISE, max_size=2))
        indent = draw(st.sampled_from([None, 1]))  # JSON may have several lines, each of which is a line of data
        colon = draw(st.sampled_from([b"data: ", b"data:"]))
        text = json.dumps(event, ensure_ascii=draw(st.booleans()), indent=indent)
        lines += [colon + line.encode() for line in text.split("\n")]
        lines += draw(st.lists(NOISE, max_size=1))
        lines.append(b"")
    lines += [b": end", b"data: [DONE]", b"", b"data: not read", b""]
    body = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + b"".join(line + line_end for line in lines)
    cuts = draw(st.lists(st.integers(0, len(body)), max_size=6) | st.just(list(range(len(body)))))
    return events, [body[a:b] for a, b in pairwise([0, *sorted(cuts), len(body)])]


@given(streams())
def test_stream_any_framing_yields_sent_events(given: tuple[list[dict[str, Any]], list[bytes]]) -> None:
    """Line endings, comments, other fields and chunk boundaries do not change the events."""
    events, chunks = given
    found, fault = read(chunks)
    assert fault is None
    assert [event.to_dict() for event in found if isinstance(event, AssistantMessage)] == events
    assert len(found) == len(events)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085"])
def test_stream_unicode_separator_stays_text(separator: str) -> None:
    """A Unicode line separator is text; `str.splitlines` would split the event there."""
    body = f"data: {json.dumps(message(f'a{separator}b'), ensure_ascii=False)}\n\ndata: [DONE]\n\n"
    assert len(httpx.Response(200, content=body.encode()).text.splitlines()) > 4
    ((event,), fault) = read([body.encode()])
    assert fault is None
    assert isinstance(event, AssistantMessage)
    assert event.content == f"a{separator}b"


# Endings


def test_stream_without_terminator_raises_incomplete() -> None:
    """A stream without terminator raises an error that has the last event."""
    for end in (b"", b"data: [DON", b"data: [DONE]", b": [DONE]\n\n", b'data: "[DONE]"\n\n'):
        events, fault = read([framed(message("a"), end=end)])
        assert isinstance(fault, IncompleteStreamError), end
        assert fault.last is not None
        assert len(events) in (1, 2)
    events, fault = read([])
    assert isinstance(fault, IncompleteStreamError)
    assert fault.last is None


@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n"])
def test_stream_error_event_is_terminal(end: bytes) -> None:
    """An error event is yielded, and the terminator may be missing after it."""
    error = {"message_type": "error_message", "run_id": "r", "error_type": "internal_error", "message": "no"}
    body = framed(message("a"), end=b"") + b"event: error\ndata: " + json.dumps(error).encode() + b"\n\n" + end
    events, fault = read([body])
    assert fault is None
    assert isinstance(events[-1], LettaErrorMessage)
    assert events[-1].message == "no"


def test_stream_unknown_event_is_yielded() -> None:
    """An unknown or malformed event is yielded and the stream continues."""
    events, fault = read([framed({"message_type": "newer"}, {"a": 1}, 7, message("a"))])
    assert fault is None
    assert [type(event) for event in events] == [
        UnknownStreamEvent,
        UnknownStreamEvent,
        UnknownStreamEvent,
        AssistantMessage,
    ]


@pytest.mark.parametrize(
    "body", [b"data: {\n\n", b"data: nonsense\n\n", b"event: error\ndata: Internal Server Error\n\n"]
)
def test_stream_invalid_json_raises_decode_error(body: bytes) -> None:
    """Invalid JSON raises DecodeError after the complete events before it."""
    events, fault = read([framed(message("a"), end=body)])
    assert len(events) == 1
    assert isinstance(fault, DecodeError)


def test_stream_empty_data_dispatches_no_event() -> None:
    """An empty data line dispatches no event."""
    events, fault = read([b"data:\n\ndata:  \n\n" + framed(message("a"))])
    assert (len(events), fault) == (1, None)


@pytest.mark.parametrize("kind", ["application/json", "text/html; charset=utf-8"])
def test_stream_other_content_type_raises_decode_error(kind: str) -> None:
    """An HTML page of a proxy raises an error instead of an empty stream."""
    events, fault = read([b"<html>"], kind=kind)
    assert events == []
    assert str(fault) == f"the response is {kind}, not text/event-stream"


@pytest.mark.parametrize("kind", ["", "text/event-stream", "Text/Event-Stream ;charset=UTF-8"])
def test_stream_content_type_ignores_case_and_parameters(kind: str) -> None:
    """Case and parameters of the content type are ignored; a missing one is accepted."""
    assert read([framed(message("a"))], kind=kind)[1] is None


def test_stream_error_response_raises_unexpected_status() -> None:
    """The status code is checked before the body is read as a stream."""
    events, fault = read([b'{"detail": "busy"}'], kind="application/json", status=409)
    assert events == []
    assert isinstance(fault, UnexpectedStatus)
    assert (fault.status_code, fault.body) == (409, {"detail": "busy"})


def test_stream_oversized_event_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """An oversized event raises an error after the events before it."""
    monkeypatch.setattr("letta_api.sse.SSEDecoder.__init__.__defaults__", (100, EventTooLargeError))
    events, fault = read([framed({"a": 1}, end=b"data: " + b"x" * 200)])
    assert len(events) == 1
    assert isinstance(fault, EventTooLargeError)


# Connections


@contextmanager
def serving(work: Callable[[socket.socket], object]) -> Iterator[str]:
    """Serve one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                connection.sendall(head + chunked(framed(message("a"), end=b"")))
                work(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)
        assert not thread.is_alive()


def chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def test_stream_break_closes_connection() -> None:
    """The connection closes when the loop ends early, while the client stays open."""
    ended = threading.Event()

    def wait(connection: socket.socket) -> None:
        with suppress(ConnectionResetError):
            while connection.recv(65536):
                pass
        ended.set()

    with serving(wait) as server, httpx.Client(base_url=server) as client:
        for _ in conversations_messages_create.events(client, "conv-1", input="hello"):
            break
        assert ended.wait(10)
    with serving(wait) as server, httpx.Client(base_url=server) as client:
        with closing(conversations_messages_create.events(client, "conv-1", input="hello")) as events:
            next(events)
        ended.clear()

    async def leave(server: str) -> None:
        async with httpx.AsyncClient(base_url=server) as client:
            async with aclosing(conversations_messages_create.async_events(client, "conv-1", input="hello")) as events:
                async for _ in events:
                    break
            assert await asyncio.to_thread(ended.wait, 10)

    ended.clear()
    with serving(wait) as server:
        asyncio.run(leave(server))


def test_stream_idle_server_raises_read_timeout() -> None:
    """An idle server raises the client's read timeout; `LONG_TIMEOUT` allows 600 seconds."""
    assert LONG_TIMEOUT.read == 600

    def wait(connection: socket.socket) -> None:
        with suppress(ConnectionResetError):
            while connection.recv(65536):
                pass

    with serving(wait) as server, httpx.Client(base_url=server, timeout=0.2) as client:
        events = conversations_messages_create.events(client, "conv-1", input="hello")
        assert isinstance(next(events), AssistantMessage)
        with pytest.raises(httpx.ReadTimeout):
            next(events)


def test_stream_sends_on_first_iteration() -> None:
    """Invalid arguments raise at the call; the request is sent on the first iteration."""
    with httpx.Client(base_url="http://127.0.0.1:1") as client:
        with pytest.raises(ValueError, match="conversation_id"):
            conversations_messages_stream.events(client, "..")
        events = conversations_messages_stream.events(client, "conv-1")
        with pytest.raises(httpx.ConnectError):
            next(events)

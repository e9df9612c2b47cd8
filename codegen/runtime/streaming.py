"""Event streams: from the bytes of an answer to typed events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Final, Generic, TypeVar

import httpx

from .client import open_stream, open_stream_async
from .errors import DecodeError, IncompleteStreamError
from .sse import ServerSentEvent, SSEDecoder
from .types import Request

Event = TypeVar("Event")

EVENTS: Final = "text/event-stream"


class _Reader(Generic[Event]):
    """Makes typed events of the chunks of one answer. Nothing here does I/O."""

    def __init__(self, response: httpx.Response, read: Callable[[str | bytes], Event], end: str) -> None:
        kind = response.headers.get("Content-Type", EVENTS)
        if kind.partition(";")[0].strip().lower() != EVENTS:
            raise DecodeError("", f"the answer is {kind}, not {EVENTS}")
        self._decoder = SSEDecoder()
        self._read = read
        self._end = end
        self._failed = False
        self._last: Any = None
        self.ended = False

    def feed(self, chunk: bytes) -> Generator[Event, None, None]:
        """Yield the events that a chunk completes, up to the terminator."""
        for frame in reversed(self._decoder.split(chunk)):
            if isinstance(frame, Exception):
                raise frame
            text = self._text(frame)
            if text == self._end:
                self.ended = True
                return
            if text.strip():
                self._last = event = self._read(text)
                yield event

    def _text(self, frame: bytes | ServerSentEvent) -> str:
        if isinstance(frame, bytes):
            return frame.decode("utf-8", "replace")
        self._failed = self._failed or frame.event == "error"
        return frame.data

    def finish(self) -> None:
        """Check that the stream was complete. An event of the type `error` ends it as well as the terminator."""
        if not (self.ended or self._failed):
            raise IncompleteStreamError(f"the event stream ended without {self._end!r}", self._last)


def iterate_events(
    client: httpx.Client, request: Request, read: Callable[[str | bytes], Event], end: str
) -> Generator[Event, None, None]:
    """Send a request when the first event is asked for, and yield each event of the answer.

    Args:
        client: The caller's client.
        request: The request.
        read: Makes an event of its JSON text.
        end: The data that ends the stream.

    Raises:
        UnexpectedStatus: If the server refuses the request.
        IncompleteStreamError: If the stream ends without its terminator.
        EventTooLargeError: If an event is larger than 64 MiB.
        DecodeError: If the answer is no event stream, or an event is no JSON.
        httpx.HTTPError: If no answer comes, or the connection breaks.
    """
    with open_stream(client, request) as response:
        reader = _Reader(response, read, end)
        for chunk in response.iter_bytes():
            yield from reader.feed(chunk)
            if reader.ended:
                return
        reader.finish()


async def iterate_events_async(
    client: httpx.AsyncClient, request: Request, read: Callable[[str | bytes], Event], end: str
) -> AsyncGenerator[Event, None]:
    """Async version of `iterate_events`."""
    async with open_stream_async(client, request) as response:
        reader = _Reader(response, read, end)
        async for chunk in response.aiter_bytes():
            for event in reader.feed(chunk):
                yield event
            if reader.ended:
                return
        reader.finish()

"""Iterators over the typed events of a stream."""

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

COMMON_TERMINATOR: Final = "[DONE]"
"""The data of the event that ends most streams whose documentation names none."""


class _EventDecoder(Generic[Event]):
    """A decoder of one event stream."""

    def __init__(self, response: httpx.Response, decode: Callable[[str | bytes], Event], terminator: str) -> None:
        media_type = response.headers.get("Content-Type", EVENTS)
        if media_type.partition(";")[0].strip().lower() != EVENTS:
            raise DecodeError("", f"the response is {media_type}, not {EVENTS}")
        self._decoder = SSEDecoder()
        self._decode = decode
        self._terminator = terminator or COMMON_TERMINATOR
        self._ends_with_response = not terminator
        self._failed = False
        self._last: Any = None
        self.ended = False

    def feed(self, chunk: bytes) -> Generator[Event, None, None]:
        """Yield the events that a chunk completes, up to the terminator."""
        for frame in reversed(self._decoder.split(chunk)):
            if isinstance(frame, Exception):
                raise frame
            text = self._text(frame)
            if text == self._terminator:
                self.ended = True
                return
            if text.strip():
                self._last = event = self._decode(text)
                yield event

    def _text(self, frame: bytes | ServerSentEvent) -> str:
        if isinstance(frame, bytes):
            return frame.decode("utf-8", "replace")
        self._failed = self._failed or frame.event == "error"
        return frame.data

    def finish(self) -> None:
        """Check that the stream ended with its terminator, if it has one, or an event of type `error`.

        Raises:
            IncompleteStreamError: If the stream ended without either.
        """
        if not (self.ended or self._failed or self._ends_with_response):
            raise IncompleteStreamError(f"the event stream ended without {self._terminator!r}", self._last)


def iterate_events(
    client: httpx.Client, request: Request, decode: Callable[[str | bytes], Event], terminator: str
) -> Generator[Event, None, None]:
    """Send a request and yield the events of the response. The request is sent on the first iteration.

    Args:
        client: The caller's client.
        request: The request.
        decode: Decodes the JSON text of an event.
        terminator: The data of the event that ends the stream, or "" if the end of the response does.

    Raises:
        UnexpectedStatus: If the server returns an error response.
        IncompleteStreamError: If the stream ends without its terminator.
        EventTooLargeError: If an event is larger than 64 MiB.
        DecodeError: If the response is not an event stream, or an event is not JSON.
        httpx.HTTPError: If no response is received, or the connection is lost.
    """
    with open_stream(client, request) as response:
        events = _EventDecoder(response, decode, terminator)
        for chunk in response.iter_bytes():
            yield from events.feed(chunk)
            if events.ended:
                return
        events.finish()


async def iterate_events_async(
    client: httpx.AsyncClient, request: Request, decode: Callable[[str | bytes], Event], terminator: str
) -> AsyncGenerator[Event, None]:
    """Async version of `iterate_events`."""
    async with open_stream_async(client, request) as response:
        events = _EventDecoder(response, decode, terminator)
        async for chunk in response.aiter_bytes():
            for event in events.feed(chunk):
                yield event
            if events.ended:
                return
        events.finish()

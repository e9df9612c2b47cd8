"""Reading bodies within the bounds of `ResponseLimits`, sync and async; what decides is in `BoundedBody`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from math import inf
from typing import Any, Final, cast

import httpx

from ..bounds import MAX_WAIT
from ..calls.encodings import BodyTooLargeError, content_decoder
from ..calls.transport_errors import faults_ignored
from ..limits import ResponseLimits
from ..streams.chunks import async_chunks


class BodyTooSlowError(Exception):
    """A body did not end in time."""


BOUNDS: Final = (BodyTooLargeError, BodyTooSlowError)
"""What reading a body raises beside what httpx raises: it has left its bounds."""


class BoundedBody:
    """Collects one body as it comes.

    Args:
        response: The response.
        limits: The clock.
        max_bytes: The most decoded bytes that it may have.
        seconds: How long it may take from now on.
    """

    def __init__(self, response: httpx.Response, limits: ResponseLimits, max_bytes: int, seconds: float | None) -> None:
        self._decoder = content_decoder(response, max_bytes)
        self._left = max_bytes
        self._clock = limits.clock
        self._deadline = inf if seconds is None else limits.clock() + seconds
        self._pieces: list[bytes] = []

    def add(self, chunk: bytes) -> None:
        """Add a chunk as it came.

        Raises:
            BodyTooLargeError: If the body has too many bytes.
            BodyTooSlowError: If the body takes too long.
        """
        if self._decoder is None:
            self._append(chunk)
        else:
            for piece in self._decoder.decode(chunk):
                self._append(piece)
        if self._clock() > self._deadline:
            raise BodyTooSlowError

    def late(self) -> bool:
        """Return whether the time is over."""
        return self._clock() >= self._deadline

    def end(self) -> bytes:
        """Return the whole body.

        Raises:
            BodyTooLargeError: If the body has too many bytes.
        """
        if self._decoder is not None:
            for piece in self._decoder.flush():
                self._append(piece)
        return self.so_far()

    def so_far(self) -> bytes:
        """Return what came until now, at most `max_bytes`."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _append(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            self._pieces.append(piece[: self._left])
            raise BodyTooLargeError
        self._pieces.append(piece)


def read_whole(response: httpx.Response, limits: ResponseLimits) -> None:
    """Read the body of a successful response; `response.content` is it then.

    Raises:
        BodyTooLargeError: If the body has more than `max_bytes`.
        BodyTooSlowError: If the body takes longer than `total`.
        httpx.HTTPError: If reading failed.
        httpx.StreamError: If the body was read in pieces, or closed, by another.
    """
    if response.is_stream_consumed or response.is_closed:
        _check_size(response.read(), limits)
        return
    body = BoundedBody(response, limits, limits.max_bytes, limits.total)
    timeouts = _shorten_read_timeout(response, limits.total)
    try:
        for chunk in chunks_of(response):
            body.add(chunk)
        content = body.end()
    except httpx.ReadTimeout:
        if body.late():
            raise BodyTooSlowError from None
        raise
    finally:
        _restore_timeouts(response, timeouts)
        response.close()
    keep(response, content)


def read_error(response: httpx.Response, limits: ResponseLimits) -> None:
    """Read the body of an error response, or of a redirect, as far as it comes within its bounds; never fail."""
    if response.is_stream_consumed or response.is_closed:
        keep(response, _content(response))
        return
    seconds = limits.error_seconds(response.request.extensions)
    body = BoundedBody(response, limits, limits.max_error_bytes, seconds)
    timeouts = _shorten_read_timeout(response, seconds)
    try:
        with suppress(*BOUNDS), faults_ignored(response.request):
            for chunk in chunks_of(response):
                body.add(chunk)
            body.end()
    finally:
        _restore_timeouts(response, timeouts)
        with faults_ignored(response.request):
            response.close()
    keep(response, body.so_far())


async def read_whole_async(response: httpx.Response, limits: ResponseLimits) -> None:
    """Async version of `read_whole`."""
    if response.is_stream_consumed or response.is_closed:
        _check_size(await response.aread(), limits)
        return
    body = BoundedBody(response, limits, limits.max_bytes, limits.total)
    timeouts = _shorten_read_timeout(response, limits.total)
    try:
        async for chunk in chunks_of_async(response):
            body.add(chunk)
        content = body.end()
    except httpx.ReadTimeout:
        if body.late():
            raise BodyTooSlowError from None
        raise
    finally:
        _restore_timeouts(response, timeouts)
        await response.aclose()
    keep(response, content)


async def read_error_async(response: httpx.Response, limits: ResponseLimits) -> None:
    """Async version of `read_error`."""
    if response.is_stream_consumed or response.is_closed:
        keep(response, _content(response))
        return
    seconds = limits.error_seconds(response.request.extensions)
    body = BoundedBody(response, limits, limits.max_error_bytes, seconds)
    timeouts = _shorten_read_timeout(response, seconds)
    try:
        with suppress(*BOUNDS), faults_ignored(response.request):
            async for chunk in chunks_of_async(response):
                body.add(chunk)
            body.end()
    finally:
        _restore_timeouts(response, timeouts)
        with faults_ignored(response.request):
            await response.aclose()
    keep(response, body.so_far())


def chunks_of(response: httpx.Response) -> Iterator[bytes]:
    """Return the chunks of a body that was not read. httpx's own iterators take several times as long."""
    response.is_stream_consumed = True  # as httpx would note itself
    return iter(cast(httpx.SyncByteStream, response.stream))


def chunks_of_async(response: httpx.Response) -> AsyncIterator[bytes]:
    """Async version of `chunks_of`."""
    response.is_stream_consumed = True
    return async_chunks(cast(httpx.AsyncByteStream, response.stream))


def keep(response: httpx.Response, content: bytes) -> None:
    """Make content that was read and decoded here the content of the response."""
    # httpx has no public way to this; its own `read()` does the same.
    response._content = content  # pyright: ignore[reportPrivateUsage]  # see above


def _content(response: httpx.Response) -> bytes:
    """Return what another has read, such as a hook; nothing where it was closed unread."""
    try:
        return response.content
    except httpx.ResponseNotRead:
        return b""


def _check_size(content: bytes, limits: ResponseLimits) -> None:
    if len(content) > limits.max_bytes:
        raise BodyTooLargeError


def _shorten_read_timeout(response: httpx.Response, seconds: float | None) -> dict[str, Any] | None:
    """Wait for no chunk longer than for the whole body, and return the timeouts to restore."""
    extensions: dict[str, Any] = response.request.extensions
    timeouts: dict[str, Any] = extensions.get("timeout") or {}
    read = timeouts.get("read")
    if seconds is None or seconds >= (MAX_WAIT if read is None else read):
        return None
    extensions["timeout"] = {**timeouts, "read": seconds}  # httpx reads it when iterating begins
    return timeouts


def _restore_timeouts(response: httpx.Response, timeouts: dict[str, Any] | None) -> None:
    if timeouts is not None:
        response.request.extensions["timeout"] = timeouts  # the request may be sent again

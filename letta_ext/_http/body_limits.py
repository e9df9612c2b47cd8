"""The bounds of `ResponseLimits` for bodies that are read whole, and what becomes of the response. No I/O."""

from __future__ import annotations

from math import inf
from typing import Any, Final

import httpx

from .._settings_checks import MAX_WAIT
from ..limits import ResponseLimits
from .content_encoding import BodyTooLargeError, content_decoder


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

    def is_late(self) -> bool:
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
        return self.content()

    def content(self) -> bytes:
        """Return what came until now, at most `max_bytes`."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _append(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            self._pieces.append(piece[: self._left])
            raise BodyTooLargeError
        self._pieces.append(piece)


def set_content(response: httpx.Response, content: bytes) -> None:
    """Make content that was read and decoded here the content of the response."""
    # httpx has no public way to this; its own `read()` does the same.
    response._content = content  # pyright: ignore[reportPrivateUsage]  # see above


def content_or_empty(response: httpx.Response) -> bytes:
    """Return what another has read, such as a hook; nothing where it was closed unread."""
    try:
        return response.content
    except httpx.ResponseNotRead:
        return b""


def check_size(content: bytes, limits: ResponseLimits) -> None:
    """Check that a body that another has read is within its bounds.

    Raises:
        BodyTooLargeError: If the body has more than `max_bytes`.
    """
    if len(content) > limits.max_bytes:
        raise BodyTooLargeError


def shorten_read_timeout(response: httpx.Response, seconds: float | None) -> dict[str, Any] | None:
    """Wait for no chunk longer than for the whole body, and return the timeouts to restore."""
    extensions: dict[str, Any] = response.request.extensions
    timeouts: dict[str, Any] = extensions.get("timeout") or {}
    read = timeouts.get("read")
    if seconds is None or seconds >= (MAX_WAIT if read is None else read):
        return None
    extensions["timeout"] = {**timeouts, "read": seconds}  # httpx reads it when iterating begins
    return timeouts


def restore_timeouts(response: httpx.Response, timeouts: dict[str, Any] | None) -> None:
    """Put back the timeouts that `shorten_read_timeout` returned."""
    if timeouts is not None:
        response.request.extensions["timeout"] = timeouts  # the request may be sent again

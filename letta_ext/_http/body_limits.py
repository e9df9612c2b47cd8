"""Enforcement of `ResponseLimits` while a body is read."""

from __future__ import annotations

from math import inf
from typing import Any, Final

import httpx

from .._settings_checks import MAX_WAIT
from ..limits import ResponseLimits
from .content_encoding import BodyTooLargeError, content_decoder


class BodyTooSlowError(Exception):
    """A body exceeds its time limit."""


BOUNDS: Final = (BodyTooLargeError, BodyTooSlowError)
"""The errors of bodies that exceed their bounds."""


class BoundedBody:
    """A buffer for one body with bounds on size and time.

    Args:
        response: The response, which determines the content encoding.
        limits: The limits, of which only the clock is used.
        max_bytes: The maximum size of the decoded body [bytes].
        seconds: The time limit from now on [s], or None.
    """

    def __init__(self, response: httpx.Response, limits: ResponseLimits, max_bytes: int, seconds: float | None) -> None:
        self._decoder = content_decoder(response, max_bytes)
        self._left = max_bytes
        self._clock = limits.clock
        self._deadline = inf if seconds is None else limits.clock() + seconds
        self._pieces: list[bytes] = []

    def add(self, chunk: bytes) -> None:
        """Add a chunk before decoding.

        Raises:
            BodyTooLargeError: If the body exceeds `max_bytes`.
            BodyTooSlowError: If the body exceeds its time limit.
        """
        if self._decoder is None:
            self._append(chunk)
        else:
            for piece in self._decoder.decode(chunk):
                self._append(piece)
        if self._clock() > self._deadline:
            raise BodyTooSlowError

    def is_late(self) -> bool:
        """Return whether the time limit has passed."""
        return self._clock() >= self._deadline

    def end(self) -> bytes:
        """Return the complete body.

        Raises:
            BodyTooLargeError: If the body exceeds `max_bytes`.
        """
        if self._decoder is not None:
            for piece in self._decoder.flush():
                self._append(piece)
        return self.content()

    def content(self) -> bytes:
        """Return the content received so far, at most `max_bytes`."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _append(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            self._pieces.append(piece[: self._left])
            raise BodyTooLargeError
        self._pieces.append(piece)


def set_content(response: httpx.Response, content: bytes) -> None:
    """Set the decoded content of a response."""
    # httpx has no public API for it. `httpx.Response.read` sets the same attribute.
    response._content = content  # pyright: ignore[reportPrivateUsage]  # see above


def content_or_empty(response: httpx.Response) -> bytes:
    """Return the content that a hook has read, or empty bytes if the response was closed unread."""
    try:
        return response.content
    except httpx.ResponseNotRead:
        return b""


def check_size(content: bytes, limits: ResponseLimits) -> None:
    """Check the size of a body that a hook has read.

    Raises:
        BodyTooLargeError: If the body exceeds `max_bytes`.
    """
    if len(content) > limits.max_bytes:
        raise BodyTooLargeError


def shorten_read_timeout(response: httpx.Response, seconds: float | None) -> dict[str, Any] | None:
    """Reduce the read timeout to the time limit of the body, and return the timeouts to restore."""
    extensions: dict[str, Any] = response.request.extensions
    timeouts: dict[str, Any] = extensions.get("timeout") or {}
    read = timeouts.get("read")
    if seconds is None or seconds >= (MAX_WAIT if read is None else read):
        return None
    extensions["timeout"] = {**timeouts, "read": seconds}  # httpx reads it when iteration begins
    return timeouts


def restore_timeouts(response: httpx.Response, timeouts: dict[str, Any] | None) -> None:
    """Restore the timeouts that `shorten_read_timeout` returned."""
    if timeouts is not None:
        response.request.extensions["timeout"] = timeouts  # the request may be sent again

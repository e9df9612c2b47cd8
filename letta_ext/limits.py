"""Bounds on the duration and size of responses and streams."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
from attrs import field, frozen

from ._settings_checks import MAX_WAIT, check_count, check_function, check_seconds

DEFAULT_MAX_EVENT_BYTES: Final = 64 * 1024 * 1024
DEFAULT_MAX_BYTES: Final = 64 * 1024 * 1024
DEFAULT_MAX_ERROR_BYTES: Final = 64 * 1024

POSITIVE: Final = "must be a positive number of seconds or None"
NOT_NEGATIVE: Final = "must be 0 or more seconds or None"


@frozen
class ResponseLimits:
    """The bounds of JSON bodies and of error responses.

    The read timeout of the call bounds the delay between two chunks. `StreamLimits` bounds event streams.

    Attributes:
        total: The time for reading a body after its headers [s], or None for no bound. It is checked for each chunk. An
            error response is also bounded by the read timeout. Defaults to 300.
        max_bytes: The maximum size of a decompressed JSON body [bytes]. Defaults to 64 MiB.
        max_error_bytes: The maximum size of a decompressed error body [bytes]. The rest is not read. Defaults to
            64 KiB.
        clock: A monotonic clock [s]. Defaults to `time.monotonic`.

    Raises:
        TypeError: If a bound is not a number, or the clock is not callable.
        ValueError: If a bound is not positive.
    """

    total: float | None = 300.0
    max_bytes: int = DEFAULT_MAX_BYTES
    max_error_bytes: int = DEFAULT_MAX_ERROR_BYTES
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if self.total is not None:
            check_seconds("total", self.total, POSITIVE, zero=False)
        for name in ("max_bytes", "max_error_bytes"):
            check_count(name, getattr(self, name), 1)
        check_function("clock", self.clock)

    def error_seconds(self, extensions: Mapping[str, Any]) -> float | None:
        """Return the time for reading an error body [s], given the extensions of the request."""
        bounds = [bound for bound in (extensions.get("timeout", {}).get("read"), self.total) if bound is not None]
        return min(bounds, default=None)


@frozen
class StreamLimits:
    """The bounds of an event stream. The `timeout` of the call bounds connecting and the delay between two chunks.

    The bounds are checked for each chunk and after each read timeout. The time that the caller takes to process events
    counts for `total` only.

    Attributes:
        idle: The maximum time without an event other than keepalives [s], or None for no bound. Defaults to 600.
        total: The maximum duration of the stream with all resumptions [s]. Defaults to None, for no bound.
        max_event_bytes: The maximum size of one event [bytes]. Defaults to 64 MiB.
        clock: A monotonic clock [s]. Defaults to `time.monotonic`.
        resume: The time for which resuming an interrupted background stream is attempted without a new event [s], or
            None for no bound. `RetryPolicy` defines the delays, and the minimum number of attempts. Defaults to 30.

    Raises:
        TypeError: If a bound is not a number, or the clock is not callable.
        ValueError: If a bound is not positive.
    """

    idle: float | None = 600.0
    total: float | None = None
    max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, eq=False)
    resume: float | None = 30.0

    def __attrs_post_init__(self) -> None:
        for name in ("idle", "total"):
            if getattr(self, name) is not None:
                check_seconds(name, getattr(self, name), POSITIVE, zero=False)
        if self.resume is not None:
            check_seconds("resume", self.resume, NOT_NEGATIVE, zero=True)
        check_count("max_event_bytes", self.max_event_bytes, 1)
        check_function("clock", self.clock)

    def timeout(self, timeout: httpx.Timeout) -> httpx.Timeout:
        """Return the timeout with its read timeout reduced to the bounds of the stream."""
        bounds = [bound for bound in (timeout.read, self.idle, self.total) if bound is not None]
        read = min(bounds, default=None)
        read = None if read is not None and read > MAX_WAIT else read
        if read == timeout.read:
            return timeout
        return httpx.Timeout(connect=timeout.connect, read=read, write=timeout.write, pool=timeout.pool)

"""How long a stream may be silent, and how large an event or a response may be."""

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


@frozen
class ResponseLimits:
    """The bounds of a response body that is read whole: JSON, or the body of an error response.

    The silence between two chunks is bounded by the read timeout of the call. A stream of events has `StreamLimits`.

    Attributes:
        total: Seconds for reading a body, counted from its headers. It is checked whenever a chunk arrives or the wait
            for one ends. The body of an error response gets no more than the read timeout either. Defaults to 300;
            None for no bound.
        max_bytes: Size of a JSON body in bytes, after decompression. Defaults to 64 MiB.
        max_error_bytes: Size of the body of an error response in bytes, after decompression. The rest is not read.
            Defaults to 64 KiB.
        clock: A monotonic clock in seconds.

    Raises:
        TypeError: If a bound is not a number, or the clock not a function.
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
        """Return the seconds for the body of an error response to a request with these extensions."""
        bounds = [bound for bound in (extensions.get("timeout", {}).get("read"), self.total) if bound is not None]
        return min(bounds, default=None)


@frozen
class StreamLimits:
    """The bounds of a stream. Connecting, and the silence between two chunks, are bounded by the call's `timeout`.

    These are checked whenever a chunk comes or the wait for one ends, so they are at most one read timeout late. How
    long the caller is busy with an event counts for `total` only.

    Attributes:
        idle: seconds of waiting without anything but keepalive pings, 10 minutes by default; None for no bound.
        total: seconds for the whole stream, resumptions included; None, the default, for no bound.
        max_event_bytes: the size of one event in bytes, 64 MiB by default.
        clock: a monotonic clock in seconds.

    Raises:
        TypeError: a bound is not a number, or the clock not a function.
        ValueError: a bound is not positive.
    """

    idle: float | None = 600.0
    total: float | None = None
    max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        for name in ("idle", "total"):
            if getattr(self, name) is not None:
                check_seconds(name, getattr(self, name), POSITIVE, zero=False)
        check_count("max_event_bytes", self.max_event_bytes, 1)
        check_function("clock", self.clock)

    def timeout(self, timeout: httpx.Timeout) -> httpx.Timeout:
        """The limits of the requests of a stream: none waits for longer than the whole stream may."""
        bounds = [bound for bound in (timeout.read, self.idle, self.total) if bound is not None]
        read = min(bounds, default=None)
        read = None if read is not None and read > MAX_WAIT else read
        if read == timeout.read:
            return timeout
        return httpx.Timeout(connect=timeout.connect, read=read, write=timeout.write, pool=timeout.pool)

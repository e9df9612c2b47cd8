"""How long a stream may be silent, and how large one event may be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import httpx
from attrs import field, frozen

DEFAULT_MAX_EVENT_BYTES: Final = 64 * 1024 * 1024


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
    """

    idle: float | None = 600.0
    total: float | None = None
    max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        for name in ("idle", "total"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be a positive number of seconds or None, not {value!r}")
        if self.max_event_bytes < 1:
            raise ValueError(f"max_event_bytes must be positive, not {self.max_event_bytes!r}")

    def timeout(self, timeout: httpx.Timeout) -> httpx.Timeout:
        """The limits of the requests of a stream: none waits for longer than the whole stream may."""
        bounds = [bound for bound in (timeout.read, self.idle, self.total) if bound is not None]
        read = min(bounds, default=None)
        return httpx.Timeout(connect=timeout.connect, read=read, write=timeout.write, pool=timeout.pool)

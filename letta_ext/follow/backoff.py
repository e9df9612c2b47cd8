"""When a state looks again, and when it stops. Nothing here does I/O."""

from __future__ import annotations

from math import inf
from typing import Final

from attrs import define, field

from ..polling import PollSchedule

MAX_SECONDS: Final = 1e9
"""The most seconds of an interval or a timeout; clocks and sockets take no more."""


@define
class Backoff:
    """When to poll again, and when to stop.

    Args:
        interval: seconds between two looks.
        max_interval: the most seconds between two looks while nothing happens.
        timeout: seconds after which it is over, or None.
        now: the time at which it begins, in seconds of a monotonic clock.

    Attributes:
        found: whether the last poll found new messages.

    Raises:
        TypeError: what should be a number is none.
        ValueError: a number is negative, or the interval is zero.
    """

    interval: float
    max_interval: float
    timeout: float | None
    now: float
    found: bool = field(init=False, default=False)
    _polling: PollSchedule = field(init=False)
    _due: float = field(init=False, default=-inf)

    def __attrs_post_init__(self) -> None:
        for name in ("interval", "max_interval", "timeout"):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number and (value is not None or name != "timeout"):
                raise TypeError(f"{name} must be a number of seconds, not {value!r}")
            if value is not None and value > MAX_SECONDS:
                raise ValueError(f"{name} must be at most {MAX_SECONDS:g} seconds, got {value!r:.40}")
        if not self.interval > 0:
            raise ValueError(f"interval must be a positive number of seconds, not {self.interval!r}")
        if self.max_interval < self.interval:
            raise ValueError(f"max_interval must not be less than interval, and is {self.max_interval!r}")
        if self.timeout is not None and not self.timeout >= 0:
            raise ValueError(f"timeout must be 0 or more seconds, or None, not {self.timeout!r}")
        self._polling = PollSchedule(self.interval, self.max_interval)

    def remaining(self, now: float) -> float | None:
        """Seconds until it is over, 0 where it is; None where it has no end."""
        return None if self.timeout is None else max(0.0, self.now + self.timeout - now)

    def record_poll(self, now: float, *, found: bool) -> None:
        """Notes a poll. Where it found new messages, the next one comes soon."""
        self.found = found
        if found:
            self._polling.reset()
        self._due = -inf if found else now + self.interval

    def stream_opened(self) -> None:
        """Notes that the stream of a run begins: its first sign is followed at once."""
        self._due = -inf

    def is_due(self, now: float) -> bool:
        """Whether a sign of the stream is followed: not right after one that led to nothing new."""
        return now >= self._due

    def next_delay(self, now: float) -> float:
        """Seconds until the next poll, after one that found nothing to stay for."""
        wait = self._polling.delay
        self._polling.advance()
        left = self.remaining(now)
        return wait if left is None else min(wait, left)

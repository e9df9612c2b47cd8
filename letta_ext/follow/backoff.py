"""The times at which a follower polls, and its timeout."""

from __future__ import annotations

from math import inf
from typing import Final

from attrs import define, field

from ..polling import PollSchedule

MAX_SECONDS: Final = 1e9
"""The maximum interval and timeout in seconds. Clocks and sockets reject greater values."""


@define
class Backoff:
    """The poll schedule and the timeout of one loop over a follower.

    Args:
        interval: The seconds between two polls.
        max_interval: The maximum interval in seconds. The interval grows until a poll finds new messages.
        timeout: The seconds after which the loop ends, or None.
        now: The start time in seconds of a monotonic clock.

    Attributes:
        found: Whether the last poll found new messages.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If a number is negative or too large, or the interval is zero.
    """

    interval: float
    max_interval: float
    timeout: float | None
    now: float
    found: bool = field(init=False, default=False)
    _schedule: PollSchedule = field(init=False)
    _due: float = field(init=False, default=-inf)

    def __attrs_post_init__(self) -> None:
        for name in ("interval", "max_interval", "timeout"):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number and (value is not None or name != "timeout"):
                raise TypeError(f"{name} must be a number of seconds, got {value!r}")
            if value is not None and value > MAX_SECONDS:
                raise ValueError(f"{name} must be at most {MAX_SECONDS:g} seconds, got {value!r:.40}")
        if not self.interval > 0:
            raise ValueError(f"interval must be a positive number of seconds, got {self.interval!r}")
        if self.max_interval < self.interval:
            raise ValueError(f"max_interval must be at least interval, got {self.max_interval!r}")
        if self.timeout is not None and not self.timeout >= 0:
            raise ValueError(f"timeout must be 0 or more seconds, or None, got {self.timeout!r}")
        self._schedule = PollSchedule(self.interval, self.max_interval)

    def remaining(self, now: float) -> float | None:
        """Return the seconds until the timeout, at least 0, or None without a timeout."""
        return None if self.timeout is None else max(0.0, self.now + self.timeout - now)

    def record_poll(self, now: float, *, found: bool) -> None:
        """Record a poll. New messages reset the interval."""
        self.found = found
        if found:
            self._schedule.reset()
        self._due = -inf if found else now + self.interval

    def stream_opened(self) -> None:
        """Record that the stream of a run is open. Its first event can trigger a poll immediately."""
        self._due = -inf

    def is_due(self, now: float) -> bool:
        """Return whether an event can trigger a poll. After a poll without new messages, an interval must pass."""
        return now >= self._due

    def next_delay(self, now: float) -> float:
        """Return the seconds until the next poll, and increase the interval."""
        wait = self._schedule.delay
        self._schedule.advance()
        remaining = self.remaining(now)
        return wait if remaining is None else min(wait, remaining)

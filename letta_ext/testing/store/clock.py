"""The clocks of the embedded server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

START = datetime(2026, 1, 1, tzinfo=UTC)
"""The first instant of a :class:`TickingClock` by default."""


@runtime_checkable
class Clock(Protocol):
    """A source of the time that can be moved forward."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    def advance(self, by: timedelta) -> None:
        """Move the clock forward, for example past the three hours a run is kept.

        Args:
            by: How far. Must not be negative.
        """
        ...


class TickingClock:
    """A clock that moves only when it is read or advanced, so that every run of a test sees the same dates.

    Args:
        start: The first time returned. Must be aware. Defaults to the beginning of 2026.
        tick: How far each reading moves the clock. Steps are ordered by their creation times, and by their ids where
            those are equal. Must not be negative. Defaults to a millisecond.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If ``start`` is naive, or ``tick`` negative.
    """

    def __init__(self, start: datetime = START, tick: timedelta = timedelta(milliseconds=1)) -> None:
        self._now = aware("start", start).astimezone(UTC)
        self._tick = _forward("tick", tick)

    def now(self) -> datetime:
        """Return the current time and move on by one tick."""
        told = self._now
        self._now += self._tick
        return told

    def advance(self, by: timedelta) -> None:
        """Move the clock forward, for example past the three hours a run is kept.

        Args:
            by: How far. Must not be negative.

        Raises:
            ValueError: If ``by`` is negative, or leads past the year 9999.
        """
        self._now = _moved(self._now, by)


class SystemClock:
    """The clock of the machine. No two readings are equal, because creation times order the steps."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Return the current time, later than the one returned before."""
        self._last = max(datetime.now(UTC) + self._ahead, self._last + timedelta(microseconds=1))
        return self._last

    def advance(self, by: timedelta) -> None:
        """Set the clock ahead of the machine's, for example past the three hours a run is kept.

        Args:
            by: How far. Must not be negative.

        Raises:
            ValueError: If ``by`` is negative, or leads past the year 9999.
        """
        now = datetime.now(UTC)
        self._ahead = _moved(now + self._ahead, by) - now


def checked_clock(clock: object) -> Clock:
    """Return a clock that a caller passed.

    Raises:
        TypeError: If it is not a clock, or returns another type than an aware ``datetime``.
        ValueError: If it returns a naive time.
    """
    if isinstance(clock, type) or not isinstance(clock, Clock):
        raise TypeError(f"clock must have the methods now and advance, as SystemClock() has, got {clock!r}")
    if not isinstance(clock, (TickingClock, SystemClock)):
        aware("the time of the clock", clock.now())
    return clock


def aware(name: str, value: object) -> datetime:
    """Return a time that a caller passed, which must have a time zone."""
    if not isinstance(value, datetime):
        raise TypeError(f"{name} must be a datetime, got {value!r}")
    if value.utcoffset() is None:
        raise ValueError(f"{name} must be aware, as datetime.now(UTC) is, got {value!r}")
    return value


def _forward(name: str, value: object) -> timedelta:
    if not isinstance(value, timedelta):
        raise TypeError(f"{name} must be a timedelta, got {value!r}")
    if value < timedelta(0):
        raise ValueError(f"{name} must not be negative, got {value!r}")
    return value


def _moved(now: datetime, by: timedelta) -> datetime:
    try:
        return now + _forward("by", by)
    except OverflowError:
        raise ValueError(f"by must not lead past the year 9999, got {by!r}") from None

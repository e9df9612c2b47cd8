"""The clocks of the embedded server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

START = datetime(2026, 1, 1, tzinfo=UTC)
"""The default start of a `TickingClock`."""


@runtime_checkable
class Clock(Protocol):
    """A source of the time that can be moved forward."""

    def now(self) -> datetime:
        """Return the current time, timezone-aware in UTC."""
        ...

    def advance(self, by: timedelta) -> None:
        """Move the clock forward, for example past the expiry of a run.

        Args:
            by: Duration. Must not be negative.
        """
        ...


class TickingClock:
    """A clock that moves only when it is read or advanced, so that every test run has the same dates.

    Args:
        start: First time that is returned. Must be timezone-aware. Defaults to 2026-01-01.
        tick: Duration by which each reading moves the clock. With 0, steps have equal creation times and are ordered
            by id. Must not be negative. Defaults to one millisecond.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If ``start`` is naive, or ``tick`` is negative.
    """

    def __init__(self, start: datetime = START, tick: timedelta = timedelta(milliseconds=1)) -> None:
        self._now = check_aware("start", start).astimezone(UTC)
        self._tick = _check_duration("tick", tick)

    def now(self) -> datetime:
        """Return the current time and advance by one tick."""
        current = self._now
        self._now += self._tick
        return current

    def advance(self, by: timedelta) -> None:
        """Move the clock forward, for example past the expiry of a run.

        Args:
            by: Duration. Must not be negative.

        Raises:
            ValueError: If ``by`` is negative, or the time would exceed the year 9999.
        """
        self._now = _advanced(self._now, by)


class SystemClock:
    """The system clock. Readings are strictly increasing, because steps are ordered by creation time."""

    def __init__(self) -> None:
        self._offset = timedelta(0)
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Return the current time, later than the previous reading."""
        self._last = max(datetime.now(UTC) + self._offset, self._last + timedelta(microseconds=1))
        return self._last

    def advance(self, by: timedelta) -> None:
        """Move the clock ahead of the system's, for example past the expiry of a run.

        Args:
            by: Duration. Must not be negative.

        Raises:
            ValueError: If ``by`` is negative, or the time would exceed the year 9999.
        """
        now = datetime.now(UTC)
        self._offset = _advanced(now + self._offset, by) - now


def check_clock(clock: object) -> Clock:
    """Validate and return a clock.

    Raises:
        TypeError: If it is not a clock, or does not return a ``datetime``.
        ValueError: If it returns a naive time.
    """
    if isinstance(clock, type) or not isinstance(clock, Clock):
        raise TypeError(f"clock must have the methods now and advance, such as SystemClock(), got {clock!r}")
    if not isinstance(clock, (TickingClock, SystemClock)):
        check_aware("the time of the clock", clock.now())
    return clock


def check_aware(name: str, value: object) -> datetime:
    """Validate and return a timezone-aware time."""
    if not isinstance(value, datetime):
        raise TypeError(f"{name} must be a datetime, got {value!r}")
    if value.utcoffset() is None:
        raise ValueError(f"{name} must be timezone-aware, such as datetime.now(UTC), got {value!r}")
    return value


def _check_duration(name: str, value: object) -> timedelta:
    if not isinstance(value, timedelta):
        raise TypeError(f"{name} must be a timedelta, got {value!r}")
    if value < timedelta(0):
        raise ValueError(f"{name} must not be negative, got {value!r}")
    return value


def _advanced(now: datetime, by: timedelta) -> datetime:
    try:
        return now + _check_duration("by", by)
    except OverflowError:
        raise ValueError(f"by must not exceed the year 9999, got {by!r}") from None

"""Where the embedded server takes the time from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

START = datetime(2026, 1, 1, tzinfo=UTC)
"""The first instant of a :class:`TickingClock`, unless told otherwise."""


class Clock(Protocol):
    """Anything that tells an aware UTC time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


class TickingClock:
    """A clock that moves only when it is read or advanced, so that every run of a test sees the same dates.

    Args:
        start: the first time told.
        tick: how far each reading moves the clock. It is not zero, because creation times order the steps.
    """

    def __init__(self, start: datetime = START, tick: timedelta = timedelta(milliseconds=1)) -> None:
        self._now = start
        self._tick = tick

    def now(self) -> datetime:
        """Return the current time and move on by one tick."""
        told = self._now
        self._now += self._tick
        return told

    def advance(self, by: timedelta) -> None:
        """Move the clock forward, for example past the three hours a run is kept."""
        self._now += by


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the current time."""
        return datetime.now(UTC)

"""Delays between polls of the server."""

from __future__ import annotations

from typing import Final

from attrs import define, field

from .retry import backoff

GROWTH: Final = 1.5
"""The factor between consecutive delays."""


@define
class PollSchedule:
    """Delays that grow exponentially.

    Args:
        initial: The first delay [s]. Defaults to 0.2.
        maximum: The maximum delay [s]. Defaults to 5.
    """

    initial: float = 0.2
    maximum: float = 5.0
    _polls: int = field(init=False, default=0)

    @property
    def delay(self) -> float:
        """The delay before the next poll [s]."""
        return backoff(self.initial, GROWTH, self._polls, self.maximum)

    def advance(self) -> None:
        """Increase the delay after a poll without new data."""
        self._polls += 1

    def reset(self) -> None:
        """Return to the first delay."""
        self._polls = 0

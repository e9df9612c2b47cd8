"""The pauses between questions to a server that are asked until something happens. Nothing here does I/O."""

from __future__ import annotations

from typing import Final

from attrs import define, field

from .retry import backoff

GROWTH: Final = 1.5
"""How many times as long each pause is as the one before."""


@define
class PollSchedule:
    """The pauses between questions: short at first, then longer.

    Args:
        initial: The first pause, in seconds. Defaults to 0.2.
        most: The longest pause, in seconds. Defaults to 5.
    """

    initial: float = 0.2
    most: float = 5.0
    _polls: int = field(init=False, default=0)

    @property
    def delay(self) -> float:
        """The seconds until the next question."""
        return backoff(self.initial, GROWTH, self._polls, self.most)

    def advance(self) -> None:
        """Note a question that showed nothing new."""
        self._polls += 1

    def reset(self) -> None:
        """Begin with the first pause again."""
        self._polls = 0

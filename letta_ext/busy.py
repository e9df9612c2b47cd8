"""What a send does about a busy conversation. `_http/busy_wait.py` does it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeAlias

from attrs import field, frozen

from ._settings_checks import check_function, check_seconds


@frozen
class BusyPolicy:
    """How long to wait while another run holds the conversation.

    Attributes:
        deadline: seconds to wait in all before `ConversationBusyError` is raised after all.
        initial_delay: seconds before the first look whether the run has ended.
        max_delay: the most seconds between two looks.
        clock: a monotonic clock in seconds.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: a number is negative, or not a number.
    """

    deadline: float = 600.0
    initial_delay: float = 0.2
    max_delay: float = 5.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        for name in ("deadline", "initial_delay", "max_delay"):
            check_seconds(name, getattr(self, name), "must not be negative", zero=True)
        check_function("clock", self.clock)


WhenBusy: TypeAlias = Literal["raise", "wait"] | BusyPolicy
"""What to do about a busy conversation: raise at once, wait as `BusyPolicy` does by default, or wait as told."""


def parse_when_busy(when_busy: WhenBusy) -> BusyPolicy | None:
    """The policy that an argument means; None for raising at once.

    Raises:
        ValueError: it is none of the three.
    """
    if isinstance(when_busy, BusyPolicy):
        return when_busy
    if when_busy not in ("raise", "wait"):
        raise ValueError(f"when_busy must be 'raise', 'wait' or a BusyPolicy, not {when_busy!r}")
    return BusyPolicy() if when_busy == "wait" else None

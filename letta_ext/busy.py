"""The behavior of a send if another run is active in the conversation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeAlias

from attrs import field, frozen

from ._settings_checks import check_function, check_seconds


@frozen
class BusyPolicy:
    """How long to wait for another run to end, and how often to poll it.

    Attributes:
        deadline: The total waiting time after which `ConversationBusyError` is raised [s]. Defaults to 600.
        initial_delay: The delay before the first poll of the run [s]. Defaults to 0.2.
        max_delay: The maximum delay between polls [s]. Defaults to 5.
        clock: A monotonic clock [s]. Defaults to `time.monotonic`.

    Raises:
        TypeError: If a value has the wrong type.
        ValueError: If a number is negative or NaN.
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
"""Raise `ConversationBusyError`, wait with the default `BusyPolicy`, or wait with the given one."""


def parse_when_busy(when_busy: WhenBusy) -> BusyPolicy | None:
    """Return the policy for a `when_busy` argument, or None to raise at once.

    Raises:
        ValueError: If the value is not "raise", "wait" or a `BusyPolicy`.
    """
    if isinstance(when_busy, BusyPolicy):
        return when_busy
    if when_busy not in ("raise", "wait"):
        raise ValueError(f"when_busy must be 'raise', 'wait' or a BusyPolicy, got {when_busy!r}")
    return BusyPolicy() if when_busy == "wait" else None

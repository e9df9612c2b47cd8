"""Waiting for one's turn in a conversation that another run holds. Nothing here does I/O.

The server refuses a send to a busy conversation without having read it, so sending it again sends it once. Instead of
trying blindly, the run that holds the conversation is watched until it has ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, TypeGuard

from attrs import field, frozen

from .bounds import check_function, check_seconds
from .errors import ConversationBusyError
from .hooks import BusyReport, Hooks
from .polling import Polling
from .shapes import is_id, is_object

ENDED: Final = frozenset({"completed", "failed", "cancelled"})


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


def read_when_busy(when_busy: WhenBusy) -> BusyPolicy | None:
    """The policy that an argument means; None for raising at once.

    Raises:
        ValueError: it is none of the three.
    """
    if isinstance(when_busy, BusyPolicy):
        return when_busy
    if when_busy not in ("raise", "wait"):
        raise ValueError(f"when_busy must be 'raise', 'wait' or a BusyPolicy, not {when_busy!r}")
    return BusyPolicy() if when_busy == "wait" else None


class Waiting:
    """The waits of one send."""

    def __init__(self, policy: BusyPolicy | None, conversation_id: str, hooks: Hooks) -> None:
        self._policy = policy
        self._conversation_id = conversation_id
        self._hooks = hooks
        self._began: float | None = None
        self._run_id: str | None = None
        self._polling = Polling() if policy is None else Polling(policy.initial_delay, policy.max_delay)

    def delay(self, busy: ConversationBusyError) -> float:
        """Seconds until the next look.

        Raises:
            ConversationBusyError: it shall not wait, or has waited long enough.
        """
        policy = self._policy
        if policy is None:
            raise busy
        if busy.run_id != self._run_id:  # the next one is looked at as eagerly as the first
            self._run_id = busy.run_id
            self._polling.restart()
        now = policy.clock()
        self._began = now if self._began is None else self._began
        waited = now - self._began
        delay = self._polling.pause
        self._polling.asked()
        if waited + delay > policy.deadline:
            raise busy
        if self._hooks.on_busy:
            self._hooks.on_busy(BusyReport(self._conversation_id, busy.run_id, waited))
        return delay


def can_ask(run_id: str | None) -> TypeGuard[str]:
    """Whether the server can be asked for a run: error bodies name it as they like."""
    return run_id is not None and is_id(run_id)


def has_ended(run: Any) -> bool:
    """Whether a run, given as its JSON, has ended. A run whose status cannot be read counts as ended."""
    status = run.get("status") if is_object(run) else None
    return not isinstance(status, str) or status in ENDED

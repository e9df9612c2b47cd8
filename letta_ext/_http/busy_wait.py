"""Waiting for another run in the conversation to end.

The server rejects a send to a busy conversation before it processes it, so sending it again after the run has ended is
safe.
"""

from __future__ import annotations

from typing import Any, Final, TypeGuard

from .._instrumentation.dispatch import Instrumentation
from .._types import is_id, is_mapping
from ..busy import BusyPolicy
from ..errors import APITimeoutError, ConversationBusyError
from ..hooks import BusyReport
from ..polling import PollSchedule

ENDED: Final = frozenset({"completed", "failed", "cancelled"})


class BusyWait:
    """The delays of one send.

    Args:
        policy: The policy, or None to raise at once.
        conversation_id: The id of the conversation.
        instrumentation: Dispatches each wait to logging, tracing and hooks.
    """

    def __init__(self, policy: BusyPolicy | None, conversation_id: str, instrumentation: Instrumentation) -> None:
        self._policy = policy
        self._conversation_id = conversation_id
        self._instrumentation = instrumentation
        self._began: float | None = None
        self._run_id: str | None = None
        self._schedule: PollSchedule | None = None

    def delay(self, busy: ConversationBusyError) -> float:
        """Return the seconds until the next poll of the run.

        Raises:
            ConversationBusyError: Without a policy, or after its deadline.
        """
        policy = self._policy
        if policy is None:
            raise busy
        if self._schedule is None or busy.run_id != self._run_id:  # a new run restarts the delays
            self._run_id = busy.run_id
            self._schedule = PollSchedule(policy.initial_delay, policy.max_delay)
        now = policy.clock()
        self._began = now if self._began is None else self._began
        waited = now - self._began
        delay = self._schedule.delay
        self._schedule.advance()
        if waited + delay > policy.deadline:
            raise busy
        self._instrumentation.on_busy(BusyReport(self._conversation_id, busy.run_id, waited))
        return delay


def is_run_id(run_id: str | None) -> TypeGuard[str]:
    """Return whether an error body contains a valid run id. Servers also send other text in that field."""
    return run_id is not None and is_id(run_id)


def has_ended(run: Any) -> bool:
    """Return whether a run, given as JSON, has ended. A run without a status counts as ended."""
    return status_has_ended(run.get("status") if is_mapping(run) else None)


def status_has_ended(status: Any) -> bool:
    """Return whether the status of a run is one of a run that has ended. A run without a status counts as ended."""
    return not isinstance(status, str) or status in ENDED


def run_timeout_error(run_id: str, status: Any, timeout: float | None) -> APITimeoutError:
    """Return the error for a run that has not ended in time."""
    return APITimeoutError(
        f"The run {run_id} has not ended within {timeout:g} s, its status is {status!r}. Increase timeout, or cancel it"
        " with runs.cancel.",
        run_id=run_id,
    )

"""When and from where a cut stream goes on. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._http.errors_from_response import as_sentence, one_line
from .._http.transport_errors import describe_cause
from .._instrumentation.dispatch import NOOP, Instrumentation
from ..errors import APIStatusError, LettaError, StreamInterrupted
from ..hooks import ResumeReport
from ..retry import Attempt, RetryPolicy
from .sequence import StreamState


class Resume:
    """Decides, cut by cut, how a background stream goes on. Attempts without progress are bounded; progress resets.

    Args:
        state: the stream.
        policy: how often, and after how long, it is tried again without progress.
        lookup: what finds the run as long as no event has named it: `{"otid": …}`, the arguments of the call that
            opened the stream, or None where it is no background stream.
        instrumentation: Dispatches the events of the call to logging, tracing and hooks.
    """

    def __init__(
        self,
        state: StreamState,
        policy: RetryPolicy,
        lookup: Mapping[str, Any] | None,
        instrumentation: Instrumentation = NOOP,
    ) -> None:
        self.state = state
        self._policy = policy
        self._lookup = lookup
        self._instrumentation = instrumentation
        self._number = 0
        self._progress: int = 0
        self._since = 0.0

    def after_cut(self, fault: Exception | None) -> tuple[float, dict[str, Any]]:
        """Seconds to wait, and then the arguments that resume the stream.

        Args:
            fault: what cut it, or None where the connection was closed.

        Raises:
            StreamInterrupted: it cannot go on: it is no background stream, or was tried often enough.
        """
        state = self.state
        why = "the connection was closed" if fault is None else one_line(describe_cause(fault))
        if self._lookup is None:
            raise state.cut(why) from fault
        now = state.limits.clock()
        if self._number == 0 or state.progress != self._progress:
            # Time runs from the cut: how long the agent was silent before says nothing about the connection.
            self._number, self._progress, self._since = 0, state.progress, now
        self._number += 1
        attempt = Attempt(self._number, now - self._since)
        delay = self._policy.delay(attempt, "idempotent")
        if delay is None:
            raise state.cut(f"{why}, and {self._number - 1} attempts to go on brought nothing new") from fault
        self._instrumentation.on_resume(ResumeReport(state.run_id, state.last_seq_id, self._number, delay, fault))
        state.rewind()
        return delay, self._arguments()

    def after_interruption(self, why: str) -> dict[str, Any]:
        """The arguments that resume a stream whose reader was interrupted. It is no attempt of the policy, nor waits.

        Args:
            why: What interrupted it.

        Raises:
            StreamInterrupted: If it is no background stream.
        """
        if self._lookup is None:
            raise self.state.cut(why)
        self.state.rewind()
        return self._arguments()

    def _arguments(self) -> dict[str, Any]:
        state = self.state
        known: dict[str, Any] = {"run_id": state.run_id} if state.run_id else dict(self._lookup or {})
        if state.last_seq_id is not None:
            known["starting_after"] = state.last_seq_id
        return known

    def refused(self, error: LettaError) -> StreamInterrupted:
        """The error for a stream that the server would not resume."""
        if isinstance(error, APIStatusError) and error.status_code in (404, 410):
            return self.state.interrupted(
                f"The stream was cut, and the server no longer has the run ({error.status_code}):"
                f" {as_sentence(error.detail)} List the messages of the conversation instead."
            )
        return self.state.cut(f"it could not be resumed: {one_line(str(error)).rstrip('.')}")

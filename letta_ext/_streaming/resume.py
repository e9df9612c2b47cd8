"""The decision whether, when and from where an interrupted stream is resumed."""

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
    """The resumption of one stream. The retry policy bounds consecutive attempts without a new event.

    Args:
        state: The state of the stream.
        policy: The number of attempts without progress, and the delays between them.
        lookup: The arguments that find the run until an event has its id, such as `{"otid": …}`. None for a stream that
            cannot be resumed.
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
        self._attempt = 0
        self._progress: int = 0
        self._since = 0.0

    def after_disconnect(self, error: Exception | None) -> tuple[float, dict[str, Any]]:
        """Return the delay in seconds and the arguments of the request that resumes the stream.

        Args:
            error: The transport error, or None if the server closed the connection.

        Raises:
            StreamInterrupted: If the stream cannot be resumed, or the attempts are exhausted.
        """
        state = self.state
        why = "the connection was closed" if error is None else one_line(describe_cause(error))
        if self._lookup is None:
            raise state.disconnected(why) from error
        now = state.limits.clock()
        if self._attempt == 0 or state.progress != self._progress:
            # The time is measured from the interruption, not from the last event: the agent may have been silent.
            self._attempt, self._progress, self._since = 0, state.progress, now
        self._attempt += 1
        attempt = Attempt(self._attempt, now - self._since)
        delay = self._policy.delay(attempt, "idempotent")
        if delay is None:
            raise state.disconnected(
                f"{why}, and {self._attempt - 1} attempts to resume it received no new event"
            ) from error
        self._instrumentation.on_resume(ResumeReport(state.run_id, state.last_seq_id, self._attempt, delay, error))
        state.rewind()
        return delay, self._arguments()

    def after_interruption(self, why: str) -> dict[str, Any]:
        """Return the arguments that resume a stream whose reader was interrupted. It does not count as an attempt.

        Args:
            why: The cause, for the error message.

        Raises:
            StreamInterrupted: If the stream cannot be resumed.
        """
        if self._lookup is None:
            raise self.state.disconnected(why)
        self.state.rewind()
        return self._arguments()

    def _arguments(self) -> dict[str, Any]:
        state = self.state
        known: dict[str, Any] = {"run_id": state.run_id} if state.run_id else dict(self._lookup or {})
        if state.last_seq_id is not None:
            known["starting_after"] = state.last_seq_id
        return known

    def failed(self, error: LettaError) -> StreamInterrupted:
        """Return the error for a failed request to resume."""
        if isinstance(error, APIStatusError) and error.status_code in (404, 410):
            return self.state.interrupted(
                f"The stream was interrupted, and the server no longer has the run ({error.status_code}):"
                f" {as_sentence(error.detail)} List the messages of the conversation instead."
            )
        return self.state.disconnected(f"it could not be resumed: {one_line(str(error)).rstrip('.')}")

"""The decision whether, when and from where an interrupted stream is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from .._http.errors_from_response import as_sentence, one_line
from .._http.transport_errors import describe_cause
from .._instrumentation.dispatch import NOOP, Instrumentation
from ..errors import APIConnectionError, APIStatusError, LettaError, StreamInterrupted
from ..hooks import ResumeReport
from ..retry import Attempt, RetryPolicy, may_retry, retry_after
from .sequence import StreamState

MAX_DELAY: Final = 5.0
"""Seconds between two attempts at most, once the retries of the policy are exhausted. An outage ends unnoticed."""

REQUEST_POLICY: Final = RetryPolicy(max_retries=0)
"""The policy of the requests that resume a stream. `Resume` decides about further ones."""


class Resume:
    """The resumption of one stream.

    Consecutive attempts without a new event end when the retries of the policy are exhausted and `StreamLimits.resume`
    has passed. A policy without retries disables resumption. One without delays makes its retries only.

    Args:
        state: The state of the stream.
        policy: The delays between attempts, and the minimum number of attempts without progress.
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
        self._failures = 0  # the failed requests of this attempt
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
        elapsed = self._restart_after_progress()
        self._attempt += 1
        self._failures = 0
        delay = self._delay(Attempt(self._attempt, elapsed))
        if delay is None:
            raise state.disconnected(
                f"{why}, and {self._attempt - 1} attempts to resume it received no new event"
            ) from error
        self._report(delay, error)
        state.rewind()
        return delay, self._arguments()

    def after_failed_attempt(self, error: LettaError) -> float:
        """Return the seconds until the next request to resume the stream after a failed one.

        Args:
            error: The error of the failed request.

        Raises:
            StreamInterrupted: If no further request can succeed, or the attempts are exhausted.
        """
        elapsed = self._restart_after_progress()
        self._failures += 1
        delay = None
        if isinstance(error, APIConnectionError | APIStatusError):
            status = error.status_code
            wanted = None if status is None else retry_after(error.headers, _utc_now)
            attempt = Attempt(self._failures, elapsed, status=status, retry_after=wanted)
            if may_retry(attempt, "idempotent"):
                delay = self._delay(attempt)
        if delay is None:
            raise self.failed(error) from error
        self._report(delay, error)
        return delay

    def _restart_after_progress(self) -> float:
        """Return the seconds since the first interruption after the last new event.

        They are not measured from that event: the agent may have been silent.
        """
        progress, now = self.state.progress, self.state.limits.clock()
        if progress != self._progress or not (self._attempt or self._failures):
            self._attempt, self._failures, self._progress, self._since = 0, 0, progress, now
        return now - self._since

    def _delay(self, attempt: Attempt) -> float | None:
        policy = self._policy
        delay = policy.delay(attempt, "idempotent")
        if delay is not None or not policy.max_retries:
            return delay
        delay = attempt.retry_after or min(policy.computed_delay(attempt.number), MAX_DELAY)
        budget = self.state.limits.resume
        return delay if delay and (budget is None or attempt.elapsed + delay <= budget) else None

    def _report(self, delay: float, error: Exception | None) -> None:
        state = self.state
        number = self._attempt + self._failures
        self._instrumentation.on_resume(ResumeReport(state.run_id, state.last_seq_id, number, delay, error))

    def after_interruption(self, why: str) -> dict[str, Any]:
        """Return the arguments that resume a stream whose reader was interrupted. It does not count as an attempt.

        Args:
            why: The cause, for the error message.

        Raises:
            StreamInterrupted: If the stream cannot be resumed.
        """
        if self._lookup is None:
            raise self.state.disconnected(why)
        self._restart_after_progress()
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


def _utc_now() -> datetime:
    return datetime.now(UTC)

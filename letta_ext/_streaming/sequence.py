"""The state machine of a stream: sequence numbers, timeouts and terminal events.

The server ends a stream with `[DONE]`. Letta 0.16.8 has two others: an error event for a background run, and
`stop_reason: cancelled` for a cancelled foreground run. Any other end of the body is an interruption.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, Final

from letta_api.structs import loads

from .._http.errors_from_response import copy_of_request, run_error
from .._types import is_id, is_mapping
from ..errors import APIError, StreamInterrupted, StreamTimeoutError
from ..limits import StreamLimits
from .plain_events import STATE_EVENTS, has_plain_events
from .sse import Frame

if TYPE_CHECKING:
    import httpx

    from letta_api.unions import StreamEvent
MAX_SEQ_ID: Final = 2**63 - 1
"""The highest sequence number: the server counts in 64 bits."""

_ABSENT: Final = object()


class StreamState:
    """The state of one stream, which decodes frames to events.

    Every event of a background run consumes a sequence number. `stop_reason`, the usage and the terminator do not carry
    theirs. A keepalive ping repeats the last number and consumes none. The next number is therefore the last one, plus
    the events without a number, plus one. A higher number is a gap.

    Args:
        read: Decodes the JSON text of an event.
        end: The data that terminates a stream, which is not JSON.
        resume: The id of the operation that resumes a stream.
        after: The sequence number to start after. None for the whole run.
        limits: The timeouts and size limits of the stream.
        observe: Called with each new event, if an observer is configured.

    Attributes:
        run_id: The id of the run. None until an event has it.
        last_seq_id: The last sequence number seen.
        ended: Whether the terminator was received.
        unnumbered: The number of events without a sequence number since the last one that has it.
        is_plain: Whether a plain event only has to be counted, as the last event.
        redact: Removes secrets from the JSON of an error event.
        request: The request of the stream, of which errors have a copy without secrets.
    """

    def __init__(
        self,
        read: Callable[[Any], StreamEvent],
        end: str,
        resume: str,
        after: int | None = None,
        limits: StreamLimits | None = None,
        observe: Callable[[StreamEvent], None] | None = None,
    ) -> None:
        self._read = read
        self._has_plain_events = has_plain_events(read)
        self._observe = observe
        self._end, self._end_text = end.encode(), end
        self._resume = resume
        self.unnumbered: int = 0  # events without a number since the last number
        self._replays: int = 0  # how many of them this body still has to repeat
        self._earlier: int = 0  # the number of all earlier events
        self._cancelled = False
        self.limits = limits or StreamLimits()
        self._clock = self.limits.clock
        self._started = self._clock()
        self._wait_started: float | None = self._started  # None: not waiting
        self._idle = 0.0
        self._active = False  # whether another event than a ping came since the last timeout check
        self._counted = 0  # `_unnumbered` at the last timeout check
        self._max_idle = inf if self.limits.idle is None else self.limits.idle
        self._deadline = inf if self.limits.total is None else self._started + self.limits.total
        self.run_id: str | None = None
        self.last_seq_id: int | None = after
        self.ended = False
        self.is_plain = False
        self.redact: Callable[[Any], Any] = lambda value: value
        self.request: httpx.Request | None = None

    def receive(self, frame: Frame) -> StreamEvent | None:
        """Return the event of a frame. Return None for the terminator, an empty frame or a repeated event.

        Raises:
            RunError: If the frame is an error event.
            PendingApprovalError: If the error is that the agent waits for an approval.
            StreamInterrupted: If its sequence number shows a gap.
            EventTooLargeError: If the event exceeds the limit.
        """
        try:
            event: Any = self._read(frame)
        except (TypeError, ValueError, RecursionError) as error:
            # A frame with an event name is a tuple, for which the decoder raises TypeError. Plain frames, which are the
            # rule, need no isinstance check.
            return self._receive_irregular(frame, error)
        try:  # nearly every event has both: the exception costs less than a check of each
            kind, number = event.message_type, event.seq_id
        except AttributeError:
            kind, number = _read_kind_and_number(event)
        if number is not None or kind in STATE_EVENTS or self.run_id is None or self._replays:
            return self._record(event, kind, number)
        if self._observe is not None:  # the same as `_record` for most events, without the call
            self._observe(event)
        else:
            self.is_plain = self._has_plain_events
        self.unnumbered += 1
        found: StreamEvent = event
        return found

    def _receive_irregular(self, frame: Frame, error: Exception) -> StreamEvent | None:
        """Return the event of a frame that is not plain JSON, or None for the terminator, which is not JSON either."""
        if frame == self._end:
            self.ended = True
            return None
        if isinstance(frame, Exception):
            error = copy.copy(frame)
            if self.request is not None and isinstance(error, APIError):
                error.add_exchange(copy_of_request(self.request))
            raise error
        if not isinstance(frame, bytes):
            if frame.event == "error" and frame.data.strip() and frame.data != self._end_text:
                raise run_error(self.redact(_json_or_detail(frame.data)), self.request)
            return self.receive(frame.data.encode())
        data = frame.decode("utf-8", "replace")
        if (text := data.encode()) != frame:
            return self.receive(text)  # invalid UTF-8 is replaced, so that the event is not lost
        if not data.strip():
            return None
        from letta_api.unions import UnknownStreamEvent  # rare, and models are loaded on demand

        return self._record(UnknownStreamEvent(data, str(error)), "", None)

    def _record(self, event: Any, kind: str, number: Any) -> StreamEvent | None:
        """Update the state from an event, and return the event, or None if it is repeated.

        The state is computed first and then assigned in one go: an exception of a signal handler is raised either
        before all assignments or after them.
        """
        self.is_plain = False
        if kind == "error_message":
            raise run_error(self.redact(event.to_dict()), self.request)
        if self.run_id is None:
            self.run_id = _run_id_of(event)
        is_ping = kind == "ping"
        active, wait_started, idle, counted = self._active or not is_ping, self._wait_started, self._idle, self._counted
        if wait_started is not None and not active:
            idle += self._clock() - wait_started  # the caller's processing time is not idle time
            wait_started = None
        last, unnumbered, replays, earlier = self.last_seq_id, self.unnumbered, self._replays, self._earlier
        is_new = True
        # An invalid number counts as a missing one.
        if type(number) is not int or not 0 <= number <= MAX_SEQ_ID:
            if replays and not is_ping:
                replays -= 1
                is_new = False
            elif not is_ping:
                unnumbered += 1
        elif last is not None and number <= last:
            is_new = is_ping and number == last
        else:
            # The first number is 1: an opening ping, or the first event. If pings are filtered out, it is 2.
            expected = unnumbered - replays + (1 if last is None else last + 1)
            if number > expected + (last is None):
                raise self._gap_error(expected, number - 1)
            if is_ping:  # an opening ping has a number, but shows no activity of the agent
                active, counted = active or unnumbered != counted, 0
            earlier += unnumbered + 1
            last, unnumbered, replays = number, 0, 0
        cancelled = self._cancelled
        if kind == "stop_reason" and is_new:
            cancelled = _fields(event).get("stop_reason") == "cancelled"
        if is_new and self._observe is not None:
            self._observe(event)
        self._active, self._wait_started, self._idle, self._counted = active, wait_started, idle, counted
        self.last_seq_id, self.unnumbered, self._replays, self._earlier = last, unnumbered, replays, earlier
        self._cancelled = cancelled
        found: StreamEvent | None = event if is_new else None
        return found

    @property
    def progress(self) -> int:
        """The number of new events, without keepalive pings."""
        return self._earlier + self.unnumbered

    def _gap_error(self, first: int, last: int) -> StreamInterrupted:
        return self.interrupted(
            f"Events {first} to {last} of {self.run_id} are missing: the server keeps only the last of a long run."
            " List the messages of the conversation instead.",
            gap=(first, last),
        )

    def rewind(self) -> None:
        """Restart after the last sequence number. Events without a number that are replayed are dropped."""
        self._replays = self.unnumbered
        self.is_plain = False

    def start_wait(self) -> None:
        """Start to measure idle time."""
        self._wait_started = self._clock()

    def pause_wait(self) -> None:
        """Stop to measure idle time until the next check."""
        if self._wait_started is not None:
            self._idle += self._clock() - self._wait_started
            self._wait_started = None

    def check_timeouts(self) -> None:
        """Check the timeouts, and start to measure idle time. Called before each read and after each chunk.

        Raises:
            StreamTimeoutError: If the stream was idle for too long, or takes too long in total.
        """
        now = self._clock()
        if self._active or self.unnumbered != self._counted:
            self._active, self._counted, self._idle = False, self.unnumbered, 0.0
        else:
            if self._wait_started is not None:
                self._idle += now - self._wait_started
            if self._idle > self._max_idle:
                raise self._timeout_error("had nothing but pings for", self.limits.idle)
        self._wait_started = now
        if now > self._deadline:
            raise self._timeout_error("did not end within", self.limits.total)

    def _timeout_error(self, problem: str, bound: float | None) -> StreamInterrupted:
        error = StreamTimeoutError(f"The stream {problem} {bound:g} s. Raise StreamLimits if that is expected.")
        return self._with_position(error)

    @property
    def may_end(self) -> bool:
        """Whether the body may end here without an interruption."""
        return self.ended or (self._cancelled and self.last_seq_id is None)

    def _with_position(self, error: StreamInterrupted, gap: tuple[int, int] | None = None) -> StreamInterrupted:
        error.run_id, error.last_seq_id, error.gap = self.run_id, self.last_seq_id, gap
        if self.request is not None:
            error.add_exchange(copy_of_request(self.request, all_values=True))
        return error

    def interrupted(self, message: str, gap: tuple[int, int] | None = None) -> StreamInterrupted:
        """Return an error with the position of the stream."""
        return self._with_position(StreamInterrupted(message), gap)

    def disconnected(self, why: str) -> StreamInterrupted:
        """Return the error for a body that ended or failed before the stream ended."""
        if self.last_seq_id is None:
            return self.interrupted(
                f"The stream was interrupted: {why}. The run continues on the server: list the messages before you"
                " send again."
            )
        return self.interrupted(
            f"The stream of {self.run_id} was interrupted after event {self.last_seq_id}: {why}. Resume it with"
            f" {self._resume}(run_id=…, starting_after={self.last_seq_id})."
        )


def _fields(event: StreamEvent) -> Mapping[str, Any]:
    value = event.to_dict()
    return value if is_mapping(value) else {}


def _run_id_of(event: StreamEvent) -> str | None:
    """Return the run id of an event, if it has one."""
    found: object = getattr(event, "run_id", _ABSENT)
    if found is _ABSENT:
        found = _fields(event).get("run_id")
    return found if is_id(found) else None


def _read_kind_and_number(event: StreamEvent) -> tuple[str, Any]:
    """Return the type and the sequence number of an unknown event, or of one without both."""
    fields = _fields(event)
    kind = fields.get("message_type")
    return kind if isinstance(kind, str) else "", fields.get("seq_id")


def _json_or_detail(data: str) -> Any:
    """Return the JSON of an error event. Text that is not JSON becomes the detail."""
    try:
        return loads(data)
    except (ValueError, RecursionError):
        return {"detail": data}

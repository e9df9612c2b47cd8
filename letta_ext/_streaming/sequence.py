"""What a stream is about: its events in order, its numbers, its legal endings. Nothing here does I/O.

The server ends a stream with `[DONE]`. Two more endings are legal: the body of a background run ends behind an error
event, and that of a cancelled foreground run behind `stop_reason: cancelled`. Anything else is a cut connection.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, Final

from letta_api.structs import loads

from .._http.errors_from_response import run_error
from .._types import is_id, is_mapping
from ..errors import StreamInterrupted, StreamTimeoutError
from ..limits import StreamLimits
from .sse import Frame

if TYPE_CHECKING:
    from letta_api.unions import StreamEvent
SPECIAL: Final = frozenset({"ping", "stop_reason", "error_message"})
"""The kinds of events that say something of the stream."""

MAX_NUMBER: Final = 2**63 - 1
"""The largest number that a server can count to."""

_ABSENT: Final = object()


class StreamState:
    """Turns frames into events, and knows where the stream stands.

    Numbers: every event of a background run consumes one, but `stop_reason`, the usage and the end do not carry
    theirs, and a keepalive ping repeats the last one without consuming any. So the next number is the last one, plus
    the events without a number, plus one; anything higher means that events are missing.

    Args:
        read: makes an event of its JSON text.
        end: the data that ends a stream.
        resume: the id of the operation that continues one.
        after: the number behind which the stream was asked to start, or None for the whole run.
        limits: the bounds of the stream.
        observe: is told of each event that is new, where somebody listens.

    Attributes:
        run_id: the run, once an event has named it.
        last_seq_id: the last number that was seen.
        ended: whether the end was seen.
        redact: leaves secrets out of the JSON of an error event.
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
        self._observe = observe
        self._end, self._end_text = end.encode(), end
        self._resume = resume
        self._unnumbered: int = 0  # events behind the last number that have none and were handed out
        self._again: int = 0  # so many of them are still to come again in this body
        self._before: int = 0  # all events before those
        self._cancelled = False
        self.limits = limits or StreamLimits()
        self._clock = self.limits.clock
        self._begun = self._clock()
        self._asked: float | None = self._begun  # when the wait began that goes on; None where it was counted
        self._idle = 0.0
        self._heard = False  # whether anything but pings came since the time was last checked
        self._counted = 0  # `_unnumbered` when the time was last checked
        self._most_idle = inf if self.limits.idle is None else self.limits.idle
        self._deadline = inf if self.limits.total is None else self._begun + self.limits.total
        self.run_id: str | None = None
        self.last_seq_id: int | None = after
        self.ended = False
        self.redact: Callable[[Any], Any] = lambda value: value

    def receive(self, frame: Frame) -> StreamEvent | None:
        """The event of a frame, or None where it is the end, empty, or has been seen before.

        Raises:
            RunError: the frame is an error event.
            PendingApprovalError: it says that the agent waits for an approval.
            StreamInterrupted: its number says that events are missing.
            EventTooLargeError: the frame stands for an event that is too large.
        """
        if frame == self._end:
            self.ended = True
            return None
        try:
            event: Any = self._read(frame)
        except (TypeError, ValueError, RecursionError) as fault:
            # A frame that is more than data is a tuple, for which the reader raises TypeError: plain ones, nearly all,
            # are spared an isinstance.
            return self._take_odd(frame, fault)
        try:  # what nearly every event has; one that lacks it raises, which costs the others nothing
            kind, number = event.message_type, event.seq_id
        except AttributeError:
            kind, number = _look_into(event)
        if number is not None or kind in SPECIAL or self.run_id is None or self._again:
            return self._take_in(event, kind, number)
        if self._observe is not None:  # what follows does the same as `_take_in` with most events, a call less
            self._observe(event)
        self._unnumbered += 1
        found: StreamEvent = event
        return found

    def _take_odd(self, frame: Frame, fault: Exception) -> StreamEvent | None:
        """The event of a frame that is more than data, or no JSON."""
        if isinstance(frame, Exception):
            raise copy.copy(frame)
        if not isinstance(frame, bytes):
            if frame.event == "error" and frame.data.strip() and frame.data != self._end_text:
                raise run_error(self.redact(_json_or_detail(frame.data)))
            return self.receive(frame.data.encode())
        data = frame.decode("utf-8", "replace")
        if (text := data.encode()) != frame:
            return self.receive(text)  # what is no UTF-8 is replaced in a stream, and no reason to lose an event
        if not data.strip():
            return None
        from letta_api.unions import UnknownStreamEvent  # rare, and models are loaded when they are needed

        return self._take_in(UnknownStreamEvent(data, str(fault)), "", None)

    def _take_in(self, event: Any, kind: str, number: Any) -> StreamEvent | None:
        """Return an event whose kind or number concerns the stream, or None if it was seen before.

        Everything is worked out first, and noted by assignments alone: an exception of a signal handler arrives before
        them, and then changes nothing, or behind them.
        """
        if kind == "error_message":
            raise run_error(self.redact(event.to_dict()))
        if self.run_id is None:
            self.run_id = _run_of(event)
        is_ping = kind == "ping"
        heard, asked, idle, counted = self._heard or not is_ping, self._asked, self._idle, self._counted
        if asked is not None and not heard:
            idle += self._clock() - asked  # what the caller does with it is no silence of the server
            asked = None
        last, unnumbered, again, before = self.last_seq_id, self._unnumbered, self._again, self._before
        is_new = True
        # A number that is none leaves its event without one: it is counted like those that carry none.
        if type(number) is not int or not 0 <= number <= MAX_NUMBER:
            if again and not is_ping:
                again -= 1
                is_new = False
            elif not is_ping:
                unnumbered += 1
        elif last is not None and number <= last:
            is_new = is_ping and number == last
        else:
            # The opening ping is 1, and without pings the first event is; where they are filtered out, it is 2.
            expected = unnumbered - again + (1 if last is None else last + 1)
            if number > expected + (last is None):
                raise self._missing(expected, number - 1)
            if is_ping:  # it takes up a number, and is no sign that the agent does anything
                heard, counted = heard or unnumbered != counted, 0
            before += unnumbered + 1
            last, unnumbered, again = number, 0, 0
        cancelled = self._cancelled
        if kind == "stop_reason" and is_new:
            cancelled = _fields(event).get("stop_reason") == "cancelled"
        if is_new and self._observe is not None:
            self._observe(event)
        self._heard, self._asked, self._idle, self._counted = heard, asked, idle, counted
        self.last_seq_id, self._unnumbered, self._again, self._before = last, unnumbered, again, before
        self._cancelled = cancelled
        found: StreamEvent | None = event if is_new else None
        return found

    @property
    def progress(self) -> int:
        """How many events were new; keepalive pings, which say nothing, are not counted."""
        return self._before + self._unnumbered

    def _missing(self, first: int, last: int) -> StreamInterrupted:
        return self.interrupted(
            f"Events {first} to {last} of {self.run_id} are missing: the server keeps only the last of a long run."
            " List the messages of the conversation instead.",
            gap=(first, last),
        )

    def rewind(self) -> None:
        """Says that the stream begins anew behind the last number: what then comes twice is passed over."""
        self._again = self._unnumbered

    def wait(self) -> None:
        """Says that more is waited for from now on: what the caller does with an event is no silence of the server."""
        self._asked = self._clock()

    def pause(self) -> None:
        """Say that the wait was interrupted: what follows until it goes on is no silence of the server."""
        if self._asked is not None:
            self._idle += self._clock() - self._asked
            self._asked = None

    def check_time(self) -> None:
        """Holds the stream to its bounds, and waits; called whenever something came and was dealt with, or should have.

        Raises:
            StreamTimeoutError: it was idle for too long, or takes too long in all.
        """
        now = self._clock()
        if self._heard or self._unnumbered != self._counted:
            self._heard, self._counted, self._idle = False, self._unnumbered, 0.0
        else:
            if self._asked is not None:
                self._idle += now - self._asked
            if self._idle > self._most_idle:
                raise self._late("brought nothing but pings", self.limits.idle)
        self._asked = now
        if now > self._deadline:
            raise self._late("was not over", self.limits.total)

    def _late(self, what: str, bound: float | None) -> StreamInterrupted:
        error = StreamTimeoutError(f"The stream {what} for {bound:g} s. Raise StreamLimits if that is expected.")
        return self._placed(error)

    @property
    def may_end(self) -> bool:
        """Whether the body may end here."""
        return self.ended or (self._cancelled and self.last_seq_id is None)

    def _placed(self, error: StreamInterrupted, gap: tuple[int, int] | None = None) -> StreamInterrupted:
        error.run_id, error.last_seq_id, error.gap = self.run_id, self.last_seq_id, gap
        return error

    def interrupted(self, message: str, gap: tuple[int, int] | None = None) -> StreamInterrupted:
        """The error for a stream that broke off here."""
        return self._placed(StreamInterrupted(message), gap)

    def cut(self, why: str) -> StreamInterrupted:
        """The error for a body that ended, or failed, before the stream did."""
        if self.last_seq_id is None:
            return self.interrupted(
                f"The stream was cut: {why}. The server finishes the run all the same: list the messages before you"
                " send again."
            )
        return self.interrupted(
            f"The stream of {self.run_id} was cut behind event {self.last_seq_id}: {why}. Resume it with"
            f" {self._resume}(run_id=…, starting_after={self.last_seq_id})."
        )


def _fields(event: StreamEvent) -> Mapping[str, Any]:
    value = event.to_dict()
    return value if is_mapping(value) else {}


def _run_of(event: StreamEvent) -> str | None:
    """The run that an event names."""
    found: object = getattr(event, "run_id", _ABSENT)
    if found is _ABSENT:
        found = _fields(event).get("run_id")
    return found if is_id(found) else None


def _look_into(event: StreamEvent) -> tuple[str, Any]:
    """The kind and the number of an event that has not both of them, or that is not known."""
    fields = _fields(event)
    kind = fields.get("message_type")
    return kind if isinstance(kind, str) else "", fields.get("seq_id")


def _json_or_detail(data: str) -> Any:
    """What an error event says: JSON, or else words."""
    try:
        return loads(data)
    except (ValueError, RecursionError):
        return {"detail": data}

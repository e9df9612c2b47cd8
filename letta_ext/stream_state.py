"""What a stream is about: its events in order, its numbers, its legal endings. Nothing here does I/O.

The server ends a stream with `[DONE]`. Two more endings are legal: the body of a background run ends behind an error
event, and that of a cancelled foreground run behind `stop_reason: cancelled`. Anything else is a cut connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from letta_api.parts import loads

from .errors import StreamInterrupted, StreamTimeoutError
from .limits import StreamLimits
from .refusals import run_error
from .shapes import is_object
from .sse import ServerSentEvent

if TYPE_CHECKING:
    from letta_api.unions import StreamEvent
SPECIAL: Final = frozenset({"ping", "stop_reason", "error_message"})
"""The kinds of events that say something of the stream."""


class StreamState:
    """Turns frames into events, and knows where the stream stands.

    Numbers: every event of a background run consumes one, but `stop_reason`, the usage and the end do not carry
    theirs, and a keepalive ping repeats the last one without consuming any. So the next number is the last one, plus
    the events without a number, plus one; anything higher means that events are missing.

    Args:
        read: makes an event of its JSON text.
        end: the data that ends a stream.
        after: the number behind which the stream was asked to start, or None for the whole run.
        limits: the bounds of the stream.
        observe: is told of each event that is new, where somebody listens.

    Attributes:
        run_id: the run, once an event has named it.
        last_seq_id: the last number that was seen.
        ended: whether the end was seen.
        progress: how many events were new; keepalive pings, which say nothing, are not counted.
    """

    def __init__(
        self,
        read: Callable[[str | bytes], StreamEvent],
        end: str,
        after: int | None = None,
        limits: StreamLimits | None = None,
        observe: Callable[[StreamEvent], None] | None = None,
    ) -> None:
        self._read = read
        self._observe = observe
        self._end, self._end_text = end.encode(), end
        self._unnumbered: int = 0  # events behind the last number that have none, in this body
        self._most: int = 0  # the same in any body so far: that many have been handed out
        self._cancelled = False
        self.limits = limits or StreamLimits()
        self._clock = self.limits.clock
        self._begun = self._asked = self._clock()
        self._idle = 0.0
        self.run_id: str | None = None
        self.last_seq_id: int | None = after
        self.ended = False
        self.progress = 0

    def receive(self, frame: bytes | ServerSentEvent) -> StreamEvent | None:
        """The event of a frame, or None where it is the end, empty, or has been seen before.

        Raises:
            RunError: the frame is an error event.
            PendingApprovalError: it says that the agent waits for an approval.
            StreamInterrupted: its number says that events are missing.
        """
        if not isinstance(frame, bytes):
            if frame.event == "error" and frame.data.strip() and frame.data != self._end_text:
                raise run_error(_json_or_detail(frame.data))
            frame = frame.data.encode()  # rare: an event that has more than data, in one line
        if frame == self._end:
            self.ended = True
            return None
        try:
            event = self._read(frame)
        except ValueError as fault:
            return self._no_json(frame.decode("utf-8", "replace"), fault)
        seen: Any = event
        try:  # what nearly every event has; one that lacks it raises, which costs the others nothing
            kind, number, run_id = seen.message_type, seen.seq_id, seen.run_id
        except AttributeError:
            kind, number, run_id = _look_into(event)
        if run_id.__class__ is str and run_id:
            self.run_id = run_id
        if kind not in SPECIAL:
            self._idle = 0.0
            if number is None and self._unnumbered == self._most:
                self._most += 1  # what `_is_next` does with most events, a call less
                self._unnumbered = self._most
                self.progress += 1
            elif not self._is_next(kind, number):
                return None
        elif not self._take_special(kind, number, event):
            return None
        if self._observe is not None:
            self._observe(event)
        return event

    def _take_special(self, kind: str, number: Any, event: StreamEvent) -> bool:
        """Notes what an event says of the stream; whether it is one that was not seen before."""
        if kind == "error_message":
            raise run_error(event.to_dict())
        if kind != "ping":
            self._idle = 0.0
        if not self._is_next(kind, number):
            return False
        if kind == "stop_reason":
            self._cancelled = _fields(event).get("stop_reason") == "cancelled"
        return True

    def _no_json(self, data: str, fault: ValueError) -> StreamEvent | None:
        if not data.strip():
            return None
        self._idle = 0.0
        if not self._is_next(None, None):
            return None
        from letta_api.unions import UnknownStreamEvent  # rare, and models are loaded when they are needed

        return UnknownStreamEvent(data, str(fault))

    def _is_next(self, kind: Any, number: Any) -> bool:
        """Keeps count; whether the event is one that was not seen before."""
        if not isinstance(number, int):
            if kind == "ping":
                return True
            self._unnumbered += 1
            if self._unnumbered <= self._most:
                return False
            self._most = self._unnumbered
            self.progress += 1
            return True
        last = self.last_seq_id
        if last is not None and number <= last:
            return kind == "ping" and number == last
        # The opening ping is 1, and without pings the first event is; where they are filtered out, it is 2.
        expected = self._unnumbered + (1 if last is None else last + 1)
        if number > expected + (last is None):
            raise self._missing(expected, number - 1)
        self.last_seq_id, self._unnumbered, self._most = number, 0, 0
        self.progress += 1
        return True

    def _missing(self, first: int, last: int) -> StreamInterrupted:
        return self.interrupted(
            f"Events {first} to {last} of {self.run_id} are missing: the server keeps only the last of a long run."
            " List the messages of the conversation instead.",
            gap=(first, last),
        )

    def rewind(self) -> None:
        """Says that the stream begins anew behind the last number: what then comes twice is passed over."""
        self._unnumbered = 0

    def wait(self) -> None:
        """Says that more is waited for from now on: what the caller does with an event is no silence of the server."""
        self._asked = self._clock()

    def wake(self) -> None:
        """Says that a wait is over, whether or not it brought anything."""
        now = self._clock()
        self._idle += now - self._asked
        self._asked = now

    def check_time(self) -> None:
        """Holds the stream to its bounds, and waits; called whenever something came, or should have.

        Raises:
            StreamTimeoutError: it was idle for too long, or takes too long in all.
        """
        limits = self.limits
        if limits.idle is not None and self._idle > limits.idle:
            raise self._late("brought nothing but pings", limits.idle)
        self._asked = now = self._clock()
        if limits.total is not None and now - self._begun > limits.total:
            raise self._late("was not over", limits.total)

    def _late(self, what: str, bound: float) -> StreamInterrupted:
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
            f" conversations.messages.stream(run_id=…, starting_after={self.last_seq_id})."
        )


def _fields(event: StreamEvent) -> Mapping[str, Any]:
    value = event.to_dict()
    return value if is_object(value) else {}


def _look_into(event: StreamEvent) -> tuple[str, Any, Any]:
    """The kind, the number and the run of an event that has not all of them, or that is not known."""
    fields = _fields(event)
    kind = fields.get("message_type")
    return kind if isinstance(kind, str) else "", fields.get("seq_id"), fields.get("run_id")


def _json_or_detail(data: str) -> Any:
    """What an error event says: JSON, or else words."""
    try:
        return loads(data)
    except ValueError:
        return {"detail": data}

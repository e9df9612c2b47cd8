"""A decoder of server-sent events, independent of how the stream is split into chunks.

Implements https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

BOM = b"\xef\xbb\xbf"
MAX_EVENT_BYTES: Final = 64 * 1024 * 1024
"""The default of the largest size of an event."""
LF, CR = b"\n\r"  # ints: `in` finds an int several times faster than bytes
DATA = b"data: "
DATA_SIZE = len(DATA)
SEPARATOR = b"\n\ndata: "
MAX_RESCAN = 1 << 14
"""The largest unfinished event that is scanned again with each chunk. A larger one is buffered in pieces."""
MAX_RETRY_DIGITS = 18
"""Longer numbers are ignored. Python refuses to parse much longer ones."""
NUMBER_DIGITS = frozenset(b"0123456789")


class EventTooLargeError(ValueError):
    """An event is larger than the limit."""


class ServerSentEvent(NamedTuple):
    """A dispatched event.

    Attributes:
        data: The data lines, joined by line feeds.
        event: The event type. Defaults to `message`.
        id: The last event id, which persists until the stream sends another.
        retry: The reconnection time [ms] that this event set, or None.
    """

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None


Frame: TypeAlias = bytes | ServerSentEvent | Exception
"""An event, the data of an event that is a single data line, or an error after the events before it."""


class SSEDecoder:
    """A decoder of one stream. Pass every chunk to `feed`, in order. An incomplete event at the end is ignored.

    Args:
        max_event_bytes: The largest size of an event. Defaults to 64 MiB.
        error: The exception class for a larger event, created from a message.

    Attributes:
        fault: The error of an event that is too large, or None.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES, error: type[Exception] = EventTooLargeError) -> None:
        if max_event_bytes < 1:
            raise ValueError(f"max_event_bytes must be positive, got {max_event_bytes}")
        self._max = max_event_bytes
        self._error = error
        self._pieces: list[bytes] = []  # the pieces of an unfinished line
        self._line_size = 0  # the size of the unfinished line
        self._event_size = 0  # the size of the data lines of the unfinished event
        self._unfinished: bytes = b""  # on the fast path: the unfinished event
        self._fast = False
        self._at_start = True
        self._after_cr = False  # the last chunk ended with CR, so a leading LF belongs to it
        self._data: list[bytes] = []
        self._event = b""
        self._id = ""
        self._retry: int | None = None
        self.fault: Exception | None = None

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Return the events that a chunk completes.

        Raises:
            EventTooLargeError: If an event is too large and the chunk completes no event before it.
        """
        return [
            ServerSentEvent(found.decode("utf-8", "replace")) if isinstance(found, bytes) else found
            for found in reversed(self.split(chunk))
            if not isinstance(found, Exception)
        ]

    def split(self, chunk: bytes) -> list[Frame]:
        """Return the frames that a chunk completes, last first. Faster than `feed`.

        Raises:
            EventTooLargeError: If an event is too large and the chunk completes no event before it.
        """
        if self._fast:
            # Fast path: each event is a single data line, so splitting suffices.
            begun = self._unfinished
            if begun and (begun[-1] == LF or len(begun) <= DATA_SIZE):  # its end or its prefix may be in both
                begun, chunk, self._unfinished = b"", begun + chunk, b""
            if (begun or chunk).startswith(DATA) and len(begun) + len(chunk) <= self._max and CR not in chunk:
                if begun:
                    body = chunk
                else:
                    body = chunk.removeprefix(DATA)
                    text = body.removesuffix(b"\n\n")
                    if LF not in text and len(text) != len(body):
                        return [text]
                frames: list[Any] = body.split(SEPARATOR)
                frames[0] = begun[DATA_SIZE:] + frames[0]
                rest: bytes = frames.pop()
                lines_of_rest = rest.count(b"\n")
                if LF not in b"".join(frames):
                    frames.reverse()
                    if not lines_of_rest or (lines_of_rest == 1 and rest[-1] == LF and len(rest) <= MAX_RESCAN):
                        self._unfinished = DATA + rest
                        if len(rest) > MAX_RESCAN:
                            # The chunk is within the limit.
                            self._fast = False
                            self._buffer(self._unfinished)
                            self._unfinished = b""
                        return frames
                    if lines_of_rest == 2:
                        text, blank, begun_line = rest.partition(b"\n\n")
                        if blank and DATA.startswith(begun_line):
                            self._unfinished = begun_line
                            return [text, *frames]
            chunk, self._unfinished, self._fast = begun + chunk, b"", False
        return self._by_lines(chunk)

    def _by_lines(self, chunk: bytes) -> list[Frame]:
        """Return the frames that a chunk completes, by all rules of the standard."""
        if self.fault is not None:
            raise self.fault
        events: list[Frame] = []
        try:
            self._consume(chunk, events)
        except self._error as fault:
            self.fault = fault
            if not events:
                raise
            events.append(fault)
        events.reverse()
        return events

    def _consume(self, chunk: bytes, events: list[Frame]) -> None:
        """Append the events that a chunk completes."""
        if self._at_start and not (chunk := self._without_bom(chunk)):
            return
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if LF not in chunk and CR not in chunk:
            self._buffer(chunk)
            return
        if self._pieces:
            chunk = b"".join([*self._pieces, chunk])
            self._pieces.clear()
            self._line_size = 0
        if CR in chunk:
            self._after_cr = chunk[-1] == CR
            lines = chunk.splitlines()
            rest = b"" if chunk.endswith((b"\n", b"\r")) else lines.pop()
        else:
            *lines, rest = chunk.split(b"\n")
        for line in lines:
            if line:
                self._field(line)
            elif (event := self._dispatch()) is not None:
                events.append(event)
        self._buffer(rest)
        if not (self._data or self._event or self._id or self._after_cr or self._retry is not None):
            # A new event begins, and no field of it has been received.
            self._unfinished, self._fast = b"".join(self._pieces), True
            self._pieces.clear()
            self._line_size = 0

    def _without_bom(self, chunk: bytes) -> bytes:
        chunk = b"".join([*self._pieces, chunk])
        self._pieces.clear()
        if len(chunk) < len(BOM) and BOM.startswith(chunk):
            self._pieces.append(chunk)
            return b""
        self._at_start = False
        return chunk.removeprefix(BOM)

    def _buffer(self, part: bytes) -> None:
        if part:
            self._pieces.append(part)
            self._line_size += len(part)
            if self._event_size + self._line_size > self._max:
                raise self._too_large()

    def _too_large(self) -> Exception:
        return self._error(
            f"An event of the stream is larger than {self._max} bytes. Raise max_event_bytes if that is expected."
        )

    def _field(self, line: bytes) -> None:
        if self._event_size + len(line) > self._max:  # as in `_buffer`, however the line was split
            raise self._too_large()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._event_size += len(value) + 1
        elif name == b"event":
            self._event = value
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and 0 < len(value) <= MAX_RETRY_DIGITS and NUMBER_DIGITS.issuperset(value):
            self._retry = int(value)

    def _dispatch(self) -> ServerSentEvent | None:
        data, event, retry = b"\n".join(self._data), self._event, self._retry
        found = bool(self._data)
        self._data.clear()
        self._event, self._retry, self._event_size = b"", None, 0
        if not found:
            return None
        kind = event.decode("utf-8", "replace") if event else "message"
        return ServerSentEvent(data.decode("utf-8", "replace"), kind, self._id, retry)

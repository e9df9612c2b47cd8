"""Server-sent events: bytes in, events out. Nothing here does I/O.

True to the WHATWG rules (https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation),
wherever the bytes happen to be cut into chunks.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

BOM = b"\xef\xbb\xbf"
MAX_EVENT_BYTES: Final = 64 * 1024 * 1024
"""Bytes that one event may have, unless a decoder is told otherwise."""
LF, CR = b"\n\r"  # numbers: `in` looks for one byte several times faster than for bytes
DATA = b"data: "
BETWEEN = b"\n\ndata: "
MOST = 1 << 14
"""Bytes of an unfinished event that are looked through anew with each chunk; larger ones are held in parts."""
MAX_RETRY_DIGITS = 18
"""A longer time is longer than the universe is old, and Python refuses to read much longer numbers."""
NUMBER_DIGITS = frozenset(b"0123456789")


class EventTooLargeError(ValueError):
    """An event has grown beyond the bound."""


class ServerSentEvent(NamedTuple):
    """One dispatched event.

    Attributes:
        data: the data lines, joined by line feeds.
        event: the type, `message` unless the stream names one.
        id: the last event id, which holds until another comes.
        retry: the reconnection time in milliseconds, where this event set it.
    """

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None


Frame: TypeAlias = bytes | ServerSentEvent | Exception
"""An event; of one that is a line of data alone, just the data. An error stands behind those ahead of it."""


class SSEDecoder:
    """Decodes one stream. Feed it every chunk in turn; what is incomplete when the stream ends is no event.

    Args:
        max_event_bytes: how many bytes one event may have before it is refused.
        error: the exception for such an event, made of a message.

    Attributes:
        fault: the error for an event that has grown beyond the bound, also while those ahead of it are returned.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES, error: type[Exception] = EventTooLargeError) -> None:
        if max_event_bytes < 1:
            raise ValueError(f"max_event_bytes must be positive, not {max_event_bytes}")
        self._max = max_event_bytes
        self._error = error
        self._parts: list[bytes] = []  # an unfinished line, not joined until its end is there
        self._open = 0  # bytes of the unfinished line
        self._held = 0  # bytes of the data lines so far
        self._rest: bytes = b""  # while all is plain: an unfinished event from its beginning
        self._plain = False
        self._at_start = True
        self._after_cr = False  # the last chunk ended with CR: an LF that follows belongs to it
        self._data: list[bytes] = []
        self._event = b""
        self._id = ""
        self._retry: int | None = None
        self.fault: Exception | None = None

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that this chunk completes.

        Raises:
            EventTooLargeError: an event has grown beyond the bound, and none of this chunk was ahead of it.
        """
        return [
            ServerSentEvent(found.decode("utf-8", "replace")) if isinstance(found, bytes) else found
            for found in reversed(self.split(chunk))
            if not isinstance(found, Exception)
        ]

    def split(self, chunk: bytes) -> list[Frame]:
        """Return the same for speed, the last event first: of one that is a line of data alone, just the data's bytes.

        Raises:
            EventTooLargeError: an event has grown beyond the bound, and none of this chunk was ahead of it.
        """
        if self._plain:
            # Where there are no other lines than of data, one to an event, splitting is all that there is to do.
            if self._rest:
                chunk = self._rest + chunk
            body = chunk.removeprefix(DATA)
            if len(body) + len(DATA) == len(chunk) <= self._max and CR not in body:
                text = body.removesuffix(b"\n\n")
                if LF not in text and len(text) != len(body):
                    self._rest = b""
                    return [text]
                *whole, rest = body.split(BETWEEN)
                lines_of_rest = rest.count(b"\n")
                if LF not in b"".join(whole):
                    if not lines_of_rest or (lines_of_rest == 1 and rest[-1] == LF and len(rest) <= MOST):
                        self._rest = DATA + rest
                        if len(rest) > MOST:
                            # No bound to check: the whole chunk is within it.
                            self._plain = False
                            self._hold(self._rest)
                            self._rest = b""
                        return [*whole[::-1]]
                    if lines_of_rest == 2 and rest.endswith(b"\n\n"):
                        self._rest = b""
                        return [rest[:-2], *whole[::-1]]
            self._rest, self._plain = b"", False
        return self._by_lines(chunk)

    def _by_lines(self, chunk: bytes) -> list[Frame]:
        """The events of a chunk, by all rules."""
        if self.fault is not None:
            raise self.fault
        events: list[Frame] = []
        try:
            self._take(chunk, events)
        except self._error as fault:
            self.fault = fault
            if not events:
                raise
            events.append(fault)
        events.reverse()
        return events

    def _take(self, chunk: bytes, events: list[Frame]) -> None:
        """Take a chunk in, and append the events that it completes."""
        if self._at_start and not (chunk := self._without_bom(chunk)):
            return
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if LF not in chunk and CR not in chunk:
            self._hold(chunk)
            return
        if self._parts:
            chunk = b"".join([*self._parts, chunk])
            self._parts.clear()
            self._open = 0
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
        self._hold(rest)
        if not (self._data or self._event or self._id or self._after_cr or self._retry is not None):
            # An event begins here, and nothing is known that would belong to it.
            self._rest, self._plain = b"".join(self._parts), True
            self._parts.clear()
            self._open = 0

    def _without_bom(self, chunk: bytes) -> bytes:
        chunk = b"".join([*self._parts, chunk])
        self._parts.clear()
        if len(chunk) < len(BOM) and BOM.startswith(chunk):
            self._parts.append(chunk)
            return b""
        self._at_start = False
        return chunk.removeprefix(BOM)

    def _hold(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self._open += len(part)
            if self._held + self._open > self._max:
                raise self._too_large()

    def _too_large(self) -> Exception:
        return self._error(
            f"An event of the stream is larger than {self._max} bytes. Raise max_event_bytes if that is expected."
        )

    def _field(self, line: bytes) -> None:
        if self._held + len(line) > self._max:  # what `_hold` asks of its pieces: where it was cut shall not matter
            raise self._too_large()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._held += len(value) + 1
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
        self._event, self._retry, self._held = b"", None, 0
        if not found:
            return None
        kind = event.decode("utf-8", "replace") if event else "message"
        return ServerSentEvent(data.decode("utf-8", "replace"), kind, self._id, retry)

"""What is one of several things: decoding it, and telling what it is.

The dispatch itself is generated; this is its public face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from letta_api.decoding import Unknown
from letta_api.unions import (
    Message,
    StreamEvent,
    UnknownMessage,
    UnknownStreamEvent,
    decode_message,
    decode_stream_event,
    read_message,
    read_stream_event,
)

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # type checkers have it; before Python 3.13 `typing` has not

__all__ = [
    "Message",
    "StreamEvent",
    "Unknown",
    "UnknownMessage",
    "UnknownStreamEvent",
    "is_unknown",
    "parse_event",
    "parse_message",
    "read_event",
    "read_message",
]


def parse_message(data: Any) -> Message:
    """Decodes the JSON of a message by its `message_type`.

    What is unknown or malformed becomes an `UnknownMessage`, which keeps it and says why; nothing is raised.
    """
    return decode_message(data)


def parse_event(data: Any) -> StreamEvent:
    """Decodes the JSON of an event of a stream by its `message_type`.

    What is unknown or malformed becomes an `UnknownStreamEvent`, which keeps it and says why; nothing is raised.
    """
    return decode_stream_event(data)


def read_event(text: str | bytes) -> StreamEvent:
    """Decodes the JSON text of an event of a stream, such as an event's data: what `parse_event` does, faster.

    Raises:
        ValueError: the text is no JSON.
    """
    return read_stream_event(text)


def is_unknown(value: object) -> TypeIs[Unknown]:
    """Whether a decoded value is of a kind that this version does not know, or was malformed."""
    return isinstance(value, Unknown)

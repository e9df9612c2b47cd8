"""The unions of messages and stream events, with their decoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from letta_api.model import Unknown
from letta_api.unions import (
    Message,
    StreamEvent,
    UnknownMessage,
    UnknownStreamEvent,
    message_from_dict,
    message_from_json,
    stream_event_from_dict,
    stream_event_from_json,
)

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # part of `typing` since Python 3.13

__all__ = [
    "Message",
    "StreamEvent",
    "Unknown",
    "UnknownMessage",
    "UnknownStreamEvent",
    "is_unknown",
    "message_from_dict",
    "message_from_json",
    "stream_event_from_dict",
    "stream_event_from_json",
]


def is_unknown(value: object) -> TypeIs[Unknown]:
    """Return whether a decoded value is malformed or of a type that this version does not support."""
    return isinstance(value, Unknown)

"""Unions of messages and stream events: decode them, and recognize unknown members.

The decoders are generated; this module is their public address.
"""

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
    from typing_extensions import TypeIs  # type checkers include it; `typing` has it since Python 3.13

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
    """Return whether a decoded value has a type that this version does not know, or is malformed."""
    return isinstance(value, Unknown)

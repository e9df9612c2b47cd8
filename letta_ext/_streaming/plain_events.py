"""The events of a stream that change nothing but the number of events: nearly all of a token stream.

They are recognized by the structs that msgspec parses, which are checked in less time than models. Other events, and
those that msgspec rejects, are decoded by the decoder of the operation. The result is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, Final, TypeAlias, get_args

from letta_api.learned_fields import LEARNED
from letta_api.structs import STRUCT_DECODERS, StructType, msgspec, parser, reject

STATE_EVENTS: Final = frozenset({"ping", "stop_reason", "error_message"})
"""The types of events that change the state of the stream."""

Parser: TypeAlias = Callable[[Any], Any]
"""A function that parses JSON text to a struct, or raises one of `FALLBACK_ERRORS`."""

Decoders: TypeAlias = dict[Any, Callable[[Any], Any]]
"""The functions that convert structs of plain events to models."""


class _PlainDecoders(Decoders):
    def __init__(self, structs: frozenset[Any]) -> None:
        super().__init__()
        self._structs = structs

    def __missing__(self, struct: Any) -> Callable[[Any], Any]:
        if struct not in self._structs:
            raise KeyError(struct)
        decode = STRUCT_DECODERS[struct]
        if isinstance(decode, FunctionType):  # a method compiles the function on its first call
            self[struct] = decode
        return decode


class PlainEvents:
    """The parser and the decoders of plain events, which all streams of the process share."""

    def __init__(self) -> None:
        self._current: tuple[object, Parser, Decoders] | None = None  # with the version of the learned fields

    def current(self) -> tuple[Parser, Decoders]:
        """Return the parser and the decoders. They are created again after fields were learned."""
        current = self._current
        if current is None or current[0] is not LEARNED.version:
            current = self._current = self._create()
        return current[1:]

    def _create(self) -> tuple[object, Parser, Decoders]:
        from letta_api.unions.stream_event import stream_event_struct  # loaded on demand, like all models

        structs: set[Any] = set()

        def struct() -> StructType:
            found = stream_event_struct()
            structs.update(each for each in get_args(found.type) if "seq_id" in each.__struct_fields__)
            return found

        version = LEARNED.version  # read first: fields that are learned in the meantime change it
        try:
            parse = parser(struct)
        except ValueError:  # a signal handler interrupted another call
            return None, reject, {}
        return version, parse, _PlainDecoders(frozenset(s for s in structs if s.message_type not in STATE_EVENTS))


PLAIN_EVENTS: Final = PlainEvents()


def has_plain_events(read: Callable[[Any], Any]) -> bool:
    """Return whether plain events can be decoded without the decoder of an operation."""
    from letta_api.unions.stream_event import stream_event_from_json  # loaded with the operation

    return msgspec is not None and read is stream_event_from_json

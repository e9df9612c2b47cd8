"""Type guards for JSON values, and the marker for arguments that are not given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeGuard


class NotGiven:
    """The type of `NOT_GIVEN`."""

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Final = NotGiven()
"""The default of arguments for which None is a valid value."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether a value is a mapping, the counterpart of a JSON object."""
    return isinstance(value, Mapping)


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Return whether a value is a sequence other than a string, the counterpart of a JSON array."""
    return not isinstance(value, (str, bytes, bytearray)) and isinstance(value, Sequence)


def is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    """Return whether a value is a tuple."""
    return isinstance(value, tuple)


def is_id(value: object) -> TypeGuard[str]:
    """Return whether a value is an id of 1 to 200 letters, digits, underscores and hyphens."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


MAX_NESTING: Final = 100
"""Nesting up to which `repr`, `json` and `pickle` do not exceed the recursion limit."""


def truncate_nesting(value: Any) -> Any:
    """Return a JSON value with values nested deeper than `MAX_NESTING` levels replaced by "…"."""
    return _truncate(value, MAX_NESTING) if _is_deep(value) else value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_NESTING):
        if not level:
            return False
        level = [child for each in level for child in _children(each)]
    return any(is_mapping(each) or is_sequence(each) for each in level)


def _children(value: Any) -> Iterable[Any]:
    return value.values() if is_mapping(value) else value if is_sequence(value) else ()


def _truncate(value: Any, levels: int) -> Any:
    if is_mapping(value):
        return {key: _truncate(item, levels - 1) for key, item in value.items()} if levels else "…"
    if is_sequence(value):
        return [_truncate(item, levels - 1) for item in value] if levels else "…"
    return value


def exact(value: Any) -> Any:
    """Return a string or number of a subclass, such as a member of an enum, as the built-in type that is sent."""
    if isinstance(value, str):
        return value if type(value) is str else str.__str__(value)
    if isinstance(value, bool) or type(value) in (int, float):
        return value
    if isinstance(value, int):
        return int.__int__(value)
    return float.__float__(value) if isinstance(value, float) else value

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
    """Whether a value is a JSON object, or a mapping in its place."""
    return isinstance(value, Mapping)


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a JSON array, or a sequence in its place; a string is none."""
    return not isinstance(value, (str, bytes, bytearray)) and isinstance(value, Sequence)


def is_id(value: object) -> TypeGuard[str]:
    """Whether a value can be an id: up to 200 letters, digits, underscores and hyphens."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


MAX_NESTING: Final = 100
"""Levels of nesting up to which a value can be shown, written and pickled in any place of a program."""


def truncate_nesting(value: Any) -> Any:
    """A JSON value without what is nested deeper than `MAX_NESTING` levels; the value itself where nothing is."""
    return _cut(value, MAX_NESTING) if _is_deep(value) else value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_NESTING):
        if not level:
            return False
        level = [inner for each in level for inner in _inner(each)]
    return any(is_mapping(each) or is_sequence(each) for each in level)


def _inner(value: Any) -> Iterable[Any]:
    return value.values() if is_mapping(value) else value if is_sequence(value) else ()


def _cut(value: Any, levels: int) -> Any:
    if is_mapping(value):
        return {key: _cut(item, levels - 1) for key, item in value.items()} if levels else "…"
    if is_sequence(value):
        return [_cut(item, levels - 1) for item in value] if levels else "…"
    return value

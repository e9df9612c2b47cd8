"""Telling JSON shapes apart, so that a type checker learns it too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeGuard

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value is a JSON object, or a mapping in its place."""
    return isinstance(value, Mapping)


def is_array(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a JSON array, or a sequence in its place; a string is none."""
    return not isinstance(value, (str, bytes, bytearray)) and isinstance(value, Sequence)


def is_id(value: object) -> TypeGuard[str]:
    """Whether a value can be an id: up to 200 letters, digits, underscores and hyphens."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


DEEPEST: Final = 100
"""Levels of nesting up to which a value can be shown, written and pickled in any place of a program."""


def pruned(value: Any) -> Any:
    """A JSON value without what is nested deeper than `DEEPEST` levels; the value itself where nothing is."""
    return _cut(value, DEEPEST) if _is_deep(value) else value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        if not level:
            return False
        level = [inner for each in level for inner in _inner(each)]
    return any(is_object(each) or is_array(each) for each in level)


def _inner(value: Any) -> Iterable[Any]:
    return value.values() if is_object(value) else value if is_array(value) else ()


def _cut(value: Any, levels: int) -> Any:
    if is_object(value):
        return {key: _cut(item, levels - 1) for key, item in value.items()} if levels else "…"
    if is_array(value):
        return [_cut(item, levels - 1) for item in value] if levels else "…"
    return value

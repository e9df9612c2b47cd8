"""Parameters in styles other than a repeated name: delimited arrays, objects and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .json_values import is_mapping, is_sequence, to_json_value
from .types import UNSET, QueryValue, Unset


def delimited(value: Any, separator: str) -> Any:
    """Return an array, or the keys and values of an object, as one text. Other values are returned unchanged."""
    plain = to_json_value(value)
    if is_mapping(plain):
        plain = [part for key, item in plain.items() for part in (key, item)]
    if not is_sequence(plain):
        return value
    return separator.join(_text(item) for item in plain)


def exploded(value: Any) -> Mapping[str, QueryValue | Sequence[QueryValue] | Unset]:
    """Return the properties of an object as parameters of their own.

    Raises:
        TypeError: If the value is not an object.
    """
    return {} if value is UNSET or value is None else _object(value)


def deep_object(name: str, value: Any) -> dict[str, QueryValue | Sequence[QueryValue] | Unset]:
    """Return the properties of an object as parameters whose names contain the path, such as `filter[id]`.

    Raises:
        TypeError: If the value is not an object.
    """
    found: dict[str, QueryValue | Sequence[QueryValue] | Unset] = {}
    if value is UNSET or value is None:
        return found
    for key, item in _object(value).items():
        path = f"{name}[{key}]"
        found |= deep_object(path, item) if is_mapping(item) else {path: item}
    return found


def json_text(value: Any) -> Any:
    """Return a value as JSON text. UNSET is returned unchanged."""
    return (
        UNSET
        if value is UNSET
        else json.dumps(to_json_value(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    )


def flag(value: bool) -> str:
    """Return a boolean in a path."""
    return "true" if value else "false"


def _object(value: Any) -> dict[str, Any]:
    plain = to_json_value(value)
    if not is_mapping(plain):
        raise TypeError(f"parameter must be an object, got {type(value).__name__}")
    return dict(plain)


def _text(item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if not isinstance(item, (str, int, float)):
        raise TypeError(f"items of a parameter must be strings, numbers or booleans, got {type(item).__name__}")
    return str.__str__(item) if isinstance(item, str) else repr(item)

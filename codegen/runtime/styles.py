"""Parameters in styles other than a repeated name: delimited arrays, objects, JSON and cookies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from .json_values import is_mapping, is_sequence, to_json_value
from .types import MAX_URL_LENGTH, UNSET, QueryValue, Unset

PREFIXES: Final = {"simple": "", "label": ".", "matrix": ";", "form": ""}
SEPARATORS: Final = {"simple": ",", "label": ".", "matrix": ";", "form": "&"}
"""The text before an expanded value, and between its parts if it is exploded."""


def expanded(name: str, value: Any, style: str, *, explode: bool = False) -> str:
    """Return a percent-encoded array, object or scalar in a style of RFC 6570.

    Raises:
        TypeError: If a part is not a string, a number or a boolean.
        ValueError: If a part cannot be encoded.
    """
    plain = to_json_value(value)
    if is_mapping(plain):
        parts = [("=" if explode else ",").join((_encoded(name, key), _encoded(name, plain[key]))) for key in plain]
    else:
        parts = [_encoded(name, item) for item in (plain if is_sequence(plain) else (plain,))]
    if style == "matrix" and not (explode and is_mapping(plain)):
        parts = [f"{quote(name)}={part}" for part in (parts if explode else [",".join(parts)])]
    elif style == "form" and explode:
        parts = [*parts[:1], *(f"{quote(name)}={part}" for part in parts[1:])]
    return PREFIXES[style] + (SEPARATORS[style] if explode else ",").join(parts)


def expand(path: str, **texts: str) -> str:
    """Return a path with expanded parameters.

    Raises:
        ValueError: If a parameter is empty, a dot segment or too long.
    """
    for name, text in texts.items():
        if text in ("", ".", ".."):
            raise ValueError(f"{name} must not be empty or a dot segment, got {text!r}")
        path = path.replace("{" + name + "}", text)
        if len(path) > MAX_URL_LENGTH:
            raise ValueError(f"{name} must be shorter: a path has at most {MAX_URL_LENGTH:,} characters when encoded")
    return path


def make_cookies(values: Mapping[str, Any], *joined: str) -> dict[str, Any]:
    """Return the cookies of a request. UNSET and None are omitted.

    Args:
        values: The parameters. The properties of an object are cookies of their own.
        joined: The names of the parameters that are one cookie even if they are objects or arrays.

    Raises:
        TypeError: If a part is not a string, a number or a boolean.
        ValueError: If a part cannot be encoded.
    """
    cookies: dict[str, str] = {}
    for name, value in values.items():
        plain = None if value is UNSET else to_json_value(value)
        if is_mapping(plain) and name not in joined:
            given = {_encoded(name, key): item for key, item in plain.items() if item is not None}
            cookies |= {key: expanded(key, item, "form") for key, item in given.items()}
        elif plain is not None:
            cookies[name] = expanded(name, plain, "form", explode=name not in joined)
    return {"cookies": cookies} if cookies else {}


def delimited(value: Any, separator: str, *, explode: bool = False) -> Any:
    """Return an array, or the keys and values of an object, as one text. Other values are returned unchanged."""
    plain = to_json_value(value)
    if is_mapping(plain):
        pairs = [(_text(key), _text(item)) for key, item in plain.items()]
        plain = ["=".join(pair) for pair in pairs] if explode else [part for pair in pairs for part in pair]
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


def _encoded(name: str, item: Any) -> str:
    try:
        return quote(_text(item), safe="")
    except UnicodeEncodeError:
        raise ValueError(f"{name} must be text that UTF-8 can encode, got {item!a:.100}") from None


def _text(item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if not isinstance(item, (str, int, float)):
        raise TypeError(f"items of a parameter must be strings, numbers or booleans, got {type(item).__name__}")
    return str.__str__(item) if isinstance(item, str) else repr(item)

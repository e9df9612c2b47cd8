"""Request bodies that are not JSON: forms, files, text and bytes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import IO, Any, TypeAlias

from .json_values import is_iterable, is_mapping, is_sequence, to_json_value
from .types import UNSET

FileContent: TypeAlias = bytes | str | IO[bytes]

File: TypeAlias = FileContent | tuple[str, FileContent] | tuple[str, FileContent, str]
"""The content of a file, or a tuple of its name, its content and its content type."""


def make_form(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a URL-encoded body. UNSET and None are omitted, an array repeats its name, and objects are sent as JSON.

    Raises:
        TypeError: If the body is not an object, or a value is not a JSON value.
    """
    data: dict[str, list[str]] = {}
    for name, value in _pairs(values, ()):
        data.setdefault(name, []).append(_text(name, value))
    return {"data": data}


def make_multipart(values: Mapping[str, Any], *files: str) -> dict[str, Any]:
    """Return a multipart body, which encodes fields as `make_form` does.

    Args:
        values: The fields.
        files: The names of the fields that are files. Bytes and open files are files in other fields too.

    Raises:
        TypeError: If the body is not an object, or a value is neither a JSON value nor a file.
    """
    parts: list[tuple[str, Any]] = []
    for name, value in _pairs(values, files):
        if name not in files and not _is_content(value):
            parts.append((name, (None, _text(name, value))))
        else:
            parts.append((name, (name, value) if isinstance(value, (bytes, str)) else value))
    return {"files": parts}


def make_content(value: bytes | str) -> dict[str, Any]:
    """Return a body of bytes or text.

    Raises:
        TypeError: If it is neither.
    """
    if not isinstance(value, (bytes, str)):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise TypeError(f"body must be bytes or text, got {type(value).__name__}")
    return {"content": value}


def _pairs(values: Mapping[str, Any], files: Collection[str]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    if not is_mapping(values):  # callers without types
        raise TypeError(f"body must be an object, got {type(values).__name__}")
    for name, value in values.items():
        many = is_iterable(value) and not (name in files and _is_one_file(value)) and not _is_content(value)
        items: Iterable[Any] = value if many else (value,)
        found += [(name, item) for item in items if item is not None and item is not UNSET]
    return found


def _is_content(value: object) -> bool:
    """Return whether a value is the content of a file, or a tuple with it, in a field that can have any JSON value."""
    content = value[1] if is_sequence(value) and isinstance(value, tuple) and len(value) in (2, 3) else value
    return isinstance(content, bytes) or hasattr(content, "read")


def _is_one_file(value: object) -> bool:
    """Return whether an iterable is one file: a tuple of its name and content, or an open file."""
    return isinstance(value, tuple) or hasattr(value, "read")


def _text(name: str, value: Any) -> str:
    plain = to_json_value(value)
    if isinstance(plain, str):
        return str.__str__(plain)  # `str` would return the name of an Enum member
    try:
        return json.dumps(plain, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be a JSON value, got {type(value).__name__}: {error}") from None

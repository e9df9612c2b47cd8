"""Validation of the embedded server's arguments where they are passed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import TypeGuard, TypeVar

from .api.validation import is_object

T = TypeVar("T")

_UNWRITABLE = re.compile("[\\x00\\ud800-\\udfff]")
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def integer(name: str, value: object, minimum: int = 0, maximum: int | None = None) -> None:
    """Validate that a value is an integer within the bounds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {short_repr(value)}")
    if value < minimum or (maximum is not None and value > maximum):
        bounds = f"at least {minimum}" if maximum is None else f"between {minimum} and {maximum}"
        raise ValueError(f"{name} must be {bounds}, got {short_repr(value)}")


def seconds(name: str, value: object) -> None:
    """Validate that a value is a number of seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, got {short_repr(value)}")
    if not _is_finite(value) or value < 0:
        raise ValueError(f"{name} must be a finite number of seconds and not negative, got {short_repr(value)}")


def text(name: str, value: object) -> None:
    """Validate that a value is a str without NUL and lone surrogates."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, got {short_repr(value)}")
    if _UNWRITABLE.search(value):
        raise ValueError(f"{name} must not contain NUL or lone surrogates, got {short_repr(value)}")


def texts(name: str, value: object) -> None:
    """Validate that a value is a sequence of str."""
    items(name, value, str)
    for index, item in enumerate(sequence(name, value)):
        text(f"{name}[{index}]", item)


def items(name: str, value: object, expected: type[T]) -> None:
    """Validate that a value is a sequence of instances of a class."""
    for index, item in enumerate(sequence(name, value)):
        instance(f"{name}[{index}]", item, expected)


def sequence(name: str, value: object) -> Sequence[object]:
    """Validate that a value is a list or a tuple, and return it."""
    if not _is_sequence(value):
        raise TypeError(f"{name} must be a list or a tuple, got {short_repr(value)}")
    return value


def flag(name: str, value: object) -> None:
    """Validate that a value is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {short_repr(value)}")


def instance(name: str, value: object, expected: type[object]) -> None:
    """Validate that a value is an instance of a class."""
    if not isinstance(value, expected):
        raise TypeError(f"{name} must be a {expected.__name__}, got {short_repr(value)}")


def one_of(name: str, value: object, choices: Sequence[object]) -> None:
    """Validate that a value is one of the choices."""
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {short_repr(value)}")


def json_value(name: str, value: object) -> None:
    """Validate that a value can be encoded as JSON."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except TypeError as error:
        raise TypeError(f"{name} must be JSON: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} must be JSON: {error}") from None


def json_object(name: str, value: object) -> None:
    """Validate that a value can be encoded as a JSON object."""
    if not is_object(value):
        raise TypeError(f"{name} must be a mapping, got {short_repr(value)}")
    for key in value:
        text(f"a key of {name}", key)
    json_value(name, dict(value))


def header_value(name: str, value: object) -> None:
    """Validate that a value is valid in a header."""
    text(name, value)
    if not isinstance(value, str) or not _FIELD_VALUE.fullmatch(value) or value.strip() != value:
        raise ValueError(f"{name} must be a valid header value, got {type(value).__name__}")


def headers(name: str, value: object) -> None:
    """Validate that a value is a mapping of headers."""
    if not is_object(value):
        raise TypeError(f"{name} must be a mapping, got {short_repr(value)}")
    for key, item_value in value.items():
        text(f"a key of {name}", key)
        if not _FIELD_NAME.fullmatch(str(key)):
            raise ValueError(f"{name} must have header names as keys, got {short_repr(key)}")
        header_value(f"{name}[{key!r}]", item_value)


def short_repr(value: object) -> str:
    """Return the repr of a value, shortened."""
    try:
        representation = ascii(value)
    except Exception as error:  # noqa: BLE001  # the repr of a caller's object may raise any exception
        representation = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return representation if len(representation) <= 80 else f"{representation[:77]}..."


def _is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # the integer exceeds the range of float
        return False

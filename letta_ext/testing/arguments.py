"""Checks of the arguments of the embedded server: a wrong one is refused where it is given, not where it is used."""

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


def whole(name: str, value: object, least: int = 0, most: int | None = None) -> None:
    """Refuse a value that is not a whole number within the bounds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {shown(value)}")
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be {bounds}, got {shown(value)}")


def seconds(name: str, value: object) -> None:
    """Refuse a value that is not a number of seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, got {shown(value)}")
    if not _is_finite(value) or value < 0:
        raise ValueError(f"{name} must be a finite number of seconds and not negative, got {shown(value)}")


def text(name: str, value: object) -> None:
    """Refuse a value that is not text, or that UTF-8 and databases cannot hold."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, got {shown(value)}")
    if _UNWRITABLE.search(value):
        raise ValueError(f"{name} must not contain NUL or lone surrogates, got {shown(value)}")


def texts(name: str, value: object) -> None:
    """Refuse a value that is not a sequence of texts."""
    items(name, value, str)
    for index, item in enumerate(sequence(name, value)):
        text(f"{name}[{index}]", item)


def items(name: str, value: object, kind: type[T]) -> None:
    """Refuse a value that is not a sequence of instances of a class."""
    for index, item in enumerate(sequence(name, value)):
        instance(f"{name}[{index}]", item, kind)


def sequence(name: str, value: object) -> Sequence[object]:
    """Return a value that is a list or a tuple."""
    if not _is_sequence(value):
        raise TypeError(f"{name} must be a list or a tuple, got {shown(value)}")
    return value


def flag(name: str, value: object) -> None:
    """Refuse a value that is neither True nor False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")


def instance(name: str, value: object, kind: type[object]) -> None:
    """Refuse a value that is not an instance of a class."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {shown(value)}")


def one_of(name: str, value: object, choices: Sequence[object]) -> None:
    """Refuse a value that is none of the choices."""
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {shown(value)}")


def json_value(name: str, value: object) -> None:
    """Refuse a value that cannot be written as JSON."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except TypeError as error:
        raise TypeError(f"{name} must be JSON: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} must be JSON: {error}") from None


def json_object(name: str, value: object) -> None:
    """Refuse a value that cannot be written as a JSON object with these keys."""
    if not is_object(value):
        raise TypeError(f"{name} must be a mapping, got {shown(value)}")
    for key in value:
        text(f"a key of {name}", key)
    json_value(name, dict(value))


def header_value(name: str, value: object) -> None:
    """Refuse a value that cannot stand in a header."""
    text(name, value)
    if not isinstance(value, str) or not _FIELD_VALUE.fullmatch(value) or value.strip() != value:
        raise ValueError(f"{name} must be a header value without control characters, got {shown(value)}")


def headers(name: str, value: object) -> None:
    """Refuse a value that is not a mapping of headers."""
    if not is_object(value):
        raise TypeError(f"{name} must be a mapping, got {shown(value)}")
    for key, each in value.items():
        text(f"a key of {name}", key)
        if not _FIELD_NAME.fullmatch(str(key)):
            raise ValueError(f"{name} must have names of headers as keys, got {shown(key)}")
        header_value(f"{name}[{key!r}]", each)


def shown(value: object) -> str:
    """Return the repr of a value, shortened."""
    try:
        spelt = ascii(value)
    except Exception as error:  # noqa: BLE001  # the repr of a caller's object may raise any exception
        spelt = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return spelt if len(spelt) <= 80 else f"{spelt[:77]}..."


def _is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond every float
        return False

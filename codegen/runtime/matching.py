"""Decoding of unions whose members cannot be distinguished before they are decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .model import Model
from .structs import DECODE_ERRORS

T = TypeVar("T")


def same(value: Any) -> Any:
    """Return a JSON value that needs no decoder."""
    return value


def best_match(value: Any, decoders: Sequence[Callable[[Any], T]]) -> T:
    """Return the value as decoded by the decoder that leaves the fewest unknown fields, or the first of several.

    Raises:
        TypeError: If no decoder accepts it. Other errors of decoders are raised as well.
    """
    found: list[T] = []
    failures: list[Exception] = []
    for decode in decoders:
        try:
            result = decode(value)
        except DECODE_ERRORS as fault:
            failures.append(fault)
            continue
        if not _unknown_fields(result):
            return result
        found.append(result)
    if not found:
        raise failures[0]
    return min(found, key=_unknown_fields)


def _unknown_fields(value: object) -> int:
    return len(value.extra_fields) if isinstance(value, Model) else 0

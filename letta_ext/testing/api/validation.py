"""Types of JSON values, and the values that Letta's database does not store."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeGuard

MAX_DEPTH = 200
"""Maximum nesting depth of a body."""

MAX_NUMBER_LENGTH = 4_300
"""Maximum number of digits of an integer, in pydantic and Python."""

_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")


def is_object(value: object) -> TypeGuard[Mapping[str, object]]:
    """Return whether a value is a JSON object."""
    return isinstance(value, Mapping)


def is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    """Return whether a value is a JSON array."""
    return isinstance(value, list)


def sanitize(value: object, max_depth: int = MAX_DEPTH) -> object:
    """Return a JSON value without NUL and lone surrogates, which Letta's database does not store.

    Raises:
        RecursionError: If the value is nested too deeply.
    """
    if max_depth < 0:
        raise RecursionError("nested too deeply")
    if isinstance(value, str):
        return value if value.isprintable() else _UNSTORABLE.sub("", value)
    if is_sequence(value):
        return [sanitize(item, max_depth - 1) for item in value]
    if is_object(value):
        return {str(sanitize(name)): sanitize(item, max_depth - 1) for name, item in value.items()}
    return value

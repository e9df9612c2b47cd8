"""Telling JSON shapes apart, so that a type checker learns it too."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value is a JSON object, or a mapping in its place."""
    return isinstance(value, Mapping)


def is_array(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a JSON array, or a sequence in its place; a string is none."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))


def is_id(value: object) -> TypeGuard[str]:
    """Whether a value can be an id: up to 200 letters, digits, underscores and hyphens."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None

"""Undocumented fields that a server sends. The fast path learns their keys, so that it decodes such objects too.

A struct rejects an object with an unknown field, which then takes the fallback. That finds the keys, and the structs
are created again with a field for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .model import Model

MAX_SEARCHES: Final = 256
"""The number of decoded values that are searched for new keys. Servers whose keys vary then use the fallback."""

MAX_KEYS: Final = 32
"""The number of keys that are learned for a model."""

MAX_DEPTH: Final = 12
"""The levels of a value that are searched."""

KEY: Final = re.compile("[A-Za-z_][A-Za-z0-9_]{0,63}")
"""A key that can be learned. msgspec rejects some others as names of fields."""

UNKNOWN_FIELD: Final = "unknown field"
"""A part of the message of msgspec for an unknown field. Without it, nothing is learned."""


def is_unknown_field(error: Exception) -> bool:
    """Return whether the fast path rejected an unknown field."""
    return UNKNOWN_FIELD in str(error)


class LearnedFields:
    """The undocumented keys of models.

    Attributes:
        version: A different object after each change.
    """

    def __init__(self) -> None:
        self._keys: dict[type[Model], tuple[str, ...]] = {}
        self._searches = 0
        self.version = object()

    def keys_of(self, cls: type[Model]) -> tuple[str, ...]:
        """Return the learned keys of a model."""
        return self._keys.get(cls, ())

    def has_changed(self, version: object, decoded: object) -> bool:
        """Return whether structs that rejected an unknown field have to be created again.

        Args:
            version: The version that they were created with.
            decoded: The value, decoded by the fallback.
        """
        if self._searches < MAX_SEARCHES:
            self._searches += 1
            self._learn(decoded)
        return version is not self.version

    def _learn(self, decoded: object) -> None:
        for cls, key in _undocumented(decoded, MAX_DEPTH):
            known = self.keys_of(cls)
            if key not in known and len(known) < MAX_KEYS and KEY.fullmatch(key):
                self._keys[cls] = (*known, key)
                self.version = object()


def _undocumented(value: Any, depth: int) -> Iterator[tuple[type[Model], str]]:
    """Yield each undocumented key of a decoded value, with its model. Lazy arrays are not decoded."""
    children: Any = ()
    if (table := getattr(value.__class__, "_field_table", None)) is not None:
        yield from ((value.__class__, key) for key in value._extra or () if key not in table)
        children = value._present().values()
    elif value.__class__ is list:
        children = value
    elif value.__class__ is dict:
        children = value.values()
    if depth:
        for child in children:
            yield from _undocumented(child, depth - 1)


LEARNED: Final = LearnedFields()
"""The keys that this process has learned."""

"""Checkpoints: positions in a list as JSON values, from which another process continues."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final, TypeAlias

from attrs import frozen

from .._http.requests import OPTIONS
from .._types import is_mapping, is_sequence
from .items import is_cursor, stable_key
from .moves import FirstRecords
from .seen_items import LastRecords

CHECKPOINT_CURSORS: Final = 64
"""The number of cursors in a checkpoint."""

CHECKPOINT_VERSION: Final = 1

ITEM_KEY: Final = re.compile("[0-9a-f]{1,15}")
"""The identity of an item in a checkpoint."""

Checkpoint: TypeAlias = dict[str, Any]
"""A position in a list, as a JSON value of a few kilobytes. Store it and pass it back unchanged."""


@frozen
class Position:
    """The position after a page, from which a checkpoint is made on demand."""

    list_id: tuple[str, ...]
    arguments: Mapping[str, Any]
    forward: str
    reversed: bool | None
    last_records: Callable[[], LastRecords]
    first_records: FirstRecords | None

    @property
    def cursor(self) -> str | None:
        """The cursor of the last record."""
        records = self.last_records().newest_first
        return records[0][0] if records else None

    def checkpoint(self) -> Checkpoint:
        """Return the position as a JSON value."""
        last = self.last_records()
        # All records are also the first ones.
        first = None if last.complete else self.first_records
        return {
            "version": CHECKPOINT_VERSION,
            "of": list(self.list_id),
            "arguments": {name: value for name, value in self.arguments.items() if name not in OPTIONS},
            "cursors": last.cursors,
            # As text: JavaScript, for one, rounds integers of this size.
            "seen": [f"{key:x}" for key in sorted(set(map(stable_key, last.identities)))],
            "leading": self.forward,
            "reversed": self.reversed,
            "whole": last.complete,
            **({} if first is None else {"top": first.stored, "first": [f"{key:x}" for key in sorted(first.keys)]}),
        }


def is_checkpoint(value: Mapping[str, Any]) -> bool:
    """Return whether a mapping has the fields of a checkpoint, each of the right type."""
    return (
        is_mapping(arguments := value.get("arguments"))
        and all(isinstance(name, str) for name in arguments)
        and all(_are_cursors(value.get(name, default)) for name, default in (("cursors", None), ("top", ())))
        and all(_are_keys(value.get(name, default)) for name, default in (("seen", None), ("first", ())))
        and isinstance(value.get("leading"), str)
        and isinstance(value.get("reversed", 0), (bool, NoneType))
        and isinstance(value.get("whole"), bool)
    )


def _are_cursors(value: object) -> bool:
    return is_sequence(value) and all(map(is_cursor, value))


def _are_keys(value: object) -> bool:
    return is_sequence(value) and all(isinstance(key, str) and ITEM_KEY.fullmatch(key) for key in value)

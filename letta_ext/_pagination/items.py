"""The items of a list: their fields, their cursors, what tells one from another. Nothing here does I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, TypeGuard

from letta_api.model import Model, Unknown
from letta_api.operations import Pagination

from .._types import is_mapping

LONGEST_CURSOR: Final = 1000
"""Characters of the longest cursor that is sent; addresses are bounded."""


def field_of(item: Any, name: str) -> Any:
    """A field of an item, also of one that could not be decoded."""
    if isinstance(item, Unknown):
        return item.raw.get(name) if is_mapping(item.raw) else None
    return getattr(item, name, None)


def text_field(item: Any, name: str) -> str | None:
    """A field of an item where it is a string, else None: servers send any JSON where an id belongs."""
    found = field_of(item, name)
    return found if isinstance(found, str) else None


def is_cursor(value: object) -> TypeGuard[str]:
    """Whether a value can be sent as a cursor: a string that a query can hold."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_CURSOR and value.isprintable()


def date_of(message: Any) -> datetime | None:
    """When a message was made."""
    found = field_of(message, "date")
    if isinstance(found, str):  # one that could not be decoded
        try:
            found = datetime.fromisoformat(found)
        except ValueError:
            return None
    return found if isinstance(found, datetime) and found.tzinfo is not None else None


def identity(fields: Sequence[Any]) -> int:
    """What makes an item the same as another, in 60 bits: Python keeps those in 32 bytes."""
    try:
        text = "\0".join(map(str, fields))
    except RecursionError:  # the parser takes deeper nesting than Python can show
        text = "\0".join(each if isinstance(each, str) else type(each).__name__ for each in fields)
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big") >> 4


def told(item: Any) -> str:
    """All that an item is, or its text fields if it is nested too deeply to be shown."""
    try:
        return repr(item.raw if isinstance(item, Unknown) else item.to_dict() if isinstance(item, Model) else item)
    except RecursionError:
        fields: Any = item.raw if isinstance(item, Unknown) else item
        names = fields if is_mapping(fields) else getattr(fields, "fields_set", ())
        return repr([(name, text_field(item, name)) for name in sorted(map(str, names))])


def cursors_of(items: Sequence[Any], facts: Pagination) -> list[str]:
    """The cursors of items in their order; the parts of one stored thing share one."""
    found = (field_of(item, facts.cursor) for item in items)
    return list(dict.fromkeys(cursor for cursor in found if is_cursor(cursor)))


class Answer:
    """What one request brought.

    Attributes:
        items: the items.
        at: the cursor of each; None of what could not be decoded so far.
        keys: the identity of each.
        cursors: the cursors in their order; the parts of one stored thing share one.
        size: how many stored things these are; each item without a cursor counts as one.
    """

    def __init__(self, items: list[Any], facts: Pagination) -> None:
        self.items = items
        self.at: list[str | None] = []
        self.keys: list[int] = []
        names = [facts.cursor, *facts.item_key]
        alike: Counter[str] = Counter()
        for item in items:
            cursor, *fields = [field_of(item, name) for name in names]
            # `is_cursor`, without a call for each item.
            fits = cursor.__class__ is str and 0 < len(cursor) <= LONGEST_CURSOR and cursor.isprintable()
            cursor = cursor if fits else None
            self.at.append(cursor)
            if None in fields:
                # A part without a name of its own is told by which it is of those like it, since the parts of a stored
                # thing come together; something without an id, by all that it is.
                like = told(fields) if cursor is not None else told(item)
                fields += [like, alike[like]]
                alike[like] += 1
            self.keys.append(identity(fields))
        self.cursors = list(dict.fromkeys(cursor for cursor in self.at if cursor is not None))
        self.size = len(self.cursors) + self.at.count(None)

    def turned(self) -> Answer:
        """The same back to front, the parts of each stored thing left in their order."""
        places: dict[str | None, list[int]] = {}
        for place, cursor in enumerate(self.at):
            places.setdefault(cursor, []).append(place)
        order = [place for group in reversed(places.values()) for place in group]
        turned = Answer.__new__(Answer)
        turned.items = [self.items[place] for place in order]
        turned.at = [self.at[place] for place in order]
        turned.keys = [self.keys[place] for place in order]
        turned.cursors = self.cursors[::-1]
        turned.size = self.size
        return turned

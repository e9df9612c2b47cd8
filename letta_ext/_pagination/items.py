"""The fields, cursors and identities of list items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, TypeGuard

from letta_api.model import Model, Unknown
from letta_api.operations import Pagination

from .._types import is_mapping

MAX_CURSOR_LENGTH: Final = 1000
"""Characters of the longest cursor that is sent. Servers and proxies bound the length of a URL."""


def field_of(item: Any, name: str) -> Any:
    """Return a field of an item, or of the raw JSON of an unknown item."""
    if isinstance(item, Unknown):
        return item.raw.get(name) if is_mapping(item.raw) else None
    return getattr(item, name, None)


def text_field(item: Any, name: str) -> str | None:
    """Return a field of an item if it is a string, else None. Ids may hold any JSON value."""
    found = field_of(item, name)
    return found if isinstance(found, str) else None


def is_cursor(value: object) -> TypeGuard[str]:
    """Return whether a value can be sent as a cursor in a query."""
    return isinstance(value, str) and 0 < len(value) <= MAX_CURSOR_LENGTH and value.isprintable()


def date_of(message: Any) -> datetime | None:
    """Return the creation time of a message, or None if it is missing, malformed or naive."""
    found = field_of(message, "date")
    if isinstance(found, str):  # an unknown message
        try:
            found = datetime.fromisoformat(found)
        except ValueError:
            return None
    return found if isinstance(found, datetime) and found.tzinfo is not None else None


def item_key(fields: Sequence[Any]) -> int:
    """Return a hash of the fields that identify an item. 60 bits fit into a Python integer of 32 bytes."""
    try:
        text = "\0".join(map(str, fields))
    except RecursionError:  # the JSON parser accepts deeper nesting than str() does
        text = "\0".join(each if isinstance(each, str) else type(each).__name__ for each in fields)
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big") >> 4


def describe(item: Any) -> str:
    """Return the content of an item as text. An item that is nested too deeply is described by its text fields."""
    try:
        return repr(item.raw if isinstance(item, Unknown) else item.to_dict() if isinstance(item, Model) else item)
    except RecursionError:
        fields: Any = item.raw if isinstance(item, Unknown) else item
        names = fields if is_mapping(fields) else getattr(fields, "fields_set", ())
        return repr([(name, text_field(item, name)) for name in sorted(map(str, names))])


def cursors_of(items: Sequence[Any], facts: Pagination) -> list[str]:
    """Return the distinct cursors of items, in order. The items of one stored record share a cursor."""
    found = (field_of(item, facts.cursor) for item in items)
    return list(dict.fromkeys(cursor for cursor in found if is_cursor(cursor)))


class FetchedPage:
    """The items of one response.

    Attributes:
        items: The items.
        item_cursors: The cursor of each item. None for an item without one.
        keys: The identity of each item.
        cursors: The distinct cursors, in order. The items of one stored record share a cursor.
        size: The number of stored records. An item without a cursor counts as one.
    """

    def __init__(self, items: list[Any], facts: Pagination) -> None:
        self.items = items
        self.item_cursors: list[str | None] = []
        self.keys: list[int] = []
        names = [facts.cursor, *facts.item_key]
        occurrences: Counter[str] = Counter()
        for item in items:
            cursor, *fields = [field_of(item, name) for name in names]
            # Inlines `is_cursor`, which would cost a call per item.
            fits = cursor.__class__ is str and 0 < len(cursor) <= MAX_CURSOR_LENGTH and cursor.isprintable()
            cursor = cursor if fits else None
            self.item_cursors.append(cursor)
            if None in fields:
                # Without all identifying fields, an item is identified by its position among items with the same ones.
                # The items of a record arrive together, so that position is stable.
                description = describe(fields) if cursor is not None else describe(item)
                fields += [description, occurrences[description]]
                occurrences[description] += 1
            self.keys.append(item_key(fields))
        self.cursors = list(dict.fromkeys(cursor for cursor in self.item_cursors if cursor is not None))
        self.size = len(self.cursors) + self.item_cursors.count(None)

    def in_reverse(self) -> FetchedPage:
        """Return the page with its records in reverse order. The items of each record keep their order."""
        records: dict[str | None, list[int]] = {}
        for index, cursor in enumerate(self.item_cursors):
            records.setdefault(cursor, []).append(index)
        order = [index for record in reversed(records.values()) for index in record]
        page = FetchedPage.__new__(FetchedPage)
        page.items = [self.items[index] for index in order]
        page.item_cursors = [self.item_cursors[index] for index in order]
        page.keys = [self.keys[index] for index in order]
        page.cursors = self.cursors[::-1]
        page.size = self.size
        return page

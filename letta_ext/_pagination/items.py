"""The fields, cursors and identities of list items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from itertools import chain
from operator import attrgetter, itemgetter
from types import NoneType
from typing import Any, Final, TypeAlias, TypeGuard

from letta_api.model import Model, Unknown
from letta_api.operations import Pagination

from .._types import is_mapping

MAX_CURSOR_LENGTH: Final = 1000
"""Characters of the longest cursor that is sent. Servers and proxies bound the length of a URL."""

PRINTABLE_ASCII: Final = bytes(range(32, 127))
"""The printable characters of ASCII."""

TEXTS: Final = frozenset({str, NoneType})
"""The types of fields that identify an item without further checks."""


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


Identity: TypeAlias = tuple[Any, ...] | int
"""What identifies an item: its identifying fields, or fields, a description and a number. In a checkpoint, its key."""


def item_key(fields: Sequence[Any]) -> int:
    """Return a hash of the fields that identify an item. 60 bits fit into a Python integer of 32 bytes."""
    try:
        text = "\0".join(map(str, fields))
    except RecursionError:  # the JSON parser accepts deeper nesting than str() does
        text = "\0".join(each if isinstance(each, str) else type(each).__name__ for each in fields)
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big") >> 4


def stable_key(identity: Identity) -> int:
    """Return the key of an item in checkpoints, which is the same in every process."""
    if isinstance(identity, int):
        return identity
    if isinstance(identity[0], tuple):
        fields, *rest = identity
        return item_key([*fields, *rest])
    return item_key([*identity, describe([*identity]), 0] if None in identity else identity)


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


class ItemFields:
    """The fields that identify items, as received: the caller may modify the items later.

    Attributes:
        identities: The identifying fields of each item.
        cursors: The field that is the cursor, of each item.
        have_own_cursors: Whether no two items share a cursor. False if a cursor cannot be hashed.
    """

    def __init__(self, items: Sequence[Any], facts: Pagination) -> None:
        names, cursor = facts.item_key, facts.cursor
        self.identities = _identities(items, names)
        if cursor in names:
            self.cursors = list(map(itemgetter(names.index(cursor)), self.identities))
        else:
            self.cursors = [field_of(item, cursor) for item in items]
        self._cursor_identifies = cursor in names
        try:
            self._distinct: set[Any] | None = set(self.cursors)
        except TypeError:  # arrays and objects cannot be hashed
            self._distinct = None
        self.have_own_cursors = self._distinct is not None and len(self._distinct) == len(self.cursors)

    def are_distinct(self) -> bool:
        """Return whether each item has a cursor and differs from the others in an identifying field."""
        if self._distinct is None or None in self._distinct:
            return False
        if self._cursor_identifies and self.have_own_cursors:
            return True
        try:
            return len(set(self.identities)) == len(self.cursors)
        except TypeError:  # as above
            return False

    def are_usable(self) -> bool:
        """Return whether each item has a valid cursor, and its other fields are strings or missing."""
        try:
            cursors = "".join(self.cursors)
        except TypeError:
            return False
        return (
            _is_printable(cursors)
            and all(self.cursors)
            and max(map(len, self.cursors), default=0) <= MAX_CURSOR_LENGTH
            and TEXTS.issuperset(map(type, chain.from_iterable(self.identities)))
        )


def _is_printable(text: str) -> bool:
    """Return `text.isprintable()`. It takes a quarter of the time for a long ASCII text."""
    return not text.encode().translate(None, PRINTABLE_ASCII) if text.isascii() else text.isprintable()


def _identities(items: Sequence[Any], names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return fields of each item."""
    if not any(hasattr(Unknown, name) for name in names):
        try:
            fields = list(map(attrgetter(*names), items))
            return fields if len(names) > 1 else list(zip(fields))
        except AttributeError:  # an item of an unknown kind, or without one of the fields
            pass
    return [tuple([field_of(item, name) for name in names]) for item in items]


class FetchedPage:
    """The items of one response.

    Attributes:
        items: The items.
        item_cursors: The cursor of each item. None for an item without one.
        identities: The identity of each item. Those of two responses can be compared.
        keys: The hash of each identity, which `SeenItems` computes. None before.
        cursors: The distinct cursors, in order. The items of one stored record share a cursor.
        size: The number of stored records. An item without a cursor counts as one.
    """

    def __init__(self, items: list[Any], facts: Pagination, fields: ItemFields | None = None) -> None:
        fields = fields or ItemFields(items, facts)
        self.items = items
        self.keys: list[int] | None = None
        self.item_cursors: list[str | None] = fields.cursors
        self.identities = fields.identities
        regular = fields.are_usable() and fields.are_distinct()
        if regular and fields.have_own_cursors:
            self.cursors: list[str] = fields.cursors
            self.size = len(items)
            return
        if not regular:
            self.item_cursors = [cursor if is_cursor(cursor) else None for cursor in fields.cursors]
            self.identities = [*self._numbered(fields.identities)]
        self.cursors = list(dict.fromkeys(cursor for cursor in self.item_cursors if cursor is not None))
        self.size = len(self.cursors) + self.item_cursors.count(None)

    def _numbered(self, identities: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Yield identities of items of which some are malformed or have the same fields."""
        occurrences: Counter[str] = Counter()
        for item, cursor, raw in zip(self.items, self.item_cursors, identities, strict=True):
            fields = tuple(_text_or_none(field) for field in raw)
            if None not in fields:
                yield fields
                continue
            # Without all identifying fields, an item is identified by its position among items with the same ones.
            # The items of a record arrive together, so that position is stable.
            description = describe([*fields]) if cursor is not None else describe(item)
            number = occurrences[description]
            occurrences[description] += 1
            yield fields if number == 0 and cursor is not None else (fields, description, number)

    def first(self, number: int) -> FetchedPage:
        """Return the page with at most this number of its items."""
        page = FetchedPage.__new__(FetchedPage)
        page.items = self.items[:number]
        page.item_cursors = self.item_cursors[:number]
        page.identities = self.identities[:number]
        page.keys = None
        page.cursors = list(dict.fromkeys(cursor for cursor in page.item_cursors if cursor is not None))
        page.size = len(page.cursors) + page.item_cursors.count(None)
        return page

    def in_reverse(self) -> FetchedPage:
        """Return the page with its records in reverse order. The items of each record keep their order."""
        records: dict[str | None, list[int]] = {}
        for index, cursor in enumerate(self.item_cursors):
            records.setdefault(cursor, []).append(index)
        order = [index for record in reversed(records.values()) for index in record]
        page = FetchedPage.__new__(FetchedPage)
        page.items = [self.items[index] for index in order]
        page.item_cursors = [self.item_cursors[index] for index in order]
        page.identities = [self.identities[index] for index in order]
        page.keys = None
        page.cursors = self.cursors[::-1]
        page.size = self.size
        return page


def _text_or_none(value: Any) -> str | None:
    """Return a field of any JSON type as text, which can be hashed."""
    if value is None or isinstance(value, str):
        return value
    try:
        return str(value)
    except RecursionError:  # the JSON parser accepts deeper nesting than str() does
        return type(value).__name__

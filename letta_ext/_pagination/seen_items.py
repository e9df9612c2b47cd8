"""The identities of the items that an iteration has seen, and its last records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import Any, Final

from attrs import frozen

from letta_api.operations import Pagination

from .items import FetchedPage, Identity, ItemFields, stable_key
from .moves import FirstRecords

RECENT_CURSORS: Final = 256
"""The number of cursors that are remembered, for requests that start before records with equal sort keys."""


@frozen
class LastRecords:
    """The last records that an iteration has seen.

    Attributes:
        newest_first: The cursor and an item of each. The last record of the list comes first.
        further: Further items of these records, by cursor.
        complete: Whether these are all records that the iteration has seen.
    """

    newest_first: tuple[tuple[str, Identity | None], ...]
    further: Mapping[str, tuple[Identity, ...]]
    complete: bool

    @property
    def cursors(self) -> list[str]:
        """The cursors, in list order."""
        return [cursor for cursor, _ in reversed(self.newest_first)]

    @property
    def identities(self) -> Iterator[Identity]:
        """The items of the records."""
        for _, identity in self.newest_first:
            if identity is not None:
                yield identity
        yield from chain.from_iterable(self.further.values())


class SeenItems:
    """The identities of the items seen so far.

    If records may share a position, every identity is kept, in at most 100 bytes each. Otherwise, those of the last
    page or of the last `RECENT_CURSORS` records are kept, whichever is more.

    Attributes:
        count: The number of records seen.
        page: The number of records in the last page.
    """

    def __init__(self, *, keep_all: bool) -> None:
        self._keep_all = keep_all
        # Python's hash takes a tenth of the time of a stable one, which only the keys of a checkpoint need.
        self._key_of: Callable[[Identity], int] = hash
        self._keys: dict[int, None] = {}  # a set takes half as much memory again at its largest
        # The last records. Most have one item: a tuple less for each saves garbage collections.
        self._window: dict[str, Identity | None] = {}
        self._further: dict[str, tuple[Identity, ...]] = {}
        self._partial = False  # whether a checkpoint had fewer records
        self._merged = 0  # records whose identities belong to another record
        self.count = 0
        self.page = 0

    @property
    def recent(self) -> list[str]:
        """The cursors of the last records, in list order."""
        return list(self._window)

    def last(self, number: int) -> LastRecords:
        """Return at most this number of the last records."""
        found = tuple(islice(reversed(self._window.items()), number))
        complete = self.count <= len(found) + self._merged and len(found) == len(self._window) and not self._partial
        further = (
            {cursor: self._further[cursor] for cursor in dict(found).keys() & self._further} if self._further else {}
        )
        return LastRecords(found, further, complete)

    def restore(
        self, cursors: Sequence[str], keys: Sequence[int], first: Sequence[int] = (), *, complete: bool
    ) -> None:
        """Restore the state of a checkpoint.

        Args:
            cursors: The last records.
            keys: The items of the last records.
            first: The items of the first records, which are never forgotten.
            complete: Whether these are all records.
        """
        self._key_of = stable_key
        forgotten = tuple(key for key in keys if key not in first)
        self._window = dict.fromkeys(cursors)
        self._further = {cursors[0]: forgotten} if cursors else {}
        self._keys = dict.fromkeys([*keys, *first])
        self._keep_all, self._partial = self._keep_all and complete, not complete
        self.count = len(cursors) if complete else len(cursors) + 1
        self.page = len(cursors)

    @property
    def complete(self) -> bool:
        """Whether every identity is still kept, so that the list can be read from the start again."""
        return not self._partial and (self._keep_all or self.count <= len(self._window))

    def reorder(self, cursors: Iterable[str]) -> None:
        """Order the last records as these cursors are. No other record can be a cursor: it may have any position."""
        kept = {cursor: None for cursor in cursors if cursor in self._window}
        if kept:
            dropped = [cursor for cursor in self._window if cursor not in kept]
            self._merged += len(dropped)
            rest = list(chain.from_iterable(map(self._detach, dropped)))
            self._window = {cursor: self._window[cursor] for cursor in kept}
            for identity in rest:
                self._attach(next(reversed(kept)), identity)  # for checkpoints

    def _attach(self, cursor: str, identity: Identity) -> None:
        """Add an item to one of the last records."""
        if self._window[cursor] is None:
            self._window[cursor] = identity
        else:
            self._further[cursor] = (*self._further.get(cursor, ()), identity)

    def _detach(self, cursor: str) -> list[Identity]:
        """Remove one of the last records, and return its items."""
        identity, further = self._window.pop(cursor), self._further.pop(cursor, ())
        return [*further] if identity is None else [identity, *further]

    def __contains__(self, key: int) -> bool:
        return key in self._keys

    def _keys_of(self, page: FetchedPage) -> list[int]:
        if page.keys is None:
            page.keys = list(map(self._key_of, page.identities))
        return page.keys

    def unseen(self, page: FetchedPage) -> set[int]:
        """Return the keys of the items in a page that were not seen before."""
        return set(self._keys_of(page)).difference(self._keys)

    def up_to_unseen(self, page: FetchedPage, number: int, counts: Callable[[Any], bool]) -> FetchedPage:
        """Return a page up to the item with this number among those that were not seen before.

        Args:
            page: The page.
            number: The number of the last item to keep, from 1. The page is unchanged if it has fewer such items.
            counts: Returns whether an item counts.
        """
        unseen = self.unseen(page)
        for index, (item, key) in enumerate(zip(page.items, self._keys_of(page), strict=True)):
            if key in unseen and counts(item):
                unseen.remove(key)
                number -= 1
                if number == 0:
                    return page.first(index + 1)
        return page

    def count_unseen(self, page: FetchedPage, counts: Callable[[Any], bool]) -> int:
        """Return the number of items of a page that were not seen before and count."""
        unseen = self.unseen(page)
        return sum(key in unseen and counts(item) for item, key in zip(page.items, self._keys_of(page), strict=True))

    def has_unseen(self, page: FetchedPage) -> bool:
        """Return whether an item of a page was not seen before."""
        return any(key not in self._keys for key in self._keys_of(page))

    def add(self, page: FetchedPage) -> list[Any]:
        """Add the items of a page, and return the new ones."""
        self.page = len(page.cursors)
        new = self._add_records(page) if self.page == len(page.items) else None
        if new is None:
            new = self._add_items(page)
        self._evict(max(RECENT_CURSORS, self.page))
        return new

    def _add_records(self, page: FetchedPage) -> list[Any] | None:
        """Add records of one item each, and return the new items. Return None if a record seen before has changed."""
        items, keys, seen, window = page.items, self._keys_of(page), self._keys, self._window
        records: dict[str, Identity | None] = dict(zip(page.cursors, page.identities, strict=True))
        known = window.keys() & records.keys()
        seen_before = seen.keys() & keys
        if len(known) != len(seen_before) or any(window[each] != records[each] for each in known):
            return None
        if not self._further.keys().isdisjoint(known):
            return None
        for cursor in known:
            del window[cursor]
        # Overlapping records move to the end, so that the window ends with the last record of the page.
        window.update(records)
        self.count += len(records) - len(known)
        if seen_before.issuperset(keys[: len(known)]):
            new = items[len(known) :]  # each page begins with the last records of the page before it
        else:
            new = [item for item, key in zip(items, keys, strict=True) if key not in seen_before]
        seen.update(dict.fromkeys(keys))
        return new

    def _add_items(self, page: FetchedPage) -> list[Any]:
        """Add items of which some share a record, have no cursor, or were seen before. Return the new items."""
        keys, seen, window = self._keys_of(page), self._keys, self._window
        known = {cursor for cursor, key in zip(page.item_cursors, keys, strict=True) if key in seen}
        for cursor in page.cursors:
            self.count += cursor not in window and cursor not in known
            # Overlapping records move to the end, so that the window ends with the last record of the page.
            window[cursor] = window.pop(cursor, None)
        new: list[Any] = []
        for item, item_cursor, identity, key in zip(page.items, page.item_cursors, page.identities, keys, strict=True):
            if key in seen:
                continue
            seen[key] = None
            new.append(item)
            if item_cursor is not None:
                self._attach(item_cursor, identity)
        return new

    def _evict(self, room: int) -> None:
        oldest = list(islice(self._window, max(0, len(self._window) - room)))
        if self._keep_all and not self._further:
            list(map(self._window.pop, oldest))
            return
        for identity in chain.from_iterable(map(self._detach, oldest)):
            if not self._keep_all:
                self._keys.pop(self._key_of(identity), None)


class FirstPage:
    """The first page of a list whose items all differ, recorded as seen when the second page is requested."""

    def __init__(
        self, items: list[Any], fields: ItemFields, facts: Pagination, limit: int | None, first: FirstRecords | None
    ) -> None:
        self._items = [*items]  # the caller owns the list of the page
        self._fields = fields
        self._facts = facts
        self.limit = limit
        self._first = first

    @cached_property
    def fetched(self) -> FetchedPage:
        """The page."""
        return FetchedPage(self._items, self._facts, self._fields)

    def last_records(self, number: int) -> LastRecords:
        """Return at most this number of the last records of the page, for its checkpoint. Add its first records."""
        if self._first is not None:
            self._first.add(self.fetched)
        seen = SeenItems(keep_all=False)
        seen.add(self.fetched)
        return seen.last(number)

"""Evidence that a compaction moved messages while they were listed.

A compaction adds its summary after the first record of a list. It moves the messages that it keeps, the last ones of
the context window, to the positions after the summary. All other messages keep their positions. Two facts follow:

- Oldest first, kept messages can move before the cursor, where they are not listed. The summary of each compaction is
  there, too: among the records before one of the first records of the list.
- Newest first, the cursor can move past unseen records, if the overlapping records move with it. Unseen records then
  have the positions of the overlapping ones, except for the last, and precede the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, Final

from letta_api.operations import Pagination

from ..errors import NotFoundError
from .items import FetchedPage, Identity, stable_key

FIRST_RECORDS: Final = 64
"""The number of the first records of a list that are remembered."""

BOUNDS: Final = (16, 64)
"""The numbers of the records before which summaries are searched. Summaries share a position with another record."""

DESCENDING_OVERLAP: Final = 3
"""The smallest number of overlapping records that shows a move: one of them may be followed by a hidden record."""


TOP: Final = 16
"""The number of the first records that contain those which follow the first one. Their order can vary."""


class FirstRecords:
    """The first records of a list."""

    def __init__(self) -> None:
        self._cursors: dict[str, None] = {}
        self._identities: dict[Identity, None] = {}
        self._restored = False

    def restore(self, cursors: Iterable[str], keys: Iterable[int]) -> None:
        """Restore the state of a checkpoint, to which no records are added."""
        self.extend(cursors, keys)
        self._restored = True

    def extend(self, cursors: Iterable[str], identities: Iterable[Identity]) -> None:
        """Add the first records of the list."""
        self._cursors = dict.fromkeys(cursors)
        self._identities = dict.fromkeys(identities)

    def add(self, page: FetchedPage) -> None:
        """Add the records of the next page, up to the number that is remembered."""
        if self._restored or len(self._cursors) >= FIRST_RECORDS:
            return
        if not self._cursors and page.size == len(page.cursors) == len(page.items):
            self.extend(page.cursors[:FIRST_RECORDS], page.identities[:FIRST_RECORDS])
            return
        for cursor, identity in zip(page.item_cursors, page.identities, strict=True):
            if cursor is not None and (cursor in self._cursors or len(self._cursors) < FIRST_RECORDS):
                self._cursors[cursor] = None
                self._identities[identity] = None

    def moved(self, page: FetchedPage) -> FirstRecords:
        """Return the first records of a page from the start of the list, with the items of the earlier ones."""
        first = FirstRecords()
        first.add(page)
        first._identities |= self._identities
        return first

    @property
    def cursors(self) -> list[str]:
        """The cursors of the records, in list order. After a checkpoint, some of them are missing."""
        return [*self._cursors]

    @property
    def bounds(self) -> list[str]:
        """The cursors of the records before which summaries are searched, in list order."""
        cursors = self.cursors
        if self._restored:
            return cursors[TOP - 1 :]
        return list(dict.fromkeys(cursors[min(number, len(cursors)) - 1] for number in BOUNDS if cursors))

    @property
    def stored(self) -> list[str]:
        """The cursors for a checkpoint."""
        return self.cursors if self._restored else list(dict.fromkeys([*self.cursors[:TOP], *self.bounds]))

    @property
    def keys(self) -> set[int]:
        """The stable keys of the items."""
        return set(map(stable_key, self._identities))


def has_new_summary(
    first: FirstRecords,
    facts: Pagination,
    arguments: Mapping[str, Any],
    before: str,
    has_unseen: Callable[[FetchedPage], bool],
) -> Generator[dict[str, Any], list[Any], bool]:
    """Return whether an ascending list may have a summary that was not seen.

    Args:
        first: The first records of the list.
        facts: The pagination of the list.
        arguments: The arguments of the list, with a high limit.
        before: The parameter of the cursor that precedes.
        has_unseen: Returns whether a page has items that were not seen. A checkpoint holds those of the first records.
    """
    for bound in first.bounds:
        try:
            items = yield {**arguments, before: bound}
        except NotFoundError:
            continue  # the record was deleted
        page = FetchedPage(items, facts)
        if has_unseen(page):
            return True
        if 1 < page.size < arguments[facts.limit]:
            return False  # the page contains each summary, since the bound is after their position
    return True


def top_has_moved(
    first: FirstRecords, facts: Pagination, arguments: Mapping[str, Any], after: str
) -> Generator[dict[str, Any], list[Any], bool]:
    """Return whether the first record of a descending list is followed by other records than before.

    Args:
        first: The first records of the list.
        facts: The pagination of the list.
        arguments: The arguments of the list.
        after: The parameter of the cursor that follows.
    """
    cursors = first.cursors
    page = FetchedPage((yield {**arguments, after: cursors[0], facts.limit: TOP // 4}), facts)
    return not set(cursors).issuperset(page.cursors)


def continues(cursors: Sequence[str], recent: Sequence[str], overlap: int) -> bool:
    """Return whether a response continues a list although its records may have moved.

    Args:
        cursors: The records of the response. The last record seen before is one of them.
        recent: The last records that were seen before. The cursor of the request precedes the overlapping ones.
        overlap: The number of overlapping records.
    """
    if cursors[:overlap] == recent[-overlap:]:
        return True
    passed, known = recent[: -1 - overlap], set(recent)
    preceding = cursors[: cursors.index(recent[-1])]
    unseen = sum(cursor not in known for cursor in preceding)
    # After a move, an unseen record has the position of each overlapping one. Two of three may be hidden.
    # Without a move, only unseen records that share the position of the last one can precede it.
    return 3 * unseen < len(preceding) - unseen and bool(passed) and set(passed).isdisjoint(cursors)

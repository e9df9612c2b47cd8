"""Evidence that a compaction moved messages while they were listed.

A compaction adds its summary after the first record of a list. It moves the messages that it keeps, the last ones of
the context window, to the positions after the summary. All other messages keep their positions. Two facts follow:

- Oldest first, kept messages can move before the cursor, where they are not listed. The summary of each compaction is
  there, too: among the records before one of the first records of the list.
- Newest first, the cursor can move past unseen records, if the overlapping records move with it. Unseen records then
  have the positions of the overlapping ones, except for the last, and precede the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from .items import FetchedPage, Identity, stable_key

FIRST_RECORDS: Final = 64
"""The number of the first records of a list that are remembered."""

BOUNDS: Final = (16, 64)
"""The numbers of the records before which summaries are searched. Summaries share a position with another record."""

DESCENDING_OVERLAP: Final = 3
"""The smallest number of overlapping records that shows a move: one of them may be followed by a hidden record."""


class FirstRecords:
    """The first records of an ascending list."""

    def __init__(self) -> None:
        self._cursors: dict[str, None] = {}
        self._identities: dict[Identity, None] = {}
        self._bounds: list[str] | None = None

    def restore(self, bounds: Iterable[str], keys: Iterable[int]) -> None:
        """Restore the state of a checkpoint, to which no records are added."""
        self._bounds = list(bounds)
        self._identities = dict.fromkeys(keys)

    def extend(self, cursors: Iterable[str], keys: Iterable[int]) -> None:
        """Add the records of a checkpoint that contains all records."""
        self._cursors = dict.fromkeys(cursors)
        self._identities = dict.fromkeys(keys)

    def add(self, page: FetchedPage) -> None:
        """Add the records of the next page, up to the number that is remembered."""
        if self._bounds is not None or len(self._cursors) >= FIRST_RECORDS:
            return
        for cursor, identity in zip(page.item_cursors, page.identities, strict=True):
            if cursor is not None and (cursor in self._cursors or len(self._cursors) < FIRST_RECORDS):
                self._cursors[cursor] = None
                self._identities[identity] = None

    @property
    def bounds(self) -> list[str]:
        """The cursors of the records before which summaries are searched, in list order."""
        if self._bounds is not None:
            return self._bounds
        cursors = [*self._cursors]
        return list(dict.fromkeys(cursors[min(number, len(cursors)) - 1] for number in BOUNDS if cursors))

    @property
    def keys(self) -> set[int]:
        """The stable keys of the items."""
        return set(map(stable_key, self._identities))


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

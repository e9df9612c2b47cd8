"""The state machine that iterates over a list, page by page, without losing or repeating an item.

Each request overlaps with the page before it: its cursor is the second-to-last record of that page, so the last record
must be the first one of the response. That proves that the server continued exactly there. It costs no extra request,
since the limit is raised by one. If the last record is not in the response, there are three possible causes:

- The cursor has the other direction. Some servers apply cursors to the sort order, others always to the time.
- Both records have the same sort key, as after a compaction, and the server skips every record with the sort key of the
  cursor. An older cursor helps, and finally a request without a cursor.
- The server does not know the cursor and restarted the list.

If records move meanwhile (`moves.py`), the list is fetched again from its start, and its unseen items are returned.

Repeated items are dropped by their identity. Without progress, the limit is raised. The iteration ends when a response
to a high limit has no new items. A short page does not end it, since records may be hidden and servers may cap pages.
`ListChangedError` is raised if neither the end nor the continuation can be proven. Filters that the server applies
after the limit would hide the overlapping record, so they are applied here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import count, takewhile
from threading import Lock
from typing import Any, Final, TypeAlias

from letta_api.operations import Pagination

from .._http.errors_from_response import one_line
from .._types import is_mapping
from ..errors import ListChangedError, NotFoundError
from .checkpoints import CHECKPOINT_CURSORS, CHECKPOINT_VERSION, Position, is_checkpoint
from .items import FetchedPage, ItemFields, date_of, field_of
from .moves import DESCENDING_OVERLAP, FirstRecords, continues, has_new_summary, top_has_moved
from .seen_items import FirstPage, SeenItems

FILTER_FIELD: Final = "message_type"
"""The field that the filters of `post_filters` compare."""

CONFIRM_LIMIT: Final = 1000
"""The limit of the request that confirms the end of a list after a short page."""

MAX_LIMIT: Final = 10_000
"""The highest limit of a request, unless four times the number of records seen is more."""

MIN_DEFAULT_LIMIT: Final = 50
"""The smallest page size that servers use for a request without a limit."""

DEFAULT_LIMIT: Final = 100
"""The largest page size that servers use for a request without a limit."""

PageRequests: TypeAlias = Generator[dict[str, Any], list[Any], list[Any] | None]
"""Yields request arguments, receives the items of each response, returns the new items. Returns None at the end."""


class ListIterator:
    """The iteration over one list.

    Args:
        facts: The pagination of the operation.
        arguments: The arguments of the call.
        reversible: Whether newest-first pages may arrive in ascending order. Such pages are reversed. This is the case
            in the default conversation of an agent, whose messages do not move.
        list_id: The operation and the ids in its path. A checkpoint continues only the same list.

    Attributes:
        pages_fetched: The number of pages returned so far.
        has_undelivered: Whether items were recorded as seen before their page was returned. If that page is lost,
            another iterator fetches them again.
        lock: Held while the next page is fetched, possibly by another thread or task.
        prefetch: Whether to fetch the next page while the current one is used.
        remaining: The number of items to return after those returned so far. None for all.
    """

    def __init__(
        self, facts: Pagination, arguments: Mapping[str, Any], *, reversible: bool = False, list_id: Sequence[str] = ()
    ) -> None:
        self.facts = facts
        self.list_id = tuple(list_id)
        self.filters = {name: arguments[name] for name in facts.post_filters if arguments.get(name)}
        self.arguments = {name: value for name, value in arguments.items() if name not in facts.post_filters}
        descending = self.descending = (arguments.get(facts.order) or facts.default_order) == "desc"
        self.reversible = reversible
        self.reversed: bool | None = None if reversible and descending else False  # None: not yet known
        # `before` continues a list whose cursors run against its order, and a newest-first list by chronological ones.
        backwards = facts.cursor_order == "reverse" or (facts.cursor_order == "chronological" and descending)
        parameters = (facts.before, facts.after) if backwards else (facts.after, facts.before)
        self.directions = list(filter(None, parameters))
        sort = facts.sort and arguments.get(facts.sort)
        # By any other sort, cursors do not reach every item: Letta 0.16.8 skips those without the date it sorts by.
        self.cursors_skip_items = bool(sort) and sort not in facts.cursor_sorts
        self.seen = SeenItems(keep_all=facts.cursor_order == "chronological" or self.cursors_skip_items)
        self.direction_proven = False  # whether a response to directions[0] has overlapped
        self.restarted = False  # whether the server has ignored a cursor
        self.moves = facts.moved_by is not None and not reversible
        self.first = FirstRecords() if self.moves else None
        # How many records before the last one the last successful cursor was.
        self.overlap = DESCENDING_OVERLAP if self.moves and descending else 1
        self.whole: bool | None = False  # whether one response contained the whole list, or None if it may have
        self.last_page_short = False
        # How many records the last page had less than its limit: so many may be hidden. None if it is not known.
        self.missing_records = 0 if facts.limit_unit == "items" else None
        # Per cursor parameter, items beyond the last record: if they never come, records were skipped.
        self.skipped = {name: set[int]() for name in self.directions}
        self.largest_page = 0  # records in the largest response with new items
        self.ended = False
        self.pages_fetched = 0
        self.has_undelivered = False
        self.lock = Lock()
        self.prefetch = False
        self.remaining: int | None = None
        self._first_page: FirstPage | None = None

    def begin(self) -> PageRequests:
        """Return the requests for the first page of this iteration, which may follow a checkpoint."""
        return self.next() if self.seen.recent else self._first()

    def _first(self) -> PageRequests:
        if self.remaining is None:
            items = yield dict(self.arguments)
            limit = self._limit
        else:
            limit = self._needed(self._limit)
            changed = {} if limit == self._limit else {self.facts.limit: limit}
            items = yield {**self.arguments, **changed}
        if limit == 0:
            self.ended = True
            return items
        if not items and self.facts.limit_unit == "stored" and (limit or MIN_DEFAULT_LIMIT) < CONFIRM_LIMIT:
            # Every record of the page may be hidden. Without an item, no cursor leads to the next page.
            limit = self._capped(CONFIRM_LIMIT)
            items = yield {**self.arguments, self.facts.limit: limit}
        fields = ItemFields(items, self.facts)
        all_needed = self.remaining is None or len(items) <= self.remaining
        if self.reversed is False and all_needed and fields.are_distinct():
            self.has_undelivered = True
            self._first_page = FirstPage(items, fields, self.facts, limit, self.first)
            new = self._counted(self._filtered(items))
        else:
            new = yield from self._accept_first(FetchedPage(items, self.facts, fields), limit)
        if not new and items:  # no item passed the filters
            return (yield from self.next()) or []
        return new

    def _accept_first(self, page: FetchedPage, limit: int | None) -> Generator[dict[str, Any], list[Any], list[Any]]:
        """Record the items of the first page, and return those that are new and pass the filters, in list order."""
        if self.reversed is None and len(page.cursors) > 1:
            self.reversed = yield from self._is_ascending(page)
        return self._accept(page, limit)

    def next(self) -> PageRequests:
        """Return the requests for the next page.

        Raises:
            ListChangedError: If the server does not continue after the last item.
        """
        if self._first_page is not None:
            self._record(self._first_page.fetched, self._first_page.limit)
            self._first_page = None
        while not self.ended and self.remaining != 0:
            new = yield from self._advance()
            if new:
                return new
            self.has_undelivered = False
            self.ended = self.ended or new is None  # an empty list: no item passed the filters
        return None

    def position(self) -> Position:
        """Return the current position."""
        if self._first_page is not None:
            first_page = self._first_page
            last_records = lambda: first_page.last_records(CHECKPOINT_CURSORS)  # noqa: E731  # as below
        else:
            last = self.seen.last(CHECKPOINT_CURSORS)
            last_records = lambda: last  # noqa: E731  # a constant
        arguments, forward = self.arguments | self.filters, self.directions[0]
        return Position(self.list_id, arguments, forward, self.reversed, last_records, self.first)

    @classmethod
    def resumed(
        cls,
        facts: Pagination,
        checkpoint: Mapping[str, Any],
        list_id: Sequence[str] = (),
        *,
        reversible: bool = False,
    ) -> ListIterator:
        """Return an iterator that continues at a checkpoint.

        Raises:
            TypeError: If it is not a mapping.
            ValueError: If it is not a checkpoint, or one of another version or list.
        """
        if not is_mapping(checkpoint):
            kind = type(checkpoint).__name__
            raise TypeError(f"checkpoint must be a dict returned by a page's checkpoint(), got {kind}")
        shown = one_line(repr(dict(checkpoint)), 80)
        if checkpoint.get("version") != CHECKPOINT_VERSION:
            raise ValueError(f"checkpoint must have version {CHECKPOINT_VERSION}, got {shown}")
        if checkpoint.get("of") != list(list_id):
            raise ValueError(f"checkpoint must be of the list {list(list_id)!r}, got one of {checkpoint.get('of')!r}")
        iterator = None
        if is_checkpoint(checkpoint):
            iterator = cls(facts, dict(checkpoint["arguments"]), reversible=reversible, list_id=list_id)
        if iterator is None or not iterator._restore(checkpoint):
            raise ValueError(f"checkpoint must have the fields of a page's checkpoint(), got {shown}")
        return iterator

    def _restore(self, checkpoint: Mapping[str, Any]) -> bool:
        """Restore the state of a checkpoint. Return whether it has the fields that the list needs."""
        forward, complete = checkpoint["leading"], checkpoint["whole"]
        if forward not in self.directions or (self.first and not complete and not checkpoint.get("top")):
            return False
        self.reversed = checkpoint["reversed"]
        if self.directions[0] != forward:
            self.directions.reverse()
        first = [int(key, 16) for key in checkpoint.get("first", ())]
        keys = [int(key, 16) for key in checkpoint["seen"]]
        self.seen.restore(checkpoint["cursors"], keys, first, complete=complete)
        if self.first is not None and complete:
            self.first.extend(checkpoint["cursors"], keys)
        elif self.first is not None:
            self.first.restore(checkpoint["top"], first)
        return True

    @property
    def _limit(self) -> int | None:
        limit = self.arguments.get(self.facts.limit)
        return limit if isinstance(limit, int) else None

    def _is_ascending(self, page: FetchedPage) -> Generator[dict[str, Any], list[Any], bool]:
        first, last = date_of(page.items[0]), date_of(page.items[-1])
        if first is not None and last is not None and first != last:
            return first < last
        # All dates are equal: the newest record, requested alone, shows at which end of the page it is.
        newest = FetchedPage((yield {**self.arguments, self.facts.limit: 1}), self.facts)
        return newest.cursors[:1] == page.cursors[-1:]

    def _advance(self) -> PageRequests:
        """Return the new items that pass the filters, or None without new items."""
        if not self.seen.recent:
            return (yield from self._without_cursors())
        if self.cursors_skip_items:
            return (yield from self._from_the_start())
        if self.whole is None and self.first is not None and not self.descending:
            self.whole = False
            return (yield from self._reread())
        confirm_limit = self._capped(CONFIRM_LIMIT)
        size = confirm_limit if self.last_page_short else (self._limit or max(MIN_DEFAULT_LIMIT, self.seen.page)) + 1
        if self.remaining is not None and not self.filters and self.missing_records is not None:
            # The cursor may be followed by as many hidden records as the last page lacked.
            size = min(size, self.remaining + 1 + self.missing_records)
        while True:
            page, limit = yield from self._fetch_overlapping(size)
            if self.seen.has_unseen(page):
                if self._is_last(page) and (yield from self._has_moved_items()):
                    return (yield from self._reread())
                return self._accept(page, limit)
            if page.size >= limit:
                size = self._doubled(limit)  # all records of the page have the same sort key
            elif size < confirm_limit:
                size = confirm_limit
            elif self.restarted or self._has_skipped_items():
                return (yield from self._reread())
            elif page.size >= self.largest_page and not (yield from self._sends_more_than(page.size)):
                raise self._changed(f"sends at most {page.size} records, none of which is new")
            else:
                return (yield from self._reread()) if (yield from self._has_moved_items()) else None

    def _without_cursors(self) -> PageRequests:
        """Return the new items of a list without valid cursors, from one page that is large enough.

        Raises:
            ListChangedError: If that page is full. There may be more items, which no cursor leads to.
        """
        if not self.largest_page:
            return None  # the list is empty
        limit = self._capped(max(CONFIRM_LIMIT, 2 * self.largest_page))
        if limit <= MAX_LIMIT:
            page = FetchedPage((yield {**self.arguments, self.facts.limit: limit}), self.facts)
            if self.seen.has_unseen(page):
                return self._accept(page, limit)
            if self.last_page_short:
                return None
        raise ListChangedError(
            f"The list cannot be continued after its first {self.largest_page} items: none of them has an"
            f" {self.facts.cursor} that can be a cursor. Pass a higher limit."
        )

    def _from_the_start(self) -> PageRequests:
        """Return the new items of a list whose cursors do not reach every item, from one page that is long enough.

        Raises:
            ListChangedError: If a checkpoint does not hold all items so far, or the server caps its pages.
        """
        if not self.seen.complete:
            raise self._changed("cannot continue a list in this order after so many items")
        wanted = self._limit or max(MIN_DEFAULT_LIMIT, self.seen.page)
        limit = self._capped(self.seen.count + (self._needed(wanted) or wanted))
        while True:
            page = FetchedPage((yield {**self.arguments, self.facts.limit: limit}), self.facts)
            if self.seen.has_unseen(page):
                return self._accept(page, limit)
            if page.size < limit:
                break
            limit = self._doubled(limit)
        last = self.seen.recent[-1]
        rest = FetchedPage((yield {**self.arguments, self.directions[0]: last, self.facts.limit: limit}), self.facts)
        if self.seen.has_unseen(rest):
            raise self._changed(f"sent {page.size} records of {limit}")
        return None

    def _is_last(self, page: FetchedPage) -> bool:
        """Return whether a page has as many new items as remain."""
        if self.remaining is None or self.first is None:
            return False
        return self.seen.count_unseen(page, lambda item: bool(self._filtered([item]))) >= self.remaining

    def _has_moved_items(self) -> Generator[dict[str, Any], list[Any], bool]:
        """Return whether a compaction may have moved messages past those that were seen."""
        if self.first is None or self.whole or (self.descending and self.seen.complete):
            return False
        arguments = {**self.arguments, self.facts.limit: self._capped(CONFIRM_LIMIT)}
        if self.descending:
            return (yield from top_has_moved(self.first, self.facts, arguments, self.directions[0]))
        return (yield from has_new_summary(self.first, self.facts, arguments, self.directions[1], self.seen.has_unseen))

    def _reorder(self, page: FetchedPage) -> None:
        """Continue from a page from the start of a list whose records have moved."""
        if self.moves:
            self.seen.reorder(page.cursors)
        if self.first is not None:
            self.first = self.first.moved(page)

    def _reread(self) -> PageRequests:
        """Return the new items of a page from the start of a list whose records move.

        Raises:
            ListChangedError: If records do not move, or a checkpoint does not hold all items so far.
        """
        if not self.moves:
            raise self._changed()
        if not self.seen.complete:
            raise self._changed("has moved records since then, as a compaction does")
        limit = self._capped(self.seen.count + CONFIRM_LIMIT)
        page = FetchedPage((yield {**self.arguments, self.facts.limit: limit}), self.facts)
        self._reorder(page)
        self.ended = len(page.items) < limit
        if self.seen.has_unseen(page):
            return self._accept(page, limit)
        if not self.ended:
            raise self._changed(f"sent {page.size} records, none of which is new")
        return None

    def _has_skipped_items(self) -> bool:
        """Return whether a cursor led past items that never came."""
        # If the call has a cursor, the other direction may lead to items outside of the list.
        bounded = any(name in self.arguments for name in self.directions)
        directions = self.directions[:1] if self.direction_proven or bounded else self.directions
        return any(key not in self.seen for name in directions for key in self.skipped[name])

    def _sends_more_than(self, size: int) -> Generator[dict[str, Any], list[Any], bool]:
        """Return whether the server sends pages of more records than this, so that a page of this size is the last."""
        if size < 2 or self.seen.count <= size:
            return True
        limit = self._capped(CONFIRM_LIMIT)
        return len(FetchedPage((yield {**self.arguments, self.facts.limit: limit}), self.facts).cursors) > size

    def _fetch_overlapping(self, size: int) -> Generator[dict[str, Any], list[Any], tuple[FetchedPage, int]]:
        """Return a page that contains the last record seen, and the limit of its request."""
        recent = self.seen.recent
        last = recent[-1]
        deleted: NotFoundError | None = None
        for name, overlap, more in self._candidates(len(recent), size):
            limit, cursor = self._capped(more + overlap - 1), recent[-1 - overlap]
            try:
                items = yield {**self.arguments, name: cursor, self.facts.limit: limit}
            except NotFoundError as fault:
                deleted = fault  # the item of the cursor
                continue
            page = FetchedPage(items, self.facts)
            if cursor in page.cursors:
                self.restarted = True  # a page that contains its own cursor shows that the server restarted the list
            elif last in page.cursors:
                is_forward = name == self.directions[0]
                if self.moves and (self.descending or not is_forward) and not continues(page.cursors, recent, overlap):
                    continue
                if not is_forward:
                    self.directions.reverse()
                self.direction_proven, self.overlap = True, overlap
                return page, limit
            else:
                still_unseen = {key for key in self.skipped[name] if key not in self.seen}
                self.skipped[name] = still_unseen | self.seen.unseen(page)
        if self.seen.complete:
            limit = self._capped(self.seen.count + size - 1)
            while True:
                page = FetchedPage((yield {**self.arguments, self.facts.limit: limit}), self.facts)
                if last in page.cursors:
                    self._reorder(page)
                    return page, limit
                enough = self._capped(self.seen.count + CONFIRM_LIMIT)
                if page.size < limit and limit >= enough:
                    break
                # Records at one position arrive in a different order each time, or some are hidden: the last one comes
                # later.
                limit = enough if page.size < limit else self._doubled(limit)
        elif deleted is not None:
            yield {**self.arguments, self.facts.limit: 1}  # raises NotFoundError if the list was deleted, too
        raise self._changed() from deleted

    def _doubled(self, limit: int) -> int:
        """Return twice the limit, after a full page without the last record or without a new one.

        Raises:
            ListChangedError: If the limit is the highest that the server accepts, or higher than the list can need. The
                server sends other records each time.
        """
        doubled = self._capped(limit * 2)
        if limit > max(MAX_LIMIT, 4 * self.seen.count) or doubled == limit:
            raise self._changed(f"sent {limit} records without it")
        return doubled

    def _needed(self, limit: int | None) -> int | None:
        """Return a limit, or the number of remaining items if that is lower. Any record may fail the filters."""
        if self.remaining is None or self.filters:
            return limit
        if limit is None:
            return self.remaining if self.remaining <= DEFAULT_LIMIT else None
        return min(limit, self.remaining)

    def _capped(self, limit: int) -> int:
        """Return a limit, or the highest limit that the server accepts if that is lower."""
        return limit if self.facts.max_limit is None else min(limit, self.facts.max_limit)

    def _changed(self, cause: str = "restarted it, or no longer has that record") -> ListChangedError:
        last = self.seen.recent[-1]
        message = f"The list cannot be continued after {last!r}: the server {cause}. List it from the start."
        return ListChangedError(message)

    def _candidates(self, known: int, size: int) -> Iterator[tuple[str, int, int]]:
        """Yield cursor parameters, overlaps and sizes to try, the most likely first."""
        forward, backward = self.directions[0], self.directions[1:]
        overlaps = list(takewhile(lambda overlap: overlap < known, (self.overlap * 4**n for n in count())))
        if self.direction_proven:
            yield from ((forward, overlap, size) for overlap in overlaps)
            yield from ((name, overlap, size) for name in backward for overlap in overlaps)
        else:
            yield from ((name, overlap, size) for name in self.directions for overlap in overlaps[:2])
            yield from ((name, overlap, size) for overlap in overlaps[2:] for name in self.directions)
        if self.moves and overlaps and not self.seen.complete:
            yield forward, overlaps[-1], self._capped(CONFIRM_LIMIT)  # many records may have the position of the last

    def _accept(self, page: FetchedPage, limit: int | None) -> list[Any]:
        """Record the items of a page, and return those that are new and pass the filters, in list order."""
        self.has_undelivered = True
        if self.reversed is None and self.seen.recent:
            # The overlapping record is the first of the page in list order, and the last in the reverse order.
            self.reversed = page.cursors[-1:] == self.seen.recent[-1:]
        if self.reversed:
            page = page.in_reverse()
        if self.remaining is not None:
            page = self.seen.up_to_unseen(page, self.remaining, lambda item: bool(self._filtered([item])))
        return self._counted(self._filtered(self._record(page, limit)))

    def _counted(self, items: list[Any]) -> list[Any]:
        """Subtract items from the remaining ones, and return them."""
        if self.remaining is not None:
            self.remaining -= len(items)
            self.ended = self.remaining == 0
        return items

    def _record(self, page: FetchedPage, limit: int | None) -> list[Any]:
        """Record the items of a page as seen, and return those that are new."""
        self.last_page_short = page.size < (limit or MIN_DEFAULT_LIMIT)
        if not self.seen.count and self.last_page_short:
            # Hidden records may make the page short. They are replies without content, at most half of a page.
            self.whole = True if 2 * page.size <= (limit or MIN_DEFAULT_LIMIT) else None
        else:
            self.whole = False
        if self.first is not None:
            self.first.add(page)
        self.missing_records = max(0, limit - page.size) if limit else None if self.last_page_short else 0
        self.largest_page = max(self.largest_page, page.size)
        return self.seen.add(page)

    def _filtered(self, items: list[Any]) -> list[Any]:
        """Return the items that pass the filters, in list order."""
        if not self.filters:
            return items
        wanted = list(self.filters.values())
        return [item for item in items if all(field_of(item, FILTER_FIELD) in each for each in wanted)]

"""How a walk through a list gets from page to page without losing or repeating an item. Nothing here does I/O.

The cursor of the next page is not the last thing of this one but the one before it, and the last thing has to come back
first: that proves that the server went on exactly there. It costs no request, since one more is asked for. Where the
last thing does not come back

- the cursor may mean the other direction (some servers follow the sort order, others always the time),
- or both things share one position, as they do after a compaction, and the server passes over all that share the
  cursor's: then a cursor further back helps, and at last none at all,
- or the server did not know the cursor and began again.

What comes back a second time is dropped by its identity. Without progress more is asked for. A walk ends when the
server, asked for many more, has nothing new; it never ends because a page was short, since things may be hidden.
Filters that the server applies after the limit would hide the thing that has to come back; they are applied here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import count, takewhile
from typing import Any, Final, TypeAlias

from letta_api.decoding import Unknown
from letta_api.operations import Page

from .errors import ListChangedError
from .refusals import one_line
from .requests import OPTIONS

FILTERED: Final = "message_type"
"""The field that the filters of `filters_after_limit` compare."""

CONFIRM: Final = 1000
"""How many things are asked for to confirm that a short page was the last; where it was, nothing comes."""

RECENT: Final = 256
"""How many of the last cursors a walk remembers, to go back behind things that share one position."""

KEPT: Final = 64
"""How many of the last cursors a checkpoint holds."""

VERSION: Final = 1
"""The form of a checkpoint."""

Checkpoint: TypeAlias = dict[str, Any]
"""Where a walk stands: a small JSON value, to be kept and handed back as it is."""

SHORTEST_DEFAULT: Final = 50
"""The smallest page that a server sends where no limit is given; a smaller one is short."""

Fetching: TypeAlias = "Generator[dict[str, Any], list[Any], list[Any] | None]"
"""Yields the arguments of requests, is sent their items, and returns the new items, or None at the end."""


def field_of(item: Any, name: str) -> Any:
    """A field of an item, also of one that could not be decoded."""
    if isinstance(item, Unknown):
        return item.raw.get(name) if isinstance(item.raw, Mapping) else None
    return getattr(item, name, None)


def identity(item: Any, facts: Page) -> int:
    """What makes an item the same as another, in 8 bytes."""
    text = repr([field_of(item, name) for name in facts.identity])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


class Walk:
    """A walk through one list.

    Args:
        facts: how the list pages.
        arguments: the arguments of the call.
        reversible: whether newest-first pages may arrive in ascending order; they are turned round then.
    """

    def __init__(self, facts: Page, arguments: Mapping[str, Any], *, reversible: bool = False) -> None:
        self.facts = facts
        self.filters = {name: arguments[name] for name in facts.filters_after_limit if arguments.get(name) is not None}
        self.arguments = {name: value for name, value in arguments.items() if name not in self.filters}
        descending = (arguments.get(facts.order) or facts.default_order) == "desc"
        self.reversible = reversible and descending
        self.reversed: bool | None = None if self.reversible else False  # None: not yet known
        # Where cursors follow the time, what leads on from the newest is `before`; elsewhere it is always `after`.
        backwards = facts.meaning == "chronological" and descending
        self.names = [facts.before, facts.after] if backwards else [facts.after, facts.before]
        self.memory = Memory(facts, keep_all=facts.meaning == "chronological")
        self.proven = False  # whether names[0] has been seen to lead on
        self.restarted = False  # whether the server has been seen to pass over a cursor
        self.back = 1  # how far back the last cursor was that led on
        self.short = False
        self.ended = False

    def begin(self) -> Fetching:
        """The first page of this walk: as it was asked for, or behind the checkpoint that it goes on from."""
        return self.next() if self.memory.recent else self._first()

    def _first(self) -> Fetching:
        items = yield dict(self.arguments)
        if self.reversed is None and len(cursors_of(items, self.facts)) > 1:
            self.reversed = yield from self._is_ascending(items)
        new = self._take(items, self._limit)
        if not new and items:  # nothing passed the filters
            return (yield from self.next()) or []
        return new

    def next(self) -> Fetching:
        """The page behind the last one, or None behind the last one of all.

        Raises:
            ListChangedError: the server does not go on where it was left, whatever is asked.
        """
        while not self.ended:
            new = yield from self._advance()
            if new:
                return new
            self.ended = new is None  # an empty list: nothing passed the filters
        return None

    def checkpoint(self) -> Checkpoint:
        """Where the walk stands, as a JSON value; `resumed` goes on from it, in another process too."""
        cursors = self.memory.recent[-KEPT:]
        return {
            "version": VERSION,
            "arguments": {k: v for k, v in (self.arguments | self.filters).items() if k not in OPTIONS},
            "cursors": cursors,
            "seen": sorted(self.memory.identities(cursors)),
            "leading": self.names[0],
            "reversed": self.reversed,
            "whole": self.memory.count == len(cursors),
        }

    @classmethod
    def resumed(cls, facts: Page, checkpoint: Mapping[str, Any]) -> Walk:
        """A walk that goes on from a checkpoint.

        Raises:
            ValueError: it is no checkpoint, or one of another version.
        """
        if checkpoint.get("version") != VERSION:
            raise ValueError(f"checkpoint is not one of this version: {one_line(repr(dict(checkpoint)), 80)}")
        walk = cls(facts, checkpoint["arguments"])
        walk.reversed = checkpoint["reversed"]
        if walk.names[0] != checkpoint["leading"]:
            walk.names.reverse()
        walk.memory.restore(checkpoint["cursors"], checkpoint["seen"], whole=checkpoint["whole"])
        return walk

    @property
    def _limit(self) -> int | None:
        limit = self.arguments.get(self.facts.limit)
        return limit if isinstance(limit, int) else None

    def _is_ascending(self, items: list[Any]) -> Generator[dict[str, Any], list[Any], bool]:
        first, last = field_of(items[0], "date"), field_of(items[-1], "date")
        if first is not None and last is not None and first != last:
            return bool(first < last)
        # All of one second: only the newest thing, asked for alone, tells at which end of the page it stands.
        newest = cursors_of((yield {**self.arguments, self.facts.limit: 1}), self.facts)
        return newest[:1] == cursors_of(items, self.facts)[-1:]

    def _advance(self) -> Fetching:
        """The new items that pass the filters; None where there are no new ones at all."""
        if not self.memory.recent:
            return None
        size = CONFIRM if self.short else (self._limit or max(SHORTEST_DEFAULT, self.memory.page)) + 1
        while True:
            items, asked = yield from self._overlapping(size)
            if self.memory.has_new(items):
                return self._take(items, asked)
            if len(cursors_of(items, self.facts)) >= asked:
                size = asked * 2  # all that came shares one position: ask for more of it
            elif size < CONFIRM:
                size = CONFIRM
            elif self.restarted:
                raise self._changed()  # whether there is more cannot be told from a list that only ever begins
            else:
                return None

    def _overlapping(self, size: int) -> Generator[dict[str, Any], list[Any], tuple[list[Any], int]]:
        """Items among which the last thing of the page before comes back, and how many were asked for."""
        recent = self.memory.recent
        last = recent[-1]
        for name, back in self._tries(len(recent)):
            asked, cursor = size + back - 1, recent[-1 - back]
            items = yield {**self.arguments, name: cursor, self.facts.limit: asked}
            found = cursors_of(items, self.facts)
            if cursor in found:
                self.restarted = True  # the page holds what it was to begin behind: the server began the list again
            elif last in found:
                if name != self.names[0]:
                    self.names.reverse()
                self.proven, self.back = True, back
                return items, asked
        if self.memory.complete:
            asked = self.memory.count + size - 1
            items = yield {**self.arguments, self.facts.limit: asked}
            if last in cursors_of(items, self.facts):
                return items, asked
        raise self._changed()

    def _changed(self) -> ListChangedError:
        last = self.memory.recent[-1]
        return ListChangedError(
            f"The list does not go on behind {last!r}: the server began it again, or the thing is gone. List it from"
            " the start."
        )

    def _tries(self, known: int) -> Iterator[tuple[str, int]]:
        """Cursor parameters, and how far back the cursor is to lie, the likeliest first."""
        leading, other = self.names
        backs = list(takewhile(lambda back: back < known, (self.back * 4**n for n in count())))
        if self.proven:
            yield from ((leading, back) for back in backs)
            yield from ((other, back) for back in backs)
        else:
            yield from ((name, back) for name in self.names for back in backs[:2])
            yield from ((name, back) for back in backs[2:] for name in self.names)

    def _take(self, items: list[Any], asked: int | None) -> list[Any]:
        """Remembers the items of a page, and returns those that are new and pass the filters, in the walk's order."""
        if self.reversed is None and self.memory.recent:
            # What was there before begins the page in the walk's order, and ends it in the other.
            self.reversed = cursors_of(items, self.facts)[-1:] == self.memory.recent[-1:]
        if self.reversed:
            items = turned(items, self.facts)
        self.short = len(cursors_of(items, self.facts)) < (asked or SHORTEST_DEFAULT)
        fresh = self.memory.add(items)
        return [item for item in fresh if all(field_of(item, FILTERED) in wanted for wanted in self.filters.values())]


class Memory:
    """What a walk has seen.

    Where positions may be shared it keeps the identity of everything, 8 bytes and what a set costs for each; elsewhere
    that of the last page, or of the last few hundred things if that is more.

    Attributes:
        recent: the cursors of the last things, in the walk's order.
        count: how many things there were.
        page: how many the last page held.
    """

    def __init__(self, facts: Page, *, keep_all: bool) -> None:
        self._facts = facts
        self._keep_all = keep_all
        self._seen: set[int] = set()
        self._window: dict[str, set[int]] = {}
        self.count = 0
        self.page = 0

    @property
    def recent(self) -> list[str]:
        """The cursors of the last things."""
        return list(self._window)

    def identities(self, cursors: Sequence[str]) -> set[int]:
        """The identities of the things at these cursors."""
        return set[int]().union(*(self._window[cursor] for cursor in cursors))

    def restore(self, cursors: Sequence[str], seen: Sequence[int], *, whole: bool) -> None:
        """Takes over what a checkpoint holds; `whole` says that it is all that the walk has seen."""
        self._window = {cursor: set(seen) if n == 0 else set[int]() for n, cursor in enumerate(cursors)}
        self._seen = set(seen)
        self._keep_all = self._keep_all and whole
        self.count = len(cursors) if whole else len(cursors) + 1
        self.page = len(cursors)

    @property
    def complete(self) -> bool:
        """Whether everything that was seen is still known, so that the list can be gone over from the start."""
        return self._keep_all or self.count <= len(self._window)

    def has_new(self, items: list[Any]) -> bool:
        """Whether there is anything that was not seen."""
        return any(identity(item, self._facts) not in self._seen for item in items)

    def add(self, items: list[Any]) -> list[Any]:
        """Takes a page in, and returns what of it is new."""
        fresh: list[Any] = []
        cursors = cursors_of(items, self._facts)
        for cursor in cursors:
            self.count += cursor not in self._window and not self._known(cursor, items)
            # What came back moves to the end: the page ends where the walk stands.
            self._window[cursor] = self._window.pop(cursor, set())
        for item in items:
            key = identity(item, self._facts)
            if key in self._seen:
                continue
            self._seen.add(key)
            fresh.append(item)
            bucket = self._window.get(str(field_of(item, self._facts.cursor)))
            if bucket is not None:  # something that could not be decoded may have no cursor
                bucket.add(key)
        self.page = len(cursors)
        self._forget(max(RECENT, self.page))
        return fresh

    def _known(self, cursor: str, items: list[Any]) -> bool:
        same = (item for item in items if str(field_of(item, self._facts.cursor)) == cursor)
        return any(identity(item, self._facts) in self._seen for item in same)

    def _forget(self, room: int) -> None:
        while len(self._window) > room:
            identities = self._window.pop(next(iter(self._window)))
            if not self._keep_all:
                self._seen -= identities


def cursors_of(items: Sequence[Any], facts: Page) -> list[str]:
    """The cursors of a page in its order; the parts of one stored thing share one."""
    found = (field_of(item, facts.cursor) for item in items)
    return list(dict.fromkeys(str(cursor) for cursor in found if cursor is not None))


def turned(items: list[Any], facts: Page) -> list[Any]:
    """A page back to front, the parts of each stored thing left in their order."""
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(field_of(item, facts.cursor), []).append(item)
    return [item for group in reversed(groups.values()) for item in group]

"""How a walk through a list gets from page to page without losing or repeating an item. Nothing here does I/O.

The cursor of the next page is not the last thing of this one but the one before it, and the last thing has to come back
first: that proves that the server went on exactly there. It costs no request, since one more is asked for. Where the
last thing does not come back

- the cursor may mean the other direction (some servers follow the sort order, others always the time),
- or both things share one position, as they do after a compaction, and the server passes over all that share the
  cursor's: then a cursor further back helps, and at last none at all,
- or the server did not know the cursor and began again.

What comes back a second time is dropped by its identity. Without progress more is asked for. A walk ends when the
server, asked for many more, has nothing new; it never ends because a page was short, since things may be hidden, or the
server may cap its pages. Where neither an end nor a way on can be proven, that is an error. Filters that the server
applies after the limit would hide the thing that has to come back; they are applied here.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import count, takewhile
from threading import Lock
from types import NoneType
from typing import Any, Final, TypeAlias

from attrs import frozen

from letta_api.operations import Pagination

from .._http.errors_from_response import one_line
from .._http.requests import OPTIONS
from .._types import is_mapping, is_sequence
from ..errors import ListChangedError
from .items import Answer, date_of, field_of, is_cursor

FILTERED: Final = "message_type"
"""The field that the filters of `post_filters` compare."""

CONFIRM: Final = 1000
"""How many things are asked for to confirm that a short page was the last; where it was, nothing comes."""

RECENT: Final = 256
"""How many of the last cursors a walk remembers, to go back behind things that share one position."""

KEPT: Final = 64
"""How many of the last cursors a checkpoint holds."""

VERSION: Final = 1
"""The form of a checkpoint."""

KEY: Final = re.compile("[0-9a-f]{1,15}")
"""The identity of an item in a checkpoint."""

Checkpoint: TypeAlias = dict[str, Any]
"""Where a walk stands: a small JSON value, to be kept and handed back as it is."""

MOST: Final = 10_000
"""The most items that a page is asked for, unless four times what the list has shown is more."""

SHORTEST_DEFAULT: Final = 50
"""The smallest page that a server sends where no limit is given; a smaller one is short."""

Fetching: TypeAlias = Generator[dict[str, Any], list[Any], list[Any] | None]
"""Yields the arguments of requests, is sent their items, and returns the new items, or None at the end."""


@frozen
class Mark:
    """Where a walk stood: what a checkpoint is made of, if one is asked for."""

    of: tuple[str, ...]
    arguments: Mapping[str, Any]
    cursors: tuple[str, ...]
    seen: tuple[tuple[int, ...], ...]
    leading: str
    reversed: bool | None
    whole: bool

    def checkpoint(self) -> Checkpoint:
        """As a JSON value."""
        return {
            "version": VERSION,
            "of": list(self.of),
            "arguments": {name: value for name, value in self.arguments.items() if name not in OPTIONS},
            "cursors": list(self.cursors),
            # As text: not everything that keeps JSON keeps whole numbers of this size.
            "seen": [f"{key:x}" for key in sorted({key for keys in self.seen for key in keys})],
            "leading": self.leading,
            "reversed": self.reversed,
            "whole": self.whole,
        }


def _is_checkpoint(value: Mapping[str, Any]) -> bool:
    """Whether a mapping has the parts of a checkpoint, each of its type."""
    arguments, cursors, seen = (value.get(name) for name in ("arguments", "cursors", "seen"))
    return (
        is_mapping(arguments)
        and all(isinstance(name, str) for name in arguments)
        and is_sequence(cursors)
        and all(map(is_cursor, cursors))
        and is_sequence(seen)
        and all(isinstance(key, str) and KEY.fullmatch(key) for key in seen)
        and isinstance(value.get("leading"), str)
        and isinstance(value.get("reversed", 0), (bool, NoneType))
        and isinstance(value.get("whole"), bool)
    )


class Walk:
    """A walk through one list.

    Args:
        facts: how the list pages.
        arguments: the arguments of the call.
        reversible: whether newest-first pages may arrive in ascending order; they are turned round then.
        of: which list it is: the operation, and the ids in its path. A checkpoint goes on with no other.

    Attributes:
        place: how many pages it has brought.
        taken: whether it remembers items that no page has yet. Where that page is lost, another walk brings them again.
        moving: held while the next one is fetched, by another thread or task perhaps.
        prefetch: whether the next page is to be fetched while the present one is used.
    """

    def __init__(
        self, facts: Pagination, arguments: Mapping[str, Any], *, reversible: bool = False, of: Sequence[str] = ()
    ) -> None:
        self.facts = facts
        self.of = tuple(of)
        self.filters = {name: arguments[name] for name in facts.post_filters if arguments.get(name)}
        self.arguments = {name: value for name, value in arguments.items() if name not in facts.post_filters}
        descending = (arguments.get(facts.order) or facts.default_order) == "desc"
        self.reversible = reversible and descending
        self.reversed: bool | None = None if self.reversible else False  # None: not yet known
        # `before` leads on where cursors run against the order, and from the newest where they follow the time.
        backwards = facts.cursor_order == "reverse" or (facts.cursor_order == "chronological" and descending)
        names = (facts.before, facts.after) if backwards else (facts.after, facts.before)
        self.names = list(filter(None, names))
        self.memory = Memory(keep_all=facts.cursor_order == "chronological")
        self.proven = False  # whether names[0] has been seen to lead on
        self.restarted = False  # whether the server has been seen to pass over a cursor
        self.back = 1  # how far back the last cursor was that led on
        self.short = False
        # By cursor parameter, what it led to beyond the last thing: if that does not come, something was passed over.
        self.passed = {name: set[int]() for name in self.names}
        self.most = 0  # how many things an answer with new ones has brought
        self.ended = False
        self.place = 0
        self.taken = False
        self.moving = Lock()
        self.prefetch = False

    def begin(self) -> Fetching:
        """The first page of this walk: as it was asked for, or behind the checkpoint that it goes on from."""
        return self.next() if self.memory.recent else self._first()

    def _first(self) -> Fetching:
        items = yield dict(self.arguments)
        asked = self._limit
        if asked == 0:
            self.ended = True
            return items
        if not items and self.facts.limit_unit == "stored" and (asked or SHORTEST_DEFAULT) < CONFIRM:
            # All that is on this page may be hidden, and there is nothing that the next one could lie behind.
            asked = self._fit(CONFIRM)
            items = yield {**self.arguments, self.facts.limit: asked}
        answer = Answer(items, self.facts)
        if self.reversed is None and len(answer.cursors) > 1:
            self.reversed = yield from self._is_ascending(answer)
        new = self._take(answer, asked)
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
            self.taken = False
            self.ended = new is None  # an empty list: nothing passed the filters
        return None

    def mark(self) -> Mark:
        """Where the walk stands; `resumed` goes on from its checkpoint, in another process too."""
        cursors = tuple(self.memory.recent[-KEPT:])
        whole = self.memory.count == len(cursors)
        seen = self.memory.identities(cursors)
        return Mark(self.of, self.arguments | self.filters, cursors, seen, self.names[0], self.reversed, whole)

    @classmethod
    def resumed(cls, facts: Pagination, checkpoint: Mapping[str, Any], of: Sequence[str] = ()) -> Walk:
        """A walk that goes on from a checkpoint.

        Raises:
            TypeError: it is no mapping.
            ValueError: it is no checkpoint, one of another version, or one of another list.
        """
        if not is_mapping(checkpoint):
            raise TypeError(f"checkpoint must be what a page's checkpoint() returned, not {type(checkpoint).__name__}")
        shown = one_line(repr(dict(checkpoint)), 80)
        if checkpoint.get("version") != VERSION:
            raise ValueError(f"checkpoint is not one of this version: {shown}")
        if checkpoint.get("of") != list(of):
            raise ValueError(f"checkpoint is of another list, {checkpoint.get('of')!r}, not of {list(of)!r}")
        if not _is_checkpoint(checkpoint):
            raise ValueError(f"checkpoint is not one of this kind of list: {shown}")
        walk = cls(facts, dict(checkpoint["arguments"]), of=of)
        if checkpoint["leading"] not in walk.names:
            raise ValueError(f"checkpoint is not one of this kind of list: {shown}")
        walk.reversed = checkpoint["reversed"]
        if walk.names[0] != checkpoint["leading"]:
            walk.names.reverse()
        seen = [int(key, 16) for key in checkpoint["seen"]]
        walk.memory.restore(checkpoint["cursors"], seen, whole=checkpoint["whole"])
        return walk

    @property
    def _limit(self) -> int | None:
        limit = self.arguments.get(self.facts.limit)
        return limit if isinstance(limit, int) else None

    def _is_ascending(self, answer: Answer) -> Generator[dict[str, Any], list[Any], bool]:
        first, last = date_of(answer.items[0]), date_of(answer.items[-1])
        if first is not None and last is not None and first != last:
            return first < last
        # All of one second: only the newest thing, asked for alone, tells at which end of the page it stands.
        newest = Answer((yield {**self.arguments, self.facts.limit: 1}), self.facts)
        return newest.cursors[:1] == answer.cursors[-1:]

    def _advance(self) -> Fetching:
        """The new items that pass the filters; None where there are no new ones at all."""
        if not self.memory.recent:
            return (yield from self._without_cursors())
        most = self._fit(CONFIRM)
        size = most if self.short else (self._limit or max(SHORTEST_DEFAULT, self.memory.page)) + 1
        while True:
            answer, asked = yield from self._overlapping(size)
            if self.memory.unseen(answer):
                return self._take(answer, asked)
            if answer.size >= asked:
                size = self._doubled(asked)  # all that came shares one position: ask for more of it
            elif size < most:
                size = most
            elif self.restarted or self._passed_over():
                raise self._changed()  # there may be more, or is, that no cursor leads to
            elif answer.size >= self.most and not (yield from self._sends_more_than(answer.size)):
                raise self._changed(f"sends {answer.size} things at most, of which none is new")
            else:
                return None

    def _without_cursors(self) -> Fetching:
        """The new items of a list none of whose items can be a cursor: those of one page that is large enough.

        Raises:
            ListChangedError: If that page is full. There may be more, which no cursor leads to.
        """
        if not self.most:
            return None  # the list is empty
        asked = self._fit(max(CONFIRM, 2 * self.most))
        if asked <= MOST:
            answer = Answer((yield {**self.arguments, self.facts.limit: asked}), self.facts)
            if self.memory.unseen(answer):
                return self._take(answer, asked)
            if self.short:
                return None
        raise ListChangedError(
            f"The list does not go on behind its first {self.most} items: none has a {self.facts.cursor} that can be a"
            " cursor. Pass a greater limit."
        )

    def _passed_over(self) -> bool:
        """Whether a cursor led past things which then never came."""
        # The other way may lead to what was not asked for, where the list has bounds of its own.
        bounded = any(name in self.arguments for name in self.names)
        names = self.names[:1] if self.proven or bounded else self.names
        return any(key not in self.memory for name in names for key in self.passed[name])

    def _sends_more_than(self, most: int) -> Generator[dict[str, Any], list[Any], bool]:
        """Whether an answer of so many things was short because there are no more, not because no more are sent."""
        if most < 2 or self.memory.count <= most:
            return True
        asked = self._fit(CONFIRM)
        return len(Answer((yield {**self.arguments, self.facts.limit: asked}), self.facts).cursors) > most

    def _overlapping(self, size: int) -> Generator[dict[str, Any], list[Any], tuple[Answer, int]]:
        """An answer in which the last thing of the page before comes back, and how many were asked for."""
        recent = self.memory.recent
        last = recent[-1]
        for name, back in self._tries(len(recent)):
            asked, cursor = self._fit(size + back - 1), recent[-1 - back]
            answer = Answer((yield {**self.arguments, name: cursor, self.facts.limit: asked}), self.facts)
            if cursor in answer.cursors:
                self.restarted = True  # the page holds what it was to begin behind: the server began the list again
            elif last in answer.cursors:
                if name != self.names[0]:
                    self.names.reverse()
                self.proven, self.back = True, back
                return answer, asked
            else:
                still = {key for key in self.passed[name] if key not in self.memory}
                self.passed[name] = still | self.memory.unseen(answer)
        if self.memory.complete:
            asked = self._fit(self.memory.count + size - 1)
            while True:
                answer = Answer((yield {**self.arguments, self.facts.limit: asked}), self.facts)
                if last in answer.cursors:
                    return answer, asked
                if answer.size < asked:
                    break
                # Things of one position come in another order each time: the last one stands further on.
                asked = self._doubled(asked)
        raise self._changed()

    def _doubled(self, asked: int) -> int:
        """Twice as many items, where so many did not contain the last one, or a new one.

        Raises:
            ListChangedError: If the server cannot have so many of one position: it sends other items each time.
        """
        if asked > max(MOST, 4 * self.memory.count) or self._fit(asked * 2) == asked:
            raise self._changed(f"sends others each time, of which {asked} do not hold it")
        return self._fit(asked * 2)

    def _fit(self, limit: int) -> int:
        """A limit, or the greatest that the server takes."""
        return limit if self.facts.max_limit is None else min(limit, self.facts.max_limit)

    def _changed(self, why: str = "began it again, or has no longer what it stood at") -> ListChangedError:
        last = self.memory.recent[-1]
        return ListChangedError(f"The list does not go on behind {last!r}: the server {why}. List it from the start.")

    def _tries(self, known: int) -> Iterator[tuple[str, int]]:
        """Cursor parameters, and how far back the cursor is to lie, the likeliest first."""
        leading, others = self.names[0], self.names[1:]
        backs = list(takewhile(lambda back: back < known, (self.back * 4**n for n in count())))
        if self.proven:
            yield from ((leading, back) for back in backs)
            yield from ((other, back) for other in others for back in backs)
        else:
            yield from ((name, back) for name in self.names for back in backs[:2])
            yield from ((name, back) for back in backs[2:] for name in self.names)

    def _take(self, answer: Answer, asked: int | None) -> list[Any]:
        """Remembers the items of a page, and returns those that are new and pass the filters, in the walk's order."""
        self.taken = True
        if self.reversed is None and self.memory.recent:
            # What was there before begins the page in the walk's order, and ends it in the other.
            self.reversed = answer.cursors[-1:] == self.memory.recent[-1:]
        if self.reversed:
            answer = answer.turned()
        self.short = answer.size < (asked or SHORTEST_DEFAULT)
        self.most = max(self.most, answer.size)
        fresh = self.memory.add(answer)
        if not self.filters:
            return fresh
        return [item for item in fresh if all(field_of(item, FILTERED) in wanted for wanted in self.filters.values())]


class Memory:
    """What a walk has seen.

    Where positions may be shared it keeps the identity of everything, in at most 100 bytes each; elsewhere that of the
    last page, or of the last few hundred things if that is more.

    Attributes:
        recent: the cursors of the last things, in the walk's order.
        count: how many things there were.
        page: how many the last page held.
    """

    def __init__(self, *, keep_all: bool) -> None:
        self._keep_all = keep_all
        self._seen: dict[int, None] = {}  # a set would take half as much again where it is at its largest
        self._window: dict[str, tuple[int, ...]] = {}
        self.count = 0
        self.page = 0

    @property
    def recent(self) -> list[str]:
        """The cursors of the last things."""
        return list(self._window)

    def identities(self, cursors: Iterable[str]) -> tuple[tuple[int, ...], ...]:
        """The identities of the things at each of these cursors."""
        return tuple(self._window[cursor] for cursor in cursors)

    def restore(self, cursors: Sequence[str], seen: Sequence[int], *, whole: bool) -> None:
        """Takes over what a checkpoint holds; `whole` says that it is all that the walk has seen."""
        self._window = {cursor: tuple(seen) if n == 0 else () for n, cursor in enumerate(cursors)}
        self._seen = dict.fromkeys(seen)
        self._keep_all = self._keep_all and whole
        self.count = len(cursors) if whole else len(cursors) + 1
        self.page = len(cursors)

    @property
    def complete(self) -> bool:
        """Whether everything that was seen is still known, so that the list can be gone over from the start."""
        return self._keep_all or self.count <= len(self._window)

    def __contains__(self, key: int) -> bool:
        return key in self._seen

    def unseen(self, answer: Answer) -> set[int]:
        """The identities of what was not seen."""
        return {key for key in answer.keys if key not in self._seen}

    def add(self, answer: Answer) -> list[Any]:
        """Takes a page in, and returns what of it is new."""
        seen, window = self._seen, self._window
        known = {cursor for cursor, key in zip(answer.at, answer.keys, strict=True) if key in seen}
        for cursor in answer.cursors:
            self.count += cursor not in window and cursor not in known
            # What came back moves to the end: the page ends where the walk stands.
            window[cursor] = window.pop(cursor, ())
        fresh: list[Any] = []
        for item, at, key in zip(answer.items, answer.at, answer.keys, strict=True):
            if key in seen:
                continue
            seen[key] = None
            fresh.append(item)
            if at is not None:  # something that could not be decoded may have none
                window[at] += (key,)
        self.page = len(answer.cursors)
        self._forget(max(RECENT, self.page))
        return fresh

    def _forget(self, room: int) -> None:
        while len(self._window) > room:
            identities = self._window.pop(next(iter(self._window)))
            if not self._keep_all:
                for key in identities:
                    self._seen.pop(key, None)

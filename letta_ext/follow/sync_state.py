"""Following a conversation: what is new in it, and where to go on. Nothing here does I/O.

What is right is what the server lists, and it lists a message as soon as it is complete. So the list is what is read,
and the stream of a background run only says when to read it. That makes the order the server's own, and a message that
was streamed and is listed later cannot come twice.

A cursor into the list is not enough: a compaction gives the messages that stay in the agent's context places from the
start of the list again, so that what is said later stands in front of what was said before. The ids in the context are
therefore read first: new messages are always appended to them. Where the context was compacted since, the whole list is
gone over once, and what is no older than the last message, and was not seen, is new.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypedDict

from attrs import define, field, frozen

from letta_api.operations import Pagination

from .._http.errors_from_response import one_line
from .._pagination.items import cursors_of, date_of, describe, is_cursor, item_key, text_field
from .._pagination.iterator import ListIterator
from .._types import is_sequence
from ..errors import ListChangedError

if TYPE_CHECKING:
    from letta_api.unions import Message

VERSION: Final = 1
"""The form of a cursor."""

PAGE: Final = 100
"""How many messages are fetch for at a time."""

MOST: Final = 1600
"""How many are fetch for at most to find one that the context names; one not found then shows as no message."""

RECENT: Final = 16
"""How many of the last ids a state remembers at least."""

SECOND: Final = 256
"""How many ids of the last second a cursor holds at most: the server tells no time between seconds."""

NO_ID: Final = "\0"
"""What the ids begin with that are made of the contents of messages without ids. No server has_seen them."""


class FollowCursor(TypedDict):
    """Where a state stands: a small JSON value, to be kept and last back as it is."""

    version: int
    of: str
    """The conversation, or the agent whose own conversation it is."""
    anchor: str | None
    """The last message that was seen in full."""
    date: str | None
    """Its date."""
    recent: list[str]
    """The last messages that were seen in full, and all of the same second."""
    head: str | None
    """The first message of the context behind the system message: another one there tells of a compaction."""
    part: list[list[str | None]]
    """What was seen of the message behind: the id, type and otid of each of its parts."""


@frozen
class FetchContext:
    """Ask for the ids in the conversation's context; None is the answer of a server that does not tell."""


@frozen
class FetchPage:
    """Ask for a page of the list, with these arguments."""

    arguments: Mapping[str, Any]


Fetch: TypeAlias = FetchContext | FetchPage
Fetching: TypeAlias = "Generator[Fetch, Any, list[Message]]"
"""Yields questions, is sent their answers, and returns the new messages."""


def id_of(message: Any) -> str:
    """The id of a message. A message that has no id, or one that is not a string, gets one made of its content."""
    found = text_field(message, "id")
    return found or f"{NO_ID}{item_key([describe(message)]):x}"


def identity(message: Any) -> tuple[str | None, str | None, str | None]:
    """What makes a message the same as another."""
    return id_of(message), text_field(message, "message_type"), text_field(message, "otid")


@define
class FollowState:
    """What is new in a conversation.

    Args:
        facts: how the list pages.
        of: which conversation it is; a cursor goes on with no other.
        direct: whether it is an agent's own conversation, whose list keeps the order of time.
        after: a message's id, a cursor, or None.
        from_start: whether, without `after`, all that was said before comes first.

    Raises:
        ValueError: If `after` is a mapping that is not a cursor, or a cursor of another conversation.
    """

    facts: Pagination
    of: str
    direct: bool = False
    after: str | Mapping[str, Any] | None = None
    from_start: bool = False
    _begun: bool = field(init=False, default=False)
    _anchor: str | None = field(init=False, default=None)
    _date: datetime | None = field(init=False, default=None)
    _recent: dict[str, None] = field(init=False, factory=dict[str, None])
    _second: dict[str, None] = field(init=False, factory=dict[str, None])
    _context: list[str] | None = field(init=False, default=None)
    _head: str | None = field(init=False, default=None)
    _next_head: str | None = field(init=False, default=None)
    _part: set[tuple[str | None, ...]] = field(init=False, factory=set[tuple[str | None, ...]])
    _waiting: dict[str, int] = field(init=False, factory=dict[str, int])

    def __attrs_post_init__(self) -> None:
        if isinstance(self.after, str):
            self._anchor = self.after
        elif self.after is not None:
            self._restore(self.after)

    def _restore(self, cursor: Mapping[str, Any]) -> None:
        check_cursor(cursor, self.of)
        self._anchor, self._head = cursor["anchor"], cursor["head"]
        self._date = datetime.fromisoformat(cursor["date"]) if cursor["date"] else None
        self._recent = dict.fromkeys(cursor["recent"])
        self._second = dict.fromkeys(cursor["recent"])
        self._part = {tuple(each) for each in cursor["part"]}
        # One that was taken before there was anything stands at the start.
        self.from_start = self._anchor is None

    def cursor(self) -> FollowCursor:
        """Where it stands: behind the last message that was last over."""
        return {
            "version": VERSION,
            "of": self.of,
            "anchor": self._anchor,
            "date": self._date.isoformat() if self._date else None,
            "recent": list(dict.fromkeys([*list(self._second)[-SECOND:], *list(self._recent)[-RECENT:]])),
            "head": self._head,
            "part": [list(each) for each in sorted(self._part, key=repr)],
        }

    def mark_yielded(self, messages: Sequence[Message], index: int) -> None:
        """Says that a message of those that were found has been last over."""
        message = messages[index]
        same = id_of(message)
        if index + 1 < len(messages) and id_of(messages[index + 1]) == same:
            self._part.add(identity(message))
            return
        self._part.clear()
        self._saw(same, date_of(message))
        if same == self._next_head or index + 1 == len(messages):
            self._head = self._next_head

    def _saw(self, id: str, date: datetime | None) -> None:
        if is_cursor(id) and not id.startswith(NO_ID):
            self._anchor = id
        self._recent.pop(id, None)
        self._recent[id] = None
        for old in list(self._recent)[:-RECENT]:
            del self._recent[old]
        if date is not None and (self._date is None or date > self._date):
            self._date = date
            self._second.clear()
        if date == self._date:
            self._second[id] = None

    def has_seen(self, message: Message) -> bool:
        """Whether a streamed message has been last over, so that there is no need to poll for it."""
        id = id_of(message)
        return id in self._recent or id in self._second or id in (self._context or ())

    def poll(self) -> Fetching:
        """The messages that are new.

        Raises:
            ListChangedError: the message to go on behind is none of the conversation's.
        """
        ids: list[str] | None = None if self.direct else (yield FetchContext())
        if self._begun and ids is not None and ids == self._context and not self._waiting:
            return []
        goes_on = self._begun or self._date is not None
        while True:
            found = yield from (self._since(ids) if goes_on else self._first(ids))
            after: list[str] | None = None if ids is None else (yield FetchContext())
            if ids is None or after is None or set(ids) <= set(after) or self._stands_at_end:
                break
            # Compacted while it was listed: of what was stored since then only a part may have been on the pages.
            ids = after
        if ids is not None:
            # What was stored while it was listed waits for the next poll, for the same reason.
            late = set(after or ()) - set(ids)
            found = [message for message in found if id_of(message) not in late]
            if goes_on:
                found = yield from self._with_missing(found, ids)
        found = [message for message in found if identity(message) not in self._part]
        next_head = ids[1] if ids and len(ids) > 1 else self._head
        # Only now, and by assignments alone: whoever was interrupted asks again.
        self._begun, self._context, self._next_head = True, ids, next_head
        self._head = self._head if found else next_head
        return found

    @property
    def _stands_at_end(self) -> bool:
        """Whether all that is wanted is still to come."""
        return not self._begun and self.after is None and not self.from_start

    def _first(self, ids: list[str] | None) -> Fetching:
        if self._stands_at_end:
            yield from self._stand_at_end(ids)
            return []
        if self._anchor is None:
            return by_date((yield from self._all()), ids)
        return (yield from self._behind_message(self._anchor, ids))

    def _stand_at_end(self, ids: list[str] | None) -> Generator[Fetch, Any, None]:
        if ids is None:
            newest = yield from self._walk({"order": "desc", "limit": PAGE}, pages=1)
            for message in reversed(newest):
                self._saw(id_of(message), date_of(message))
            return
        # Not every one of them need show; and all of the last second are wanted.
        last = yield from self._of_context(ids, set(ids[-RECENT:]))
        dates = {id_of(message): date_of(message) for message in last}
        for id in ids[-RECENT:]:
            self._saw(id, dates.get(id))

    def _behind_message(self, anchor: str, ids: list[str] | None) -> Fetching:
        """What came behind a message of which nothing is known but its id."""
        if ids and anchor in ids:
            front: list[Message] = yield FetchPage(self._ascending(ids[0], 3))
            # A conversation that was never compacted has all of its messages in the context.
            if all(id in ids for id in cursors_of(front, self.facts)):
                for id in ids[max(0, ids.index(anchor) + 1 - RECENT) : ids.index(anchor)]:
                    self._saw(id, None)
                self._saw(anchor, latest((yield from self._of_context(ids, {anchor}))))
                return (yield from self._since(ids))
        everything = by_date((yield from self._all()), ids)
        places = [at for at, message in enumerate(everything) if id_of(message) == anchor]
        if not places:
            raise ListChangedError(f"{anchor} is none of the messages of this conversation, so nothing follows it.")
        for message in everything[: places[-1] + 1]:
            self._saw(id_of(message), date_of(message))
        return everything[places[-1] + 1 :]

    def _since(self, ids: list[str] | None) -> Fetching:
        """What came since the last message that was last over."""
        if not self._compacted(ids):
            found = yield from self._behind(ids)
            # What has left the context already did so by a compaction: the list is out of order.
            return by_date(found, ids) if ids and not {id_of(m) for m in found} <= set(ids) else found
        everything = yield from self._all()
        new = set(self._unknown(ids))
        return by_date([m for m in everything if id_of(m) in new or self._is_new(m)], ids)

    def _with_missing(self, found: list[Message], ids: list[str]) -> Fetching:
        """What was found, and what else is in the context and was not seen."""
        seen = {id_of(message) for message in found}
        missing = [id for id in self._unknown(ids) if id not in seen]
        if not missing:
            self._waiting = {}
            return found
        found = in_order([*found, *(yield from self._of_context(ids, set(missing)))], ids)
        self._note_missing(missing, {id_of(message) for message in found})
        return found

    def _unknown(self, ids: list[str] | None) -> list[str]:
        """What of the context was not seen: what stands behind the last message, and another summary in front."""
        if not ids:
            return []
        if self._context is not None:
            known = {*self._recent, *self._second, *self._context} - self._waiting.keys()
            return [id for at, id in enumerate(ids) if id not in known and (at > 0 or self._anchor is None)]
        at = self._place(ids)
        summary = [ids[1]] if at > 1 and ids[1] != self._head and ids[1] not in self._recent else []
        return [*summary, *ids[at + 1 :]]

    def _place(self, ids: Sequence[str]) -> int:
        """Where in the context the last message stands that was last over; without one, at the system message."""
        return max((at for at, id in enumerate(ids) if id in self._recent), default=0 if self._anchor else -1)

    def _compacted(self, ids: list[str] | None) -> bool:
        if not ids or self._anchor is None:
            return False
        if self._context is not None:
            return not set(self._context) <= set(ids)
        # A summary takes the place behind the system message.
        return self._place(ids) == 0 < len(self._recent) - (ids[0] in self._recent) or (
            self._head is not None and ids[1:2] != [self._head]
        )

    def _is_new(self, message: Message) -> bool:
        id = id_of(message)
        if id in self._recent or id in self._second:
            return False
        date = date_of(message)
        return self._date is None or date is None or date >= self._date

    def _note_missing(self, missing: Sequence[str], found: set[str]) -> None:
        """What the context names and the list does not show is record_poll for once more: the list may lag behind."""
        left = [id for id in missing if id not in found]
        self._waiting = {id: 1 for id in left if self._waiting.get(id, 0) < 1}
        for id in left:
            if id not in self._waiting:
                self._recent.setdefault(id)

    def _behind(self, ids: list[str] | None) -> Fetching:
        """What the list has behind the last message: all that is new, as long as no context was compacted."""
        found: list[Message] = []
        cursor = self._anchor
        if ids and (at := self._place(ids)) >= 0:
            cursor = ids[at]
        while True:
            items: list[Message] = yield FetchPage(self._ascending(cursor, PAGE))
            new = [m for m in items if self._is_new(m)]
            found += new
            cursors = cursors_of(items, self.facts)
            if not new or len(cursors) < PAGE:  # what a short page hides will be missing from the context
                return found
            cursor = cursors[-1]

    def _of_context(self, ids: Sequence[str], wanted: set[str]) -> Fetching:
        """The messages of the context that are wanted, in its order."""
        found: dict[str, list[Message]] = {}
        tried: set[str] = set()
        limit = PAGE
        for at, id in enumerate(ids):
            while id in wanted and id not in found and id not in tried:
                # Each stands right behind the one in front of it, among those that had the same place before.
                cursor = ids[at - 1] if at else None
                items: list[Message] = yield FetchPage(self._ascending(cursor, limit))
                for message in items:
                    if (each := id_of(message)) in wanted and each not in found:
                        found[each] = [m for m in items if id_of(m) == each]
                if id not in found:
                    if limit >= MOST or len(items) < limit // 2:
                        tried.add(id)
                    limit = min(MOST, limit * 4)
        return [message for id in ids for message in found.get(id, ())]

    def _ascending(self, after: str | None, limit: int) -> dict[str, Any]:
        page = {self.facts.order: "asc", self.facts.limit: limit}
        return page if after is None else {**page, self.facts.after: after}

    def _all(self) -> Fetching:
        return (yield from self._walk({"order": "asc", "limit": PAGE}))

    def _walk(self, arguments: Mapping[str, Any], pages: int | None = None) -> Fetching:
        """Everything that the list has, or its first pages."""
        iterator = ListIterator(self.facts, arguments, reversible=self.direct)
        found: list[Message] = []
        fetching = iterator.begin()
        while pages is None or pages > 0:
            pages = None if pages is None else pages - 1
            new: list[Message] = (yield from fetch(fetching)) or []
            if not new:
                break
            found += new
            fetching = iterator.next()
        return found


def check_cursor(cursor: Mapping[str, Any], of: str) -> None:
    """Checks that a mapping is a cursor of this conversation.

    Raises:
        ValueError: If it is not a cursor, or one of another conversation.
    """
    shown = one_line(repr(dict(cursor)), 80)
    date, recent, part = cursor.get("date"), cursor.get("recent"), cursor.get("part")
    fits = {
        "version": cursor.get("version") == VERSION and not isinstance(cursor["version"], bool),
        "of": isinstance(cursor.get("of"), str),
        "anchor": "anchor" in cursor and (cursor["anchor"] is None or is_cursor(cursor["anchor"])),
        "head": "head" in cursor and isinstance(cursor["head"], (str, NoneType)),
        "date": "date" in cursor and (date is None or is_date(date)),
        "recent": is_sequence(recent) and all(isinstance(each, str) for each in recent),
        "part": is_sequence(part) and all(map(is_part, part)),
    }
    if wrong := [name for name, right in fits.items() if not right]:
        raise ValueError(f"after must be a message id or the cursor of a follower, got {shown}: see {wrong[0]!r}")
    if cursor["of"] != of:
        raise ValueError(f"after must be a cursor of {of}, got one of {cursor['of']}")


def is_date(value: object) -> bool:
    """Whether a value is the text of a date with its offset."""
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def is_part(value: object) -> bool:
    """Whether a value is the id, the type and the otid of a message."""
    return is_sequence(value) and len(value) == 3 and all(isinstance(each, (str, NoneType)) for each in value)


def latest(messages: Sequence[Message]) -> datetime | None:
    """The latest of their dates."""
    return max((date for message in messages if (date := date_of(message))), default=None)


def fetch(
    fetching: Generator[dict[str, Any], list[Any], list[Any] | None],
) -> Generator[Fetch, Any, list[Any] | None]:
    """The requests of a walk, as questions."""
    try:
        arguments = next(fetching)
        while True:
            arguments = fetching.send((yield FetchPage(arguments)))
    except StopIteration as done:
        result: list[Any] | None = done.value
        return result


def by_date(messages: Sequence[Message], ids: Sequence[str] | None) -> list[Message]:
    """Messages in the order of time.

    Of one second come first those that have left the context, in the list's order; but for the system message, which
    never leaves it and is older than all.
    """
    places = {id: at or -2 for at, id in enumerate(ids or ())}
    keys: dict[str, tuple[float, int, int]] = {}
    previous = 0.0
    for at, message in enumerate(messages):
        id, date = id_of(message), date_of(message)
        previous = date.timestamp() if date else previous
        keys.setdefault(id, (previous, places.get(id, -1), at))
    return sorted(messages, key=lambda message: keys[id_of(message)])


def in_order(messages: Sequence[Message], ids: Sequence[str]) -> list[Message]:
    """What is no longer in the context, and then what is, in its order."""
    places = {id: at for at, id in enumerate(ids)}
    return sorted(messages, key=lambda message: places.get(id_of(message), -1))

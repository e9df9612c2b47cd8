"""The state of a follower, which determines the new messages of a conversation.

The list of the server is authoritative: it contains a message as soon as it is complete. The stream of a background
run only triggers a poll of the list. The messages therefore have the order of the server, and none is yielded twice.

A cursor into the list is not sufficient. A compaction renumbers the messages that stay in the context window from the
start of the list, so that later messages precede earlier ones. New messages are always appended to the ids of the
context window, which are therefore fetched first. After a compaction the whole list is fetched once. A message in it is
new if it was not seen and is not older than the last one.
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
"""The version of the cursor format."""

PAGE_SIZE: Final = 100
"""The limit of a request for messages."""

MAX_LOOKUP_SIZE: Final = 1600
"""The maximum limit of a request for one message of the context window. A message beyond it is not listed."""

MIN_RECENT: Final = 16
"""The minimum number of recent ids that a follower keeps."""

MAX_LAST_SECOND: Final = 256
"""The maximum number of ids of the last second in a cursor. The server dates messages with a precision of seconds."""

DIGEST_PREFIX: Final = "\0"
"""The prefix of the digests that identify messages without an id. No id of the server has it."""


class FollowCursor(TypedDict):
    """The position of a follower: a small JSON value for `follow(…, after=cursor)`."""

    version: int
    of: str
    """The conversation id, or the agent id for the default conversation of an agent."""
    anchor: str | None
    """The id of the last message of which all parts were yielded."""
    date: str | None
    """The date of that message."""
    recent: list[str]
    """The ids of the last messages, and of all messages of the last second."""
    head: str | None
    """The first id of the context window after the system message. A compaction replaces it."""
    part: list[list[str | None]]
    """The id, type and otid of each yielded part of the next message."""


@frozen
class FetchContext:
    """Fetch the ids of the context window, or None if the server does not provide them."""


@frozen
class FetchPage:
    """Fetch a page of the list with these arguments."""

    arguments: Mapping[str, Any]


Fetch: TypeAlias = FetchContext | FetchPage
Fetching: TypeAlias = "Generator[Fetch, Any, list[Message]]"
"""A generator that yields fetches, receives their results, and returns messages."""


def id_of(message: Any) -> str:
    """Return the id of a message, or a digest of a message without one."""
    id = text_field(message, "id")
    return id or f"{DIGEST_PREFIX}{item_key([describe(message)]):x}"


def identity(message: Any) -> tuple[str | None, str | None, str | None]:
    """Return the fields that identify a part of a message."""
    return id_of(message), text_field(message, "message_type"), text_field(message, "otid")


@define
class FollowState:
    """The state of a follower.

    Args:
        pagination: The pagination of the list.
        of: The id that the cursor belongs to.
        is_agent: Whether it is the default conversation of an agent, whose list is ordered by time.
        after: A message id, a cursor, or None.
        from_start: Whether to begin with the first message. Requires that `after` is None. Defaults to False.

    Raises:
        ValueError: If `after` is not a cursor, or the cursor of another conversation.
    """

    pagination: Pagination
    of: str
    is_agent: bool = False
    after: str | Mapping[str, Any] | None = None
    from_start: bool = False
    _started: bool = field(init=False, default=False)
    _anchor: str | None = field(init=False, default=None)
    _date: datetime | None = field(init=False, default=None)
    _recent: dict[str, None] = field(init=False, factory=dict[str, None])
    _last_second: dict[str, None] = field(init=False, factory=dict[str, None])
    _context: list[str] | None = field(init=False, default=None)
    _head: str | None = field(init=False, default=None)
    _next_head: str | None = field(init=False, default=None)
    _part: set[tuple[str | None, ...]] = field(init=False, factory=set[tuple[str | None, ...]])
    _unlisted: dict[str, int] = field(init=False, factory=dict[str, int])

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
        self._last_second = dict.fromkeys(cursor["recent"])
        self._part = {tuple(each) for each in cursor["part"]}
        # The cursor of an empty conversation is at the start.
        self.from_start = self._anchor is None

    def cursor(self) -> FollowCursor:
        """Return the position after the last yielded message."""
        return {
            "version": VERSION,
            "of": self.of,
            "anchor": self._anchor,
            "date": self._date.isoformat() if self._date else None,
            "recent": list(
                dict.fromkeys([*list(self._last_second)[-MAX_LAST_SECOND:], *list(self._recent)[-MIN_RECENT:]])
            ),
            "head": self._head,
            "part": [list(each) for each in sorted(self._part, key=repr)],
        }

    def mark_yielded(self, messages: Sequence[Message], index: int) -> None:
        """Record that a message of the last poll is yielded."""
        message = messages[index]
        id = id_of(message)
        if index + 1 < len(messages) and id_of(messages[index + 1]) == id:
            self._part.add(identity(message))
            return
        self._part.clear()
        self._remember(id, date_of(message))
        if id == self._next_head or index + 1 == len(messages):
            self._head = self._next_head

    def _remember(self, id: str, date: datetime | None) -> None:
        if is_cursor(id) and not id.startswith(DIGEST_PREFIX):
            self._anchor = id
        self._recent.pop(id, None)
        self._recent[id] = None
        for old in list(self._recent)[:-MIN_RECENT]:
            del self._recent[old]
        if date is not None and (self._date is None or date > self._date):
            self._date = date
            self._last_second.clear()
        if date == self._date:
            self._last_second[id] = None

    def has_seen(self, message: Message) -> bool:
        """Return whether a streamed message is known, so that it does not require a poll."""
        id = id_of(message)
        return id in self._recent or id in self._last_second or id in (self._context or ())

    def poll(self) -> Fetching:
        """Fetch the new messages.

        Raises:
            ListChangedError: If the conversation does not contain the message of `after`.
        """
        ids: list[str] | None = None if self.is_agent else (yield FetchContext())
        if self._started and ids is not None and ids == self._context and not self._unlisted:
            return []
        has_position = self._started or self._date is not None
        while True:
            found = yield from (self._since_last(ids) if has_position else self._initial(ids))
            after: list[str] | None = None if ids is None else (yield FetchContext())
            if ids is None or after is None or set(ids) <= set(after) or self._starts_at_end:
                break
            # A compaction during the listing: the pages may lack messages that were stored since then.
            ids = after
        if ids is not None:
            # Messages that were stored during the listing are left to the next poll for the same reason.
            late = set(after or ()) - set(ids)
            found = [message for message in found if id_of(message) not in late]
            if has_position:
                found = yield from self._with_missing(found, ids)
        found = [message for message in found if identity(message) not in self._part]
        next_head = ids[1] if ids and len(ids) > 1 else self._head
        # Last, and by assignments only: an interrupted poll is repeated without a loss.
        self._started, self._context, self._next_head = True, ids, next_head
        self._head = self._head if found else next_head
        return found

    @property
    def _starts_at_end(self) -> bool:
        """Whether the first poll skips the existing messages."""
        return not self._started and self.after is None and not self.from_start

    def _initial(self, ids: list[str] | None) -> Fetching:
        if self._starts_at_end:
            yield from self._skip_to_end(ids)
            return []
        if self._anchor is None:
            return by_date((yield from self._fetch_list()), ids)
        return (yield from self._after_message(self._anchor, ids))

    def _skip_to_end(self, ids: list[str] | None) -> Generator[Fetch, Any, None]:
        if ids is None:
            newest = yield from self._fetch_pages({"order": "desc", "limit": PAGE_SIZE}, pages=1)
            for message in reversed(newest):
                self._remember(id_of(message), date_of(message))
            return
        # The list may lack some of these, and all messages of the last second are needed.
        last = yield from self._fetch_from_context(ids, set(ids[-MIN_RECENT:]))
        dates = {id_of(message): date_of(message) for message in last}
        for id in ids[-MIN_RECENT:]:
            self._remember(id, dates.get(id))

    def _after_message(self, anchor: str, ids: list[str] | None) -> Fetching:
        """Fetch the messages after a message of which only the id is known."""
        if ids and anchor in ids:
            first: list[Message] = yield FetchPage(self._ascending(ids[0], 3))
            # The context window of a conversation without compactions contains all messages.
            if all(id in ids for id in cursors_of(first, self.pagination)):
                for id in ids[max(0, ids.index(anchor) + 1 - MIN_RECENT) : ids.index(anchor)]:
                    self._remember(id, None)
                self._remember(anchor, latest((yield from self._fetch_from_context(ids, {anchor}))))
                return (yield from self._since_last(ids))
        messages = by_date((yield from self._fetch_list()), ids)
        positions = [index for index, message in enumerate(messages) if id_of(message) == anchor]
        if not positions:
            raise ListChangedError(f"The conversation does not contain {anchor}. Pass the id of another message.")
        for message in messages[: positions[-1] + 1]:
            self._remember(id_of(message), date_of(message))
        return messages[positions[-1] + 1 :]

    def _since_last(self, ids: list[str] | None) -> Fetching:
        """Fetch the messages since the last yielded one."""
        if not self._is_compacted(ids):
            found = yield from self._listed_after_last(ids)
            # A message outside of the context window left it by a compaction: the list is not ordered by time.
            return by_date(found, ids) if ids and not {id_of(m) for m in found} <= set(ids) else found
        messages = yield from self._fetch_list()
        new = set(self._unseen(ids))
        return by_date([m for m in messages if id_of(m) in new or self._is_new(m)], ids)

    def _with_missing(self, found: list[Message], ids: list[str]) -> Fetching:
        """Add the unseen messages of the context window that were not found in the list."""
        seen = {id_of(message) for message in found}
        missing = [id for id in self._unseen(ids) if id not in seen]
        if not missing:
            self._unlisted = {}
            return found
        found = by_context([*found, *(yield from self._fetch_from_context(ids, set(missing)))], ids)
        self._schedule_recheck(missing, {id_of(message) for message in found})
        return found

    def _unseen(self, ids: list[str] | None) -> list[str]:
        """Return the unseen ids of the context window: those after the last message, and that of a new summary."""
        if not ids:
            return []
        if self._context is not None:
            known = {*self._recent, *self._last_second, *self._context} - self._unlisted.keys()
            return [id for index, id in enumerate(ids) if id not in known and (index > 0 or self._anchor is None)]
        last = self._last_position(ids)
        summary = [ids[1]] if last > 1 and ids[1] != self._head and ids[1] not in self._recent else []
        return [*summary, *ids[last + 1 :]]

    def _last_position(self, ids: Sequence[str]) -> int:
        """Return the index of the last yielded message in the context window.

        It is 0, the index of the system message, if the message left the context window, and -1 if nothing was yielded.
        """
        return max((index for index, id in enumerate(ids) if id in self._recent), default=0 if self._anchor else -1)

    def _is_compacted(self, ids: list[str] | None) -> bool:
        if not ids or self._anchor is None:
            return False
        if self._context is not None:
            return not set(self._context) <= set(ids)
        # A compaction puts a summary after the system message.
        return self._last_position(ids) == 0 < len(self._recent) - (ids[0] in self._recent) or (
            self._head is not None and ids[1:2] != [self._head]
        )

    def _is_new(self, message: Message) -> bool:
        id = id_of(message)
        if id in self._recent or id in self._last_second:
            return False
        date = date_of(message)
        return self._date is None or date is None or date >= self._date

    def _schedule_recheck(self, missing: Sequence[str], found: set[str]) -> None:
        """Poll once more for ids of the context window that are not listed, since the list may lag."""
        unlisted = [id for id in missing if id not in found]
        self._unlisted = {id: 1 for id in unlisted if self._unlisted.get(id, 0) < 1}
        for id in unlisted:
            if id not in self._unlisted:
                self._recent.setdefault(id)

    def _listed_after_last(self, ids: list[str] | None) -> Fetching:
        """Fetch the list after the last message. Without a compaction these are all new messages."""
        found: list[Message] = []
        cursor = self._anchor
        if ids and (last := self._last_position(ids)) >= 0:
            cursor = ids[last]
        while True:
            items: list[Message] = yield FetchPage(self._ascending(cursor, PAGE_SIZE))
            new = [m for m in items if self._is_new(m)]
            found += new
            cursors = cursors_of(items, self.pagination)
            if not new or len(cursors) < PAGE_SIZE:  # messages that a short page lacks are missing from the context
                return found
            cursor = cursors[-1]

    def _fetch_from_context(self, ids: Sequence[str], wanted: set[str]) -> Fetching:
        """Fetch messages of the context window, in its order."""
        found: dict[str, list[Message]] = {}
        tried: set[str] = set()
        limit = PAGE_SIZE
        for index, id in enumerate(ids):
            while id in wanted and id not in found and id not in tried:
                # A message directly follows its predecessor, among messages that had the same position before.
                cursor = ids[index - 1] if index else None
                items: list[Message] = yield FetchPage(self._ascending(cursor, limit))
                for message in items:
                    if (each := id_of(message)) in wanted and each not in found:
                        found[each] = [m for m in items if id_of(m) == each]
                if id not in found:
                    if limit >= MAX_LOOKUP_SIZE or len(items) < limit // 2:
                        tried.add(id)
                    limit = min(MAX_LOOKUP_SIZE, limit * 4)
        return [message for id in ids for message in found.get(id, ())]

    def _ascending(self, after: str | None, limit: int) -> dict[str, Any]:
        page = {self.pagination.order: "asc", self.pagination.limit: limit}
        return page if after is None else {**page, self.pagination.after: after}

    def _fetch_list(self) -> Fetching:
        return (yield from self._fetch_pages({"order": "asc", "limit": PAGE_SIZE}))

    def _fetch_pages(self, arguments: Mapping[str, Any], pages: int | None = None) -> Fetching:
        """Fetch the first pages of the list, or all of them."""
        iterator = ListIterator(self.pagination, arguments, reversible=self.is_agent)
        found: list[Message] = []
        fetching = iterator.begin()
        while pages is None or pages > 0:
            pages = None if pages is None else pages - 1
            new: list[Message] = (yield from as_fetches(fetching)) or []
            if not new:
                break
            found += new
            fetching = iterator.next()
        return found


def check_cursor(cursor: Mapping[str, Any], of: str) -> None:
    """Check the cursor of a conversation.

    Raises:
        ValueError: If it is not a cursor, or the cursor of another conversation.
    """
    shown = one_line(repr(dict(cursor)), 80)
    date, recent, part = cursor.get("date"), cursor.get("recent"), cursor.get("part")
    valid = {
        "version": cursor.get("version") == VERSION and not isinstance(cursor["version"], bool),
        "of": isinstance(cursor.get("of"), str),
        "anchor": "anchor" in cursor and (cursor["anchor"] is None or is_cursor(cursor["anchor"])),
        "head": "head" in cursor and isinstance(cursor["head"], (str, NoneType)),
        "date": "date" in cursor and (date is None or is_date(date)),
        "recent": is_sequence(recent) and all(isinstance(each, str) for each in recent),
        "part": is_sequence(part) and all(map(is_part, part)),
    }
    if invalid := [name for name, is_valid in valid.items() if not is_valid]:
        raise ValueError(
            f"after must be a message id or the cursor of a follower, got {shown}, whose {invalid[0]!r} is invalid"
        )
    if cursor["of"] != of:
        raise ValueError(f"after must be a cursor of {of}, got one of {cursor['of']}")


def is_date(value: object) -> bool:
    """Return whether a value is a date in ISO 8601 with an offset."""
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def is_part(value: object) -> bool:
    """Return whether a value is the id, type and otid of a message."""
    return is_sequence(value) and len(value) == 3 and all(isinstance(each, (str, NoneType)) for each in value)


def latest(messages: Sequence[Message]) -> datetime | None:
    """Return the latest date of messages, or None."""
    return max((date for message in messages if (date := date_of(message))), default=None)


def as_fetches(
    fetching: Generator[dict[str, Any], list[Any], list[Any] | None],
) -> Generator[Fetch, Any, list[Any] | None]:
    """Convert the requests of a list iterator to fetches."""
    try:
        arguments = next(fetching)
        while True:
            arguments = fetching.send((yield FetchPage(arguments)))
    except StopIteration as stop:
        result: list[Any] | None = stop.value
        return result


def by_date(messages: Sequence[Message], ids: Sequence[str] | None) -> list[Message]:
    """Sort messages by time.

    Within a second, messages that left the context window come first, in the order of the list. The system message
    precedes them, since it is the oldest and never leaves the context window.
    """
    positions = {id: index or -2 for index, id in enumerate(ids or ())}
    keys: dict[str, tuple[float, int, int]] = {}
    previous = 0.0
    for index, message in enumerate(messages):
        id, date = id_of(message), date_of(message)
        previous = date.timestamp() if date else previous
        keys.setdefault(id, (previous, positions.get(id, -1), index))
    return sorted(messages, key=lambda message: keys[id_of(message)])


def by_context(messages: Sequence[Message], ids: Sequence[str]) -> list[Message]:
    """Sort messages by their order in the context window. Messages that left it come first."""
    positions = {id: index for index, id in enumerate(ids)}
    return sorted(messages, key=lambda message: positions.get(id_of(message), -1))

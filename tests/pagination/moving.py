"""A conversation whose messages move: compactions and sends between the requests of a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from random import Random
from typing import Any, Final, Literal, TypeAlias

from attrs import define, field, frozen

from letta_api.operations import CONVERSATIONS_MESSAGES_LIST, Pagination
from letta_ext.testing.store.models import Message, Role, Thread

from .servers import Item

assert CONVERSATIONS_MESSAGES_LIST.pagination is not None
MOVING: Final[Pagination] = CONVERSATIONS_MESSAGES_LIST.pagination

Change: TypeAlias = tuple[Literal["send", "compact"], int]
"""A send of a number of turns, or a compaction that keeps a share of the context window, in percent."""


@define
class Conversation:
    """A conversation of the embedded server, listed as PostgreSQL does: messages at one position in any order.

    Attributes:
        random: The order of messages at one position.
        hides: Returns whether a message is listed as nothing, as a reply without content.
    """

    random: Random
    hides: Callable[[Message], bool] = lambda _: False
    thread: Thread = field(init=False)
    _numbers: count[int] = field(init=False, factory=count)

    def __attrs_post_init__(self) -> None:
        self.thread = Thread(agent_id="agent", label="conv")
        self.thread.store(self._message("system"))

    def _message(self, role: Role) -> Message:
        return Message(id=f"m{next(self._numbers)}", role=role, created_at=datetime.now(UTC))

    def change(self, change: Change) -> None:
        """Send messages or compact."""
        kind, number = change
        if kind == "send":
            for _ in range(number):
                self.thread.store(self._message("user"))
                self.thread.store(self._message("assistant"))
            return
        context = self.thread.context
        first = max(2, len(context) - len(context) * number // 100)
        self.thread.replace_context([context[0], self._message("summary"), *context[first:]])

    @property
    def positions(self) -> dict[str, int]:
        """The position of each visible message, by its id."""
        return {each.message.id: each.position for each in self.thread.stored if not self.hides(each.message)}

    def page(self, arguments: Mapping[str, Any]) -> list[Item]:
        """Return a page of the list."""
        shuffled = self.random.sample(self.thread.stored, len(self.thread.stored))
        positions = {each.message.id: each.position for each in shuffled}
        after, before = positions.get(arguments.get("after", "")), positions.get(arguments.get("before", ""))
        chosen = [
            each
            for each in sorted(shuffled, key=lambda each: each.position)
            if (after is None or each.position > after) and (before is None or each.position < before)
        ]
        if arguments.get("order", "desc") == "desc":
            chosen.reverse()
        found = [each.message for each in chosen[: arguments.get("limit", 100)] if not self.hides(each.message)]
        return [Item(message.id, f"{message.role}_message") for message in found]


@frozen
class Requests:
    """Responds to list requests, and changes the conversation before some of them.

    Attributes:
        changes: The changes before each request, the first of which is the second one.
        sent: The arguments of each request.
        states: The positions at the first request and at each later one.
    """

    conversation: Conversation
    changes: Sequence[Sequence[Change]]
    sent: list[Mapping[str, Any]] = field(factory=list[Mapping[str, Any]])
    states: list[dict[str, int]] = field(factory=list[dict[str, int]])

    def __call__(self, arguments: Mapping[str, Any]) -> list[Item]:
        """Change the conversation and return a page."""
        number = len(self.sent)
        if 0 < number <= len(self.changes):
            for change in self.changes[number - 1]:
                self.conversation.change(change)
        self.sent.append(dict(arguments))
        self.states.append(self.conversation.positions)
        return self.conversation.page(arguments)

"""The state of a turn that calls tools, and the types of it that programs write down."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeAlias

from letta_api import api

from .._http.requests import OPTIONS, prepare
from .._pagination.items import field_of
from .._streaming.base_stream import BaseStream
from ..config import Config
from .state_machine import TurnStateMachine
from .tool import ToolRegistry, Verdict

if TYPE_CHECKING:
    from letta_api.models import ToolCall
    from letta_api.unions import Message, StreamEvent

Approve: TypeAlias = "Callable[[ToolCall], Verdict]"
"""Decides whether a tool of the server may run: a bool, or a bool and the reason."""

AsyncApprove: TypeAlias = "Callable[[ToolCall], Verdict | Awaitable[Verdict]]"
"""What `Approve` is; may be async."""

Event: TypeAlias = "StreamEvent | Message"
"""An event; or a whole message, where the events of a run were lost and it had to be listed."""

Item: TypeAlias = "tuple[Event, list[Message]]"
"""An event, and the messages that it completes."""


def of_run(messages: list[Message], run_id: str) -> tuple[list[Message], bool]:
    """The messages of a page, newest first, that are no older than those of a run, and whether there may be more."""
    mine = [field_of(message, "run_id") == run_id for message in messages]
    return messages, not any(mine) or mine[-1]


class BaseTurn:
    """What the turns of sync and async code have in common."""

    def __init__(
        self,
        config: Config,
        conversation_id: str,
        arguments: Mapping[str, Any],
        loop: TurnStateMachine,
        box: ToolRegistry,
    ) -> None:
        # Refuses what `create` would refuse, before anything is sent.
        prepare(config, api.conversations_messages.conversations_messages_create, (conversation_id,), loop.request)
        self._conversation_id = conversation_id
        self._options = {name: value for name, value in arguments.items() if name in OPTIONS - {"extra_body"}}
        agent_id = arguments.get("agent_id")
        self._listing: dict[str, Any] = {**self._options, "order": "desc"}
        if agent_id is not None:
            self._listing["agent_id"] = agent_id
        self._loop = loop
        self._box = box
        # What was found and not handed out: several messages may be complete at once, and a loop left between them.
        self._listed: deque[Message] = deque()
        self._whole: deque[Message] = deque()

        self._taken: tuple[StreamEvent, BaseStream] | None = None  # an event, and the stream that it is of

    def _out(self, messages: deque[Message]) -> Iterator[Message]:
        while messages:
            message = messages[0]
            del messages[0]  # a signal handler can run behind a call, and not here
            yield message

    def _told(self) -> Iterator[Item]:
        """The event that was taken from its stream last, unless it was handed over."""
        if self._taken is not None:
            event, stream = self._taken
            messages = self._loop.received(event, stream.run_id, stream.last_seq_id)
            self._taken = None
            if messages is not None:
                yield event, messages

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._conversation_id!r})"


def check_approve(approve: Callable[..., Any] | None, *, may_be_async: bool) -> None:
    """Refuses an approval callback that cannot be called.

    Raises:
        TypeError: it is none, or async where nothing can await it.
    """
    if approve is not None and not callable(approve):
        raise TypeError(f"approve must be a function, not {approve!r}")
    if iscoroutinefunction(approve) and not may_be_async:
        raise TypeError("approve is async; use AsyncLetta, or give a function that is not")

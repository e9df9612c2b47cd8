"""The shared state of sync and async tool turns, and their public types."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeAlias

from letta_api import api

from .._http.requests import OPTIONS, prepare
from .._http.send_checks import check_agent
from .._pagination.items import field_of
from .._streaming.base_stream import BaseStream
from .._streaming.interruption import ReadsRun
from .._types import is_mapping
from ..config import Config
from .state_machine import TurnStateMachine
from .tool import ToolRegistry, Verdict

if TYPE_CHECKING:
    from letta_api.models import ToolCall
    from letta_api.unions import Message, StreamEvent

Approve: TypeAlias = "Callable[[ToolCall], Verdict]"
"""A callback that decides whether a tool of the server may run. It returns a bool, or a bool and a reason."""

AsyncApprove: TypeAlias = "Callable[[ToolCall], Verdict | Awaitable[Verdict]]"
"""Async version of `Approve`. The callback may be sync or async."""

Event: TypeAlias = "StreamEvent | Message"
"""A stream event, or a whole message if the events of a run are lost and its messages are listed."""

Item: TypeAlias = "tuple[Event, list[Message]]"
"""An event, and the messages that it completes."""


def of_run(messages: list[Message], run_id: str) -> tuple[list[Message], bool]:
    """Return a page of messages, newest first, and whether older ones of the run may follow."""
    belongs = [field_of(message, "run_id") == run_id for message in messages]
    return messages, not any(belongs) or belongs[-1]


class BaseTurn(ReadsRun):
    """The shared part of sync and async turns."""

    def __init__(
        self,
        config: Config,
        conversation_id: str,
        arguments: Mapping[str, Any],
        machine: TurnStateMachine,
        registry: ToolRegistry,
    ) -> None:
        body = arguments.get("extra_body")
        check_agent(conversation_id, {**arguments, **(body if is_mapping(body) else {})}.get("agent_id"))
        # Raises the argument errors of `create` before a request is sent.
        prepare(config, api.conversations_messages.conversations_messages_create, (conversation_id,), machine.request)
        self._conversation_id = conversation_id
        self._options = {name: value for name, value in arguments.items() if name in OPTIONS - {"extra_body"}}
        agent_id = arguments.get("agent_id")
        self._listing: dict[str, Any] = {**self._options, "order": "desc"}
        if agent_id is not None:
            self._listing["agent_id"] = agent_id
        self._machine = machine
        self._registry = registry
        # One event can complete several messages. These queues keep the ones that an abandoned loop did not take.
        self._listed: deque[Message] = deque()
        self._unyielded: deque[Message] = deque()

        self._taken: tuple[StreamEvent, BaseStream] | None = None  # the last event, with its stream

    @property
    def active_run_id(self) -> str | None:
        """The id of the run of the current round until it has ended. None before an event has it."""
        return self._machine.active_run_id

    def _drain(self, messages: deque[Message]) -> Iterator[Message]:
        while messages:
            message = messages[0]
            del messages[0]  # not popleft(): a signal handler can run after a call, but not after this statement
            yield message

    def _take_event(self) -> Iterator[Item]:
        """Yield the event that was last received, unless it was yielded before."""
        if self._taken is not None:
            event, stream = self._taken
            messages = self._machine.on_event(event, stream.run_id, stream.last_seq_id)
            self._taken = None
            if messages is not None:
                yield event, messages

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._conversation_id!r})"


def check_approve(approve: Callable[..., Any] | None, *, may_be_async: bool) -> None:
    """Check an approval callback.

    Raises:
        TypeError: If it is not callable, or is async in a sync client.
    """
    if approve is not None and not callable(approve):
        raise TypeError(f"approve must be a function, got {approve!r}")
    if iscoroutinefunction(approve) and not may_be_async:
        raise TypeError("approve must not be async in a sync client; use AsyncLetta, or pass a sync function")

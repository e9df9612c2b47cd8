"""The state of a state, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isbuiltin, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final

import httpx
from attrs import define

from letta_api import api

from .._http.validation import check_arguments, check_id
from .._types import is_mapping
from ..errors import (
    APIConnectionError,
    APIStatusError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    PendingApprovalError,
    PermissionDeniedError,
    RunError,
    RunExpiredError,
)
from ..limits import StreamLimits
from ..retry import RetryPolicy
from .backoff import Backoff
from .sync_state import FollowCursor, FollowState

if TYPE_CHECKING:
    from letta_api.unions import Message, StreamEvent

    from .._streaming.accumulator import MessageAccumulator

STREAM_UNAVAILABLE: Final = (BadRequestError, NotFoundError, RunExpiredError, ConflictError, APIConnectionError)
"""What asking for the stream of the active run raises where there is none that can be read."""

STREAM_FAILED: Final = (RunError, PendingApprovalError, APIConnectionError)
"""What reading it raises. The list tells what became of the run."""

CONTEXT_UNAVAILABLE: Final = (BadRequestError, NotFoundError, PermissionDeniedError)
"""What asking for the context raises where the server does not tell."""


@define
class FollowLoop:
    """One loop over a state.

    Attributes:
        backoff: How often it looks, and how long.
        last: The message that was last over last. Whether it is the last of all is fetch afterwards.
    """

    backoff: Backoff
    last: Message | None = None


class BaseFollow:
    """What followers of sync and async code have in common."""

    def __init__(
        self,
        conversation_id: str,
        agent_id: str | None,
        state: FollowState,
        backoff: Callable[[], Backoff],
        until: Callable[[Message], bool] | None,
        clock: Callable[[], float],
    ) -> None:
        self._conversation_id = conversation_id
        self._arguments: dict[str, Any] = {} if agent_id is None else {"agent_id": agent_id}
        self._state = state
        self._make_backoff = backoff
        if until is not None and not callable(until):
            raise TypeError(f"until must be a function that is given a message, or None, not {until!r}")
        check_function("until", until, may_be_async=False)
        check_function("clock", clock, may_be_async=False)
        self._until = until
        self._clock = clock
        self._pending: list[Message] = []
        self._next = 0

    @property
    def cursor(self) -> FollowCursor:
        """Where it stands, behind the last message that it yielded: a small JSON value.

        `follow(conversation_id, after=cursor)` goes on from there, in another process too.
        """
        return self._state.cursor()

    def _take_next(self) -> Message:
        """The next message that was found."""
        self._state.mark_yielded(self._pending, self._next)
        self._next += 1
        return self._pending[self._next - 1]

    @property
    def _has_pending(self) -> bool:
        return self._next < len(self._pending)

    def _is_last(self, message: Message) -> bool:
        return self._until is not None and self._until(message)

    def _raise_if_missing(self, refusal: APIStatusError) -> None:
        """Raises what says that there is no such conversation; its list does not, and is just empty.

        A server that does not know the question itself answers 404 too, without naming the conversation.
        """
        if isinstance(refusal, NotFoundError) and self._conversation_id in (refusal.detail or ""):
            raise refusal

    def _stream_arguments(self, timeout: httpx.Timeout, left: float | None) -> dict[str, Any]:
        """How the stream of the active run is read: it may break at any time, and must not outlast the state."""
        more: dict[str, Any] = {"retry": RetryPolicy(max_retries=0), "stream_limits": StreamLimits(total=left or None)}
        if left is not None:
            read = left if timeout.read is None else min(left, timeout.read)
            more["timeout"] = httpx.Timeout(**{**timeout.as_dict(), "read": max(read, 0.001)})
        return {**self._arguments, **more}

    def _triggers_poll(self, folder: MessageAccumulator, event: StreamEvent) -> bool:
        """Whether an event says that there is something to poll for; a ping says that time has passed."""
        from letta_api.models import LettaPing

        completed = folder.add(event)
        return isinstance(event, LettaPing) or not all(self._state.has_seen(message) for message in completed)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._conversation_id!r})"


def check_function(name: str, function: Callable[..., object] | None, *, may_be_async: bool) -> None:
    """Checks a function that the state calls.

    Raises:
        TypeError: If it is not a function, or async although its result is not awaited, or the reverse.
    """
    if function is None:
        return
    if not callable(function):
        raise TypeError(f"{name} must be a function or None, got {function!r}")
    if iscoroutinefunction(function) and not may_be_async:
        raise TypeError(f"{name} must be a function that is not async, got {function!r}")
    if isbuiltin(function) and may_be_async:
        raise TypeError(f"{name} must be an async function, got {function!r}")


def make_follow_state(
    conversation_id: str, agent_id: str | None, after: str | FollowCursor | None, from_start: bool
) -> FollowState:
    """The deciding part of a state.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument has an impossible value.
    """
    endpoint = api.conversations_messages.conversations_messages_list
    facts = endpoint.OPERATION.pagination
    if facts is None:
        raise TypeError(f"{endpoint.OPERATION.id} does not page")
    check_arguments(endpoint.build_request, (conversation_id,), {} if agent_id is None else {"agent_id": agent_id})
    if isinstance(after, str):
        check_id("after", after)
    elif after is not None and not is_mapping(after):
        raise TypeError(f"after must be the id of a message, or a cursor, not {after!r}")
    if not isinstance(from_start, bool):
        raise TypeError(f"from_start must be True or False, got {from_start!r}")
    if after is not None and from_start:
        raise ValueError("give after or from_start, not both")
    of = agent_id if conversation_id == "default" and agent_id is not None else conversation_id
    direct = conversation_id == "default" or conversation_id.startswith("agent-")
    return FollowState(facts, of, direct, after, from_start)

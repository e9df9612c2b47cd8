"""The shared part of sync and async followers."""

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
"""The errors of a request for the stream of the active run if it does not exist or is unavailable."""

STREAM_FAILED: Final = (RunError, PendingApprovalError, APIConnectionError)
"""The errors of that stream. The list contains the messages of the run in any case."""

CONTEXT_UNAVAILABLE: Final = (BadRequestError, NotFoundError, PermissionDeniedError)
"""The errors of a request for the context window if the server does not provide it."""


@define
class FollowLoop:
    """One loop over a follower.

    Attributes:
        backoff: The poll schedule and the timeout.
        last: The last message that was yielded. `until` is called with it when the loop continues.
    """

    backoff: Backoff
    last: Message | None = None


class BaseFollow:
    """The shared part of sync and async followers."""

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
        check_function("until", until, may_be_async=False)
        check_function("clock", clock, may_be_async=False)
        self._until = until
        self._clock = clock
        self._pending: list[Message] = []
        self._next = 0

    @property
    def cursor(self) -> FollowCursor:
        """The position after the last yielded message, as a small JSON value.

        `follow(conversation_id, after=cursor)` continues from there, also in another process.
        """
        return self._state.cursor()

    def _take_next(self) -> Message:
        """Return the next pending message, and advance the cursor."""
        self._state.mark_yielded(self._pending, self._next)
        self._next += 1
        return self._pending[self._next - 1]

    @property
    def _has_pending(self) -> bool:
        return self._next < len(self._pending)

    def _is_last(self, message: Message) -> bool:
        return self._until is not None and self._until(message)

    def _raise_if_missing(self, error: APIStatusError) -> None:
        """Raise the error if it names the conversation, which does not exist then.

        The list of an unknown conversation is empty, not an error. A server without this operation responds with 404
        too, but does not name the conversation.
        """
        if isinstance(error, NotFoundError) and self._conversation_id in (error.detail or ""):
            raise error

    def _stream_arguments(self, timeout: httpx.Timeout, remaining: float | None) -> dict[str, Any]:
        """Return the arguments for the stream of the active run, which must not outlast the timeout of the loop."""
        more: dict[str, Any] = {
            "retry": RetryPolicy(max_retries=0),
            "stream_limits": StreamLimits(total=remaining or None),
        }
        if remaining is not None:
            read = remaining if timeout.read is None else min(remaining, timeout.read)
            more["timeout"] = httpx.Timeout(**{**timeout.as_dict(), "read": max(read, 0.001)})
        return {**self._arguments, **more}

    def _triggers_poll(self, accumulator: MessageAccumulator, event: StreamEvent) -> bool:
        """Return whether an event completes a new message, or is a ping, which polls at intervals."""
        from letta_api.models import LettaPing

        completed = accumulator.add(event)
        return isinstance(event, LettaPing) or not all(self._state.has_seen(message) for message in completed)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._conversation_id!r})"


def check_function(name: str, function: Callable[..., object] | None, *, may_be_async: bool) -> None:
    """Check a function that a follower calls.

    Raises:
        TypeError: If it is not callable, or its result would not be awaited correctly.
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
    """Return the state of a new follower.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument has an invalid value.
    """
    endpoint = api.conversations_messages.conversations_messages_list
    pagination = endpoint.OPERATION.pagination
    if pagination is None:
        raise TypeError(f"{endpoint.OPERATION.id} is not paginated")
    check_arguments(endpoint.build_request, (conversation_id,), {} if agent_id is None else {"agent_id": agent_id})
    if isinstance(after, str):
        check_id("after", after)
    elif after is not None and not is_mapping(after):
        raise TypeError(f"after must be a message id or the cursor of a follower, got {after!r}")
    if not isinstance(from_start, bool):
        raise TypeError(f"from_start must be True or False, got {from_start!r}")
    if after is not None and from_start:
        raise ValueError("give after or from_start, not both")
    of = agent_id if conversation_id == "default" and agent_id is not None else conversation_id
    is_agent = conversation_id == "default" or conversation_id.startswith("agent-")
    return FollowState(pagination, of, is_agent, after, from_start)

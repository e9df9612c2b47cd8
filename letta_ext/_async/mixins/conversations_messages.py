"""Methods of `client.conversations.messages` that no operation stands behind: `run_tools` and `follow`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...async_primitives import IS_ASYNC
from ..transport import AsyncTransport

if TYPE_CHECKING:
    from typing import Unpack

    from letta_api.unions import Message

    from ...follow.sync_state import FollowCursor
    from ...resources.arguments import ConversationsMessagesCreateArguments
    from ...tools.runner import AsyncApprove
    from ...tools.tool import Tool
    from ..follow import AsyncFollow
    from ..runner import AsyncToolTurn


class AsyncConversationsMessagesMixin:
    """`run_tools` and `follow`."""

    _transport: AsyncTransport

    def run_tools(
        self,
        conversation_id: str,
        *,
        tools: Sequence[Tool | Callable[..., Any]] = (),
        approve: AsyncApprove | None = None,
        max_rounds: int = 50,
        **arguments: Unpack[ConversationsMessagesCreateArguments],
    ) -> AsyncToolTurn:
        """Sends messages and goes on until the agent's turn ends: runs its client tools, asks for approvals.

        All calls that the agent waits for are answered by one request. An unknown tool, arguments that do not fit the
        tool's signature, and whatever a tool raises become an error return, which the model is told of. Requests are
        sent in the background, so that neither a result is lost nor a tool run twice where a connection breaks. With
        `background=False` the same holds once a run has been heard of; one that was not raises.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            tools: Python callables, async or not, or `Tool`s: see `Tool.of` for what becomes of their signatures. None
                by default.
            approve: is given each call of a tool that runs on the server and needs approval; returns whether it may
                run, or that and a reason, or an awaitable of it. By default there is nobody to ask.
            max_rounds: how often results are sent at most, 50 by default.
            **arguments: those of `create`, without `streaming`; `background` is on by default.

        Returns:
            Goes over the turn: its events, its messages, its result. Nothing is sent before.

        Raises:
            TypeError: a tool has a signature that no model can call, or an argument is of the wrong type.
            ValueError: there is nothing to send, or two tools have one name.
        """
        from ...tools.runner import check_approve
        from ...tools.state_machine import TurnStateMachine
        from ...tools.tool import make_tool_registry
        from ..runner import AsyncToolTurn

        check_approve(approve, may_be_async=IS_ASYNC)
        box = make_tool_registry(tools, may_be_async=IS_ASYNC)
        loop = TurnStateMachine(box, arguments, max_rounds=max_rounds, can_decide=approve is not None)
        return AsyncToolTurn(self._transport, conversation_id, arguments, loop, box, approve)

    def follow(
        self,
        conversation_id: str,
        *,
        agent_id: str | None = None,
        after: str | FollowCursor | None = None,
        from_start: bool = False,
        until: Callable[[Message], bool] | None = None,
        timeout: float | None = None,
        interval: float = 1.0,
        max_interval: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> AsyncFollow:
        """Yields the messages of a conversation as they appear, whoever wrote them, as `tail -f` does.

        Each message comes once, whole, in the order of the conversation, also where it is compacted meanwhile. While a
        background run is active its stream says when there is something new; otherwise the server is asked.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            agent_id: the agent of the `"default"` conversation.
            after: the id of a message, or the `cursor` of another follower, to go on behind; by default only what is
                new from now on.
            from_start: whether all that was said before comes first; not by default.
            until: is given each message that was yielded; where it returns True, that was the last.
            timeout: seconds after which the loop ends, or None, the default, for never.
            interval: seconds between two looks at a conversation where nothing runs, 1 by default; longer and longer
                while nothing happens.
            max_interval: the most seconds between two looks, 15 by default.
            clock: a monotonic clock in seconds.
            sleep: what waits for some seconds; by default as all else here does.

        Returns:
            To be gone over. Nothing is sent before. Its `cursor` is where it stands.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: an argument has an impossible value.
        """
        from ...follow.backoff import Backoff
        from ...follow.base import make_follow_state
        from ..follow import AsyncFollow

        state = make_follow_state(conversation_id, agent_id, after, from_start)
        Backoff(interval, max_interval, timeout, 0.0)  # refuses what is impossible now rather than later

        def backoff() -> Backoff:
            return Backoff(interval, max_interval, timeout, clock())

        return AsyncFollow(
            self._transport,
            conversation_id,
            agent_id,
            state,
            backoff,
            until,
            clock,
            sleep,
        )

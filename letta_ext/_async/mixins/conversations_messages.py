"""The hand-written methods of `client.conversations.messages`: `run_tools`, `pending`, `deny_pending` and `follow`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...async_primitives import IS_ASYNC
from ..transport import AsyncTransport

if TYPE_CHECKING:
    from typing import Unpack

    from letta_api.unions import Message

    from ..._http.requests import RequestOptions
    from ...follow.sync_state import FollowCursor
    from ...resources.arguments import ConversationsMessagesCreateArguments
    from ...tools.pending import PendingRequest
    from ...tools.runner import AsyncApprove
    from ...tools.state_machine import ToolResult
    from ...tools.tool import Tool
    from ..follow import AsyncFollow
    from ..runner import AsyncToolTurn


class AsyncConversationsMessagesMixin:
    """`run_tools`, `pending`, `deny_pending` and `follow`."""

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
        """Send messages and run the agent's turn to its end: execute client tools, and request approvals.

        Without `input` and `messages`, the turn begins with the calls that the conversation waits for, such as those of
        a program that has ended. It waits for the end of an active run first. If nothing is pending, the turn is empty.

        One request returns the results of all calls that the agent waits for. An unknown tool, invalid arguments and an
        exception of a tool become an error return for the model. A call whose result was sent is not run again, one
        whose result was not sent is. Requests are sent in the background, so that after a
        connection error no result is lost and no tool is run twice. With `background=False`, this holds as soon as an
        event of the run has arrived; before, the error is raised.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            tools: Python callables, async or not, or `Tool`s. See `Tool.from_function` for their signatures. Defaults
                to none.
            approve: Called with each call of a server-side tool that needs approval. Returns whether to approve it,
                or that and a reason, or an awaitable of it. By default, such a call raises `PendingApprovalError`.
            max_rounds: The maximum number of times that results are sent. Defaults to 50.
            **arguments: The arguments of `create` without `streaming`. `background` defaults to True.

        Returns:
            The turn. Iterate it for its events, or use its messages or its result. Nothing is sent before.

        Raises:
            TypeError: If a model cannot call the signature of a tool, or an argument is of the wrong type.
            ValueError: If `messages` is empty, or two tools have the same name.
        """
        from ..._http.plain_arguments import plain_arguments
        from ...tools.runner import check_approve
        from ...tools.state_machine import TurnStateMachine
        from ...tools.tool import make_tool_registry
        from ..runner import CREATE, AsyncToolTurn

        check_approve(approve, may_be_async=IS_ASYNC)
        box = make_tool_registry(tools, may_be_async=IS_ASYNC)
        plain = plain_arguments(CREATE, arguments)
        loop = TurnStateMachine(box, plain, max_rounds=max_rounds, can_decide=approve is not None)
        return AsyncToolTurn(self._transport, conversation_id, plain, loop, box, approve)

    async def pending(
        self, conversation_id: str, *, agent_id: str | None = None, **options: Unpack[RequestOptions]
    ) -> PendingRequest | None:
        """Return the tool calls that the conversation waits for, or None.

        The server accepts no other message while they wait. `run_tools` without `input` continues with them, and
        `deny_pending` rejects them.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            agent_id: The agent of the `"default"` conversation.
            **options: Options of both requests, such as `timeout` and `extra_headers`: see `RequestOptions`.

        Raises:
            NotFoundError: If the conversation or the agent does not exist.
            APIError: If a request fails: see `letta_ext.errors`.
            TypeError: If an argument is unknown or of the wrong type. Nothing is sent.
            ValueError: If an argument has an invalid value. Nothing is sent.
        """
        from ...tools.pending import make_key, to_pending_request
        from ..pending import find_pending

        key = make_key(self._transport.config, conversation_id, agent_id, options)
        return to_pending_request(await find_pending(self._transport, key, options))

    async def deny_pending(
        self,
        conversation_id: str,
        *,
        reason: str | None = None,
        **arguments: Unpack[ConversationsMessagesCreateArguments],
    ) -> ToolResult:
        """Reject the tool calls that the conversation waits for, and read the agent's turn to its end.

        Further calls of the same turn that need approval are rejected too. Afterwards the conversation accepts messages
        again. If nothing is pending, nothing is sent.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            reason: The reason for the model. Defaults to none.
            **arguments: The arguments of `create` without `streaming`, `input` and `messages`.

        Returns:
            The result of the turn. `decisions` are the rejected calls.

        Raises:
            TypeError: If an argument is unknown or of the wrong type. Nothing is sent.
            ValueError: If an argument has an invalid value. Nothing is sent.
            APIError: If a request fails: see `letta_ext.errors`. Other errors are those of `run_tools`.
        """
        from ...tools.pending import check_denial

        check_denial(reason, arguments)
        verdict = False if reason is None else (False, reason)
        return await self.run_tools(conversation_id, approve=lambda _: verdict, **arguments).result()

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
        """Return an iterator over the messages of a conversation as they appear, like `tail -f`.

        Each message is yielded once, whole and in the order of the conversation, also after a compaction. While a
        background run is active, its stream signals new messages. Otherwise the server is polled.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            agent_id: The agent of the `"default"` conversation.
            after: The id of a message, or the `cursor` of another follower, to start after. Defaults to the newest
                message.
            from_start: Whether to yield the existing messages first. Defaults to False.
            until: Called with each message after it was yielded. The iteration ends if it returns True.
            timeout: The duration of the iteration [seconds]. Defaults to None, which is unlimited.
            interval: The delay between two polls of an idle conversation [seconds]. It grows while no message arrives.
                Defaults to 1.
            max_interval: The maximum delay between two polls [seconds]. Defaults to 15.
            clock: A monotonic clock [seconds]. Defaults to `time.monotonic`.
            sleep: The function that waits between polls, which takes seconds. Defaults to a real delay.

        Returns:
            The iterator. Nothing is sent before its iteration. Its `cursor` is its position.

        Raises:
            TypeError: If an argument is of the wrong type.
            ValueError: If an argument has an invalid value.
        """
        from ...follow.backoff import Backoff
        from ...follow.base import make_follow_state
        from ..follow import AsyncFollow

        state = make_follow_state(conversation_id, agent_id, after, from_start)
        Backoff(interval, max_interval, timeout, 0.0)  # raises for invalid values before the iteration

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

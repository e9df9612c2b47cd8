"""`client.conversations` and what lies below it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

from letta_api import api

from ..raw_calls import View
from ..transport import AsyncTransport, Transport

if TYPE_CHECKING:
    from typing import Unpack

    from letta_api.models import CompactionResponse, LettaResponse
    from letta_api.unions import Message

    from ..arguments import (
        MessagesCompactArguments,
        MessagesCreateArguments,
        MessagesListArguments,
        MessagesStreamArguments,
    )
    from ..follow import FollowCursor
    from ..following import AsyncFollow, Follow
    from ..pages import AsyncPaginator, SyncPage
    from ..streams import AsyncStream, Stream
    from ..tool_turn import Approve, AsyncApprove, AsyncToolTurn, ToolTurn
    from ..tools import Tool
    from .raw_conversations import (
        AsyncConversationsWithRawResponse,
        AsyncConversationsWithStreamingResponse,
        AsyncMessagesWithRawResponse,
        AsyncMessagesWithStreamingResponse,
        ConversationsWithRawResponse,
        ConversationsWithStreamingResponse,
        MessagesWithRawResponse,
        MessagesWithStreamingResponse,
    )


class Messages:
    """`client.conversations.messages`."""

    with_raw_response: View[MessagesWithRawResponse] = View("raw_conversations", "MessagesWithRawResponse")
    with_streaming_response: View[MessagesWithStreamingResponse] = View(
        "raw_conversations", "MessagesWithStreamingResponse", unread=True
    )

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, conversation_id: str, **arguments: Unpack[MessagesListArguments]) -> SyncPage[Message]:
        """Lists the messages of a conversation, newest first unless `order` says otherwise.

        A conversation that does not exist has no messages.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            **arguments: filters (`agent_id`, `group_id`, `include_err`, `include_return_message_types`), paging
                (`after`, `before`, `limit` (100 by default), `order`, `order_by`); and those of `RequestOptions`.

        Returns:
            The first page; iterating it goes on through the others. A page may hold more or fewer than `limit`.

        Raises:
            APIError: see `letta_ext.errors`.
        """
        endpoint = api.conversations_messages.conversations_messages_list
        return self._transport.page(endpoint, (conversation_id,), arguments)

    @overload
    def create(
        self, conversation_id: str, *, streaming: Literal[False], **arguments: Unpack[MessagesCreateArguments]
    ) -> LettaResponse: ...

    @overload
    def create(
        self, conversation_id: str, *, streaming: Literal[True] = ..., **arguments: Unpack[MessagesCreateArguments]
    ) -> Stream: ...

    @overload
    def create(
        self, conversation_id: str, *, streaming: bool, **arguments: Unpack[MessagesCreateArguments]
    ) -> LettaResponse | Stream: ...

    def create(self, conversation_id: str, **arguments: Any) -> LettaResponse | Stream:
        """Sends messages to a conversation, and returns the agent's answer.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            streaming: False for the whole answer at once; otherwise it is streamed. The server locks no conversation
                for an answer at once: such a send is never refused as busy, nor does it wait for another run.
            **arguments: `input` or `messages`, and how to answer: `stream_tokens`, `background`, `client_tools`,
                `max_steps` and all else that the API documents; and those of `RequestOptions`.

        Returns:
            A `Stream` of events, or with `streaming=False` a `LettaResponse`.

        Raises:
            ConversationBusyError: another run holds the conversation.
            PendingApprovalError: the agent waits for tool returns or approvals first.
            NotFoundError: there is no such conversation.
            APIError: see `letta_ext.errors`.
        """
        endpoint = api.conversations_messages.conversations_messages_create
        if arguments.get("streaming", True) is False:
            return self._transport.call(endpoint, (conversation_id,), arguments)
        resume = api.conversations_messages.conversations_messages_stream
        return self._transport.stream(endpoint, resume, (conversation_id,), arguments)

    def stream(self, conversation_id: str, **arguments: Unpack[MessagesStreamArguments]) -> Stream:
        """Resumes the stream of a background run.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            **arguments: which run: `run_id`, `otid`, or neither for the one that is active; `starting_after`, the
                number of the last event that was seen; `include_pings`, `poll_interval` (seconds), `batch_size`;
                and those of `RequestOptions`.

        Raises:
            BadRequestError: no run is active, or there is no such conversation.
            NotFoundError: there is no such run.
            RunExpiredError: the run ended too long ago.
            APIError: see `letta_ext.errors`.
        """
        endpoint = api.conversations_messages.conversations_messages_stream
        return self._transport.stream(endpoint, endpoint, (conversation_id,), arguments)

    def compact(self, conversation_id: str, **arguments: Unpack[MessagesCompactArguments]) -> CompactionResponse:
        """Summarizes a conversation, so that it takes less of the context window.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            **arguments: `compaction_settings`, `agent_id`; and those of `RequestOptions`.

        Raises:
            BadRequestError: there is nothing to compact.
            NotFoundError: there is no such conversation.
            APIError: see `letta_ext.errors`.
        """
        endpoint = api.conversations_messages.conversations_messages_compact
        return self._transport.call(endpoint, (conversation_id,), arguments)

    def run_tools(
        self,
        conversation_id: str,
        *,
        tools: Sequence[Tool | Callable[..., Any]] = (),
        approve: Approve | None = None,
        max_rounds: int = 50,
        **arguments: Unpack[MessagesCreateArguments],
    ) -> ToolTurn:
        """Sends messages and goes on until the agent's turn ends: runs its client tools, asks for approvals.

        All calls that the agent waits for are answered by one request. An unknown tool, arguments that do not fit the
        tool's signature, and whatever a tool raises become an error return, which the model is told of. Requests are
        sent in the background, so that neither a result is lost nor a tool run twice where a connection breaks. With
        `background=False` the same holds once a run has been heard of; one that was not raises.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            tools: Python callables, or `Tool`s: see `Tool.of` for what becomes of their signatures. None by
                default.
            approve: is given each call of a tool that runs on the server and needs approval; returns whether it may
                run, or that and a reason. By default there is nobody to ask.
            max_rounds: how often results are sent at most, 50 by default.
            **arguments: those of `create`, without `streaming`; `background` is on by default.

        Returns:
            Goes over the turn: its events, its messages, its result. Nothing is sent before.

        Raises:
            TypeError: a tool has a signature that no model can call, or an argument is of the wrong type.
            ValueError: there is nothing to send, or two tools have one name.
        """
        from ..tool_loop import ToolLoop
        from ..tool_turn import ToolTurn, check_approve
        from ..tools import make_toolbox

        check_approve(approve, may_be_async=False)
        box = make_toolbox(tools, may_be_async=False)
        loop = ToolLoop(box, arguments, max_rounds=max_rounds, can_decide=approve is not None)
        return ToolTurn(self, self._transport, conversation_id, arguments, loop, box, approve)

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
        sleep: Callable[[float], object] | None = None,
    ) -> Follow:
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
        from ..follow import Pace
        from ..following import Follow, make_follower

        follower = make_follower(conversation_id, agent_id, after, from_start)
        Pace(interval, max_interval, timeout, 0.0)  # refuses what is impossible now rather than later

        def pace() -> Pace:
            return Pace(interval, max_interval, timeout, clock())

        return Follow(self, self._transport, conversation_id, agent_id, follower, pace, until, clock, sleep)


class Conversations:
    """`client.conversations`."""

    with_raw_response: View[ConversationsWithRawResponse] = View("raw_conversations", "ConversationsWithRawResponse")
    with_streaming_response: View[ConversationsWithStreamingResponse] = View(
        "raw_conversations", "ConversationsWithStreamingResponse", unread=True
    )

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @cached_property
    def messages(self) -> Messages:
        """The messages of conversations."""
        return Messages(self._transport)


class AsyncMessages:
    """`client.conversations.messages`."""

    with_raw_response: View[AsyncMessagesWithRawResponse] = View("raw_conversations", "AsyncMessagesWithRawResponse")
    with_streaming_response: View[AsyncMessagesWithStreamingResponse] = View(
        "raw_conversations", "AsyncMessagesWithStreamingResponse", unread=True
    )

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(self, conversation_id: str, **arguments: Unpack[MessagesListArguments]) -> AsyncPaginator[Message]:
        """Lists the messages of a conversation, newest first unless `order` says otherwise.

        A conversation that does not exist has no messages.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            **arguments: filters (`agent_id`, `group_id`, `include_err`, `include_return_message_types`), paging
                (`after`, `before`, `limit` (100 by default), `order`, `order_by`); and those of `RequestOptions`.

        Returns:
            Await it for the first page, or go over all items with `async for`. A page may hold more or
            fewer than `limit`.

        Raises:
            APIError: see `letta_ext.errors`.
        """
        endpoint = api.conversations_messages.conversations_messages_list
        return self._transport.page(endpoint, (conversation_id,), arguments)

    @overload
    async def create(
        self, conversation_id: str, *, streaming: Literal[False], **arguments: Unpack[MessagesCreateArguments]
    ) -> LettaResponse: ...

    @overload
    async def create(
        self, conversation_id: str, *, streaming: Literal[True] = ..., **arguments: Unpack[MessagesCreateArguments]
    ) -> AsyncStream: ...

    @overload
    async def create(
        self, conversation_id: str, *, streaming: bool, **arguments: Unpack[MessagesCreateArguments]
    ) -> LettaResponse | AsyncStream: ...

    async def create(self, conversation_id: str, **arguments: Any) -> LettaResponse | AsyncStream:
        """Sends messages to a conversation, and returns the agent's answer.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            streaming: False for the whole answer at once; otherwise it is streamed. The server locks no conversation
                for an answer at once: such a send is never refused as busy, nor does it wait for another run.
            **arguments: `input` or `messages`, and how to answer: `stream_tokens`, `background`, `client_tools`,
                `max_steps` and all else that the API documents; and those of `RequestOptions`.

        Returns:
            An `AsyncStream` of events, or with `streaming=False` a `LettaResponse`.

        Raises:
            ConversationBusyError: another run holds the conversation.
            PendingApprovalError: the agent waits for tool returns or approvals first.
            NotFoundError: there is no such conversation.
            APIError: see `letta_ext.errors`.
        """
        endpoint = api.conversations_messages.conversations_messages_create
        if arguments.get("streaming", True) is False:
            return await self._transport.call(endpoint, (conversation_id,), arguments)
        resume = api.conversations_messages.conversations_messages_stream
        return await self._transport.stream(endpoint, resume, (conversation_id,), arguments)

    async def stream(self, conversation_id: str, **arguments: Unpack[MessagesStreamArguments]) -> AsyncStream:
        """Resumes the stream of a background run.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            **arguments: which run: `run_id`, `otid`, or neither for the one that is active; `starting_after`, the
                number of the last event that was seen; `include_pings`, `poll_interval` (seconds), `batch_size`;
                and those of `RequestOptions`.

        Raises:
            BadRequestError: no run is active, or there is no such conversation.
            NotFoundError: there is no such run.
            RunExpiredError: the run ended too long ago.
            APIError: see `letta_ext.errors`.
        """
        endpoint = api.conversations_messages.conversations_messages_stream
        return await self._transport.stream(endpoint, endpoint, (conversation_id,), arguments)

    async def compact(self, conversation_id: str, **arguments: Unpack[MessagesCompactArguments]) -> CompactionResponse:
        """Summarizes a conversation, so that it takes less of the context window.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            **arguments: `compaction_settings`, `agent_id`; and those of `RequestOptions`.

        Raises:
            BadRequestError: there is nothing to compact.
            NotFoundError: there is no such conversation.
            APIError: see `letta_ext.errors`.
        """
        endpoint = api.conversations_messages.conversations_messages_compact
        return await self._transport.call(endpoint, (conversation_id,), arguments)

    def run_tools(
        self,
        conversation_id: str,
        *,
        tools: Sequence[Tool | Callable[..., Any]] = (),
        approve: AsyncApprove | None = None,
        max_rounds: int = 50,
        **arguments: Unpack[MessagesCreateArguments],
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
        from ..tool_loop import ToolLoop
        from ..tool_turn import AsyncToolTurn, check_approve
        from ..tools import make_toolbox

        check_approve(approve, may_be_async=True)
        box = make_toolbox(tools, may_be_async=True)
        loop = ToolLoop(box, arguments, max_rounds=max_rounds, can_decide=approve is not None)
        return AsyncToolTurn(self, self._transport, conversation_id, arguments, loop, box, approve)

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
        from ..follow import Pace
        from ..following import AsyncFollow, make_follower

        follower = make_follower(conversation_id, agent_id, after, from_start)
        Pace(interval, max_interval, timeout, 0.0)  # refuses what is impossible now rather than later

        def pace() -> Pace:
            return Pace(interval, max_interval, timeout, clock())

        return AsyncFollow(self, self._transport, conversation_id, agent_id, follower, pace, until, clock, sleep)


class AsyncConversations:
    """`client.conversations`."""

    with_raw_response: View[AsyncConversationsWithRawResponse] = View(
        "raw_conversations", "AsyncConversationsWithRawResponse"
    )
    with_streaming_response: View[AsyncConversationsWithStreamingResponse] = View(
        "raw_conversations", "AsyncConversationsWithStreamingResponse", unread=True
    )

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    @cached_property
    def messages(self) -> AsyncMessages:
        """The messages of conversations."""
        return AsyncMessages(self._transport)

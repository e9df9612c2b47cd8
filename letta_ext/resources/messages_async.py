"""`client.conversations.messages`, for async code."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from letta_api import api, operations

from ..raw.calls import View
from ..sending.transport import AsyncTransport
from .signatures import takes

if TYPE_CHECKING:
    from typing import Unpack

    from letta_api.models import CompactionResponse, LettaResponse
    from letta_api.unions import Message

    from ..following.follow import AsyncFollow
    from ..following.news import FollowCursor
    from ..lists.pages import AsyncPaginator
    from ..streams.stream import AsyncStream
    from ..tools.tool import Tool
    from ..tools.turn import AsyncApprove, AsyncToolTurn
    from .arguments import (
        MessagesCompactArguments,
        MessagesCreateArguments,
        MessagesListArguments,
        MessagesStreamArguments,
    )
    from .raw_conversations import AsyncMessagesWithRawResponse, AsyncMessagesWithStreamingResponse


class AsyncMessages:
    """`client.conversations.messages`."""

    with_raw_response: View[AsyncMessagesWithRawResponse] = View("raw_conversations", "AsyncMessagesWithRawResponse")
    with_streaming_response: View[AsyncMessagesWithStreamingResponse] = View(
        "raw_conversations", "AsyncMessagesWithStreamingResponse", unread=True
    )

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    @takes(operations.CONVERSATIONS_MESSAGES_LIST)
    def list(self, conversation_id: str, **arguments: Unpack[MessagesListArguments]) -> AsyncPaginator[Message]:
        """Lists the messages of a conversation, newest first unless `order` says otherwise.

        A conversation that does not exist has no messages. What happens where the list changes meanwhile is in
        `docs/lists.md`. Documented as `GET /v1/conversations/{conversation_id}/messages`.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            agent_id: the agent whose own conversation `"default"` means.
            include_return_message_types: messages of these types only, such as `["user_message"]`.
            include_err: also errors and failed tool returns, for debugging; not by default.
            group_id: messages of this group of agents.
            after: the id of a message, `message-<uuid4>`: those behind it in time, whatever the order; on Letta's cloud
                in the order of the list.
            before: the id of a message: those ahead of it in time, whatever the order; on Letta's cloud in the order of
                the list.
            limit: messages to a page, 100 by default.
            order: `"desc"`, the default, for newest first, or `"asc"`.
            order_by: `"created_at"`, the only field there is.
            checkpoint: goes on where an earlier walk stood, as its page's `checkpoint()` said; it holds the arguments
                of that list.
            prefetch: True to fetch each page while the one before is used; not by default.
            **arguments: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Returns:
            Await it for the first page, or go over all items with `async for`. A page may hold more or fewer than
            `limit`.

        Raises:
            ListChangedError: the list changed so that it cannot be told where the walk stands.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
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

    @takes(operations.CONVERSATIONS_MESSAGES_CREATE)
    async def create(self, conversation_id: str, **arguments: Any) -> LettaResponse | AsyncStream:
        """Sends messages to a conversation, and returns the agent's answer.

        Documented as `POST /v1/conversations/{conversation_id}/messages`.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            input: what the user says, as text or content parts; short for one message in `messages`, and given instead
                of it.
            messages: what is sent: messages of the user or the system, approvals, tool returns; TypedDicts or models.
            streaming: False for the whole answer at once; True, the default, streams it. The server locks no
                conversation for an answer at once: such a send is never refused as busy, nor does it wait for another
                run.
            stream_tokens: whether to stream token by token rather than message by message; not by default.
            background: whether the run goes on by itself, so that its stream can be resumed and the send be repeated
                without doing it twice; not by default. Only where it is streamed.
            include_pings: whether to send pings while nothing else comes; by default it does.
            agent_id: the agent whose own conversation `"default"` means.
            client_tools: tools that run here; the agent's turn ends where it calls one. `run_tools` does the rest.
            client_skills: skills that are found here, told to the agent with its own.
            include_return_message_types: only messages of these types come back; all by default.
            include_compaction_messages: whether compactions are told of, as summary and event messages; not by default.
            max_steps: the most steps that the agent takes, 50 by default.
            override_model: the handle of a model for this request, in place of the agent's.
            override_system: a system prompt for this request, in place of the agent's.
            return_logprobs: whether log probabilities of the output's tokens come back; not by default.
            top_logprobs: how many likely tokens come back for each position, 0 to 20, with `return_logprobs`.
            return_token_ids: whether the tokens of all generations come back, in `turns`; not by default.
            enable_thinking: deprecated: True enables reasoning.
            use_assistant_message: deprecated: whether calls of the designated message tool come as assistant messages.
            assistant_message_tool_name: deprecated: the name of that tool, `send_message` by default.
            assistant_message_tool_kwarg: deprecated: the name of that tool's argument, `message` by default.
            **arguments: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Returns:
            An `AsyncStream` of events, or with `streaming=False` a `LettaResponse`.

        Raises:
            ConversationBusyError: another run holds the conversation.
            PendingApprovalError: the agent waits for tool returns or approvals first.
            NotFoundError: there is no such conversation.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        endpoint = api.conversations_messages.conversations_messages_create
        if arguments.get("streaming", True) is False:
            return await self._transport.call(endpoint, (conversation_id,), arguments)
        resume = api.conversations_messages.conversations_messages_stream
        return await self._transport.stream(endpoint, resume, (conversation_id,), arguments)

    @takes(operations.CONVERSATIONS_MESSAGES_STREAM)
    async def stream(self, conversation_id: str, **arguments: Unpack[MessagesStreamArguments]) -> AsyncStream:
        """Resumes the stream of a background run.

        Documented as `POST /v1/conversations/{conversation_id}/stream`.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            run_id: the run, `run-<uuid4>`; without it and `otid` the one that is active.
            otid: the otid of a message that was sent, in place of `run_id`.
            starting_after: the number (`seq_id`) of the last event that was seen; by default 0, for all.
            include_pings: whether to send pings while nothing else comes; by default it does.
            poll_interval: seconds between two looks of the server for new events, 0.1 by default.
            batch_size: events that the server reads at once, 100 by default; 2 at least.
            agent_id: the agent whose own conversation `"default"` means.
            **arguments: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Returns:
            An `AsyncStream` of events.

        Raises:
            BadRequestError: no run is active, or there is no such conversation.
            NotFoundError: there is no such run.
            RunExpiredError: the run ended too long ago.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
        """
        endpoint = api.conversations_messages.conversations_messages_stream
        return await self._transport.stream(endpoint, endpoint, (conversation_id,), arguments)

    @takes(operations.CONVERSATIONS_MESSAGES_COMPACT)
    async def compact(self, conversation_id: str, **arguments: Unpack[MessagesCompactArguments]) -> CompactionResponse:
        """Summarizes a conversation, so that it takes less of the context window.

        Documented as `POST /v1/conversations/{conversation_id}/compact`.

        Args:
            conversation_id: `conv-<uuid4>`, or `"default"` together with `agent_id`.
            compaction_settings: how to summarize, and with which model; by default as the agent is set.
            agent_id: the agent whose own conversation `"default"` means.
            **arguments: headers, timeout, retries and the like for this call: see `RequestOptions`.

        Returns:
            The summary, and how many messages the context held before and after.

        Raises:
            BadRequestError: there is nothing to compact.
            NotFoundError: there is no such conversation.
            APIError: the request failed: see `letta_ext.errors`.
            TypeError: an argument is unknown, or of the wrong type.
            ValueError: an argument has an impossible value; nothing was sent.
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
        from ..tools.loop import ToolLoop
        from ..tools.tool import make_toolbox
        from ..tools.turn import AsyncToolTurn, check_approve

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
        from ..following.follow import AsyncFollow, make_follower
        from ..following.pace import Pace

        follower = make_follower(conversation_id, agent_id, after, from_start)
        Pace(interval, max_interval, timeout, 0.0)  # refuses what is impossible now rather than later

        def pace() -> Pace:
            return Pace(interval, max_interval, timeout, clock())

        return AsyncFollow(self, self._transport, conversation_id, agent_id, follower, pace, until, clock, sleep)

"""Following a conversation. `follow/sync_state.py` decides which requests are sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from letta_api import api
from letta_api.operations import CONVERSATIONS_RETRIEVE

from .._http.internal_calls import context_message_ids
from ..async_primitives import IS_ASYNC
from ..async_primitives import sleep as sleep_for
from ..follow.backoff import Backoff
from ..follow.base import CONTEXT_UNAVAILABLE, STREAM_FAILED, STREAM_UNAVAILABLE, BaseFollow, FollowLoop, check_function
from ..follow.sync_state import Fetch, FetchPage, FollowState
from .resilient_iterators import AsyncResumableIterator
from .stream import AsyncStream
from .transport import AsyncTransport

if TYPE_CHECKING:
    from letta_api.unions import Message

LIST = api.conversations_messages.conversations_messages_list
STREAM = api.conversations_messages.conversations_messages_stream


class AsyncFollow(BaseFollow):
    """The messages of a conversation, as they appear.

    Iterate it by `async for`. Another loop continues after the last message that was yielded.

    Raises (during iteration):
        NotFoundError: If the conversation does not exist.
        ListChangedError: If the message to start after is not in the conversation.
        APIConnectionError: If the server cannot be reached. `cursor` is the position to continue at later.
        APIError: See `letta_ext.errors`.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        conversation_id: str,
        agent_id: str | None,
        state: FollowState,
        backoff: Callable[[], Backoff],
        until: Callable[[Message], bool] | None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] | None,
    ) -> None:
        super().__init__(conversation_id, agent_id, state, backoff, until, clock)
        check_function("sleep", sleep, may_be_async=IS_ASYNC)
        self._transport = transport
        self._sleep = sleep or sleep_for

    def __aiter__(self) -> AsyncResumableIterator[Message]:
        """Return an iterator over whole messages, in the order of the server."""
        return AsyncResumableIterator(partial(self._messages, FollowLoop(self._make_backoff())))

    async def _messages(self, loop: FollowLoop) -> AsyncGenerator[Message, None]:
        if loop.last is not None and self._is_last(loop.last):
            return
        async with aclosing(self._poll_times(loop.backoff)) as poll_times:
            async for _ in poll_times:
                await self._poll(loop.backoff)
                while self._has_pending:
                    loop.last = message = self._take_next()
                    yield message
                    if self._is_last(message):
                        return

    async def _poll_times(self, backoff: Backoff) -> AsyncGenerator[None, None]:
        """Yield whenever it is time to poll."""
        received = False
        while True:
            yield
            if backoff.remaining(self._clock()) == 0:
                return
            # After a run without new messages, the next stream is opened only after a delay.
            stream = await self._attach(backoff) if not received or backoff.found else None
            received = False
            if stream is not None:
                from .._streaming.accumulator import MessageAccumulator

                accumulator = MessageAccumulator()
                backoff.stream_opened()
                try:
                    async with stream, aclosing(aiter(stream)) as events:
                        async for event in events:
                            received = True
                            if self._triggers_poll(accumulator, event) and backoff.is_due(self._clock()):
                                yield
                except STREAM_FAILED:
                    received = False
            if not received:
                await self._sleep(backoff.next_delay(self._clock()))

    async def _poll(self, backoff: Backoff) -> None:
        if self._has_pending:
            return
        fetches = self._state.poll()
        try:
            fetch = next(fetches)
            while True:
                fetch = fetches.send(await self._fetch(fetch))
        except StopIteration as done:
            self._pending, self._next = done.value, 0
        backoff.record_poll(self._clock(), found=self._has_pending)

    async def _fetch(self, fetch: Fetch) -> Any:
        ids, transport = (self._conversation_id,), self._transport
        if isinstance(fetch, FetchPage):
            return await transport.call(LIST, ids, {**self._arguments, **fetch.arguments})
        try:
            conversation = await transport.call_internal(
                CONVERSATIONS_RETRIEVE, {}, conversation_id=self._conversation_id
            )
            return context_message_ids(conversation)
        except CONTEXT_UNAVAILABLE as error:
            self._raise_if_missing(error)
            return None

    async def _attach(self, backoff: Backoff) -> AsyncStream | None:
        arguments = self._stream_arguments(self._transport.config.timeout, backoff.remaining(self._clock()))
        try:
            return await self._transport.stream(STREAM, (self._conversation_id,), arguments)
        except STREAM_UNAVAILABLE:
            return None

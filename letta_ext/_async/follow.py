"""Following a conversation: the I/O around `follow/sync_state.py`, which decides."""

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
from ..follow.backoff import Pace
from ..follow.base import BROKEN, NOT_NOW, NOT_TOLD, BaseFollow, Visit, check_function
from ..follow.sync_state import Follower, Listing, Question
from .resilient_iterators import AsyncContinuingIterator
from .stream import AsyncStream
from .transport import AsyncTransport

if TYPE_CHECKING:
    from letta_api.unions import Message

LIST = api.conversations_messages.conversations_messages_list
STREAM = api.conversations_messages.conversations_messages_stream


class AsyncFollow(BaseFollow):
    """The messages of a conversation as they appear; go over it by `async for`.

    Leaving the loop ends the reading; another loop goes on behind the last message that was yielded.

    Raises (while it is gone over):
        NotFoundError: there is no such conversation.
        ListChangedError: the message to go on behind is none of its messages.
        APIConnectionError: the server cannot be reached; `cursor` says where to go on later.
        APIError: see `letta_ext.errors`.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        conversation_id: str,
        agent_id: str | None,
        follower: Follower,
        pace: Callable[[], Pace],
        until: Callable[[Message], bool] | None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] | None,
    ) -> None:
        super().__init__(conversation_id, agent_id, follower, pace, until, clock)
        check_function("sleep", sleep, may_be_async=IS_ASYNC)
        self._transport = transport
        self._sleep = sleep or sleep_for

    def __aiter__(self) -> AsyncContinuingIterator[Message]:
        """Whole messages, in the order in which the server has them."""
        return AsyncContinuingIterator(partial(self._go, Visit(self._make_pace())))

    async def _go(self, visit: Visit) -> AsyncGenerator[Message, None]:
        if visit.handed is not None and self._is_last(visit.handed):
            return
        async with aclosing(self._signals(visit.pace)) as signals:
            async for _ in signals:
                await self._look(visit.pace)
                while self._has_found:
                    visit.handed = message = self._hand_over()
                    yield message
                    if self._is_last(message):
                        return

    async def _signals(self, pace: Pace) -> AsyncGenerator[None, None]:
        """Says whenever it is time to look."""
        heard = False
        while True:
            yield
            if pace.left(self._clock()) == 0:
                return
            # A run that told of nothing new is not asked for again at once.
            stream = await self._attach(pace) if not heard or pace.found else None
            heard = False
            if stream is not None:
                from .._streaming.accumulator import MessageAccumulator

                folder = MessageAccumulator()
                pace.attached()
                try:
                    async with stream, aclosing(aiter(stream)) as events:
                        async for event in events:
                            heard = True
                            if self._tells(folder, event) and pace.is_due(self._clock()):
                                yield
                except BROKEN:
                    heard = False
            if not heard:
                await self._sleep(pace.pause(self._clock()))

    async def _look(self, pace: Pace) -> None:
        if self._has_found:
            return
        looking = self._follower.look()
        try:
            asked = next(looking)
            while True:
                asked = looking.send(await self._answer(asked))
        except StopIteration as done:
            self._found, self._next = done.value, 0
        pace.looked(self._clock(), found=self._has_found)

    async def _answer(self, asked: Question) -> Any:
        ids, transport = (self._conversation_id,), self._transport
        if isinstance(asked, Listing):
            return await transport.call(LIST, ids, {**self._arguments, **asked.arguments})
        try:
            conversation = await transport.ask(CONVERSATIONS_RETRIEVE, {}, conversation_id=self._conversation_id)
            return context_message_ids(conversation)
        except NOT_TOLD as refusal:
            self._check_refusal(refusal)
            return None

    async def _attach(self, pace: Pace) -> AsyncStream | None:
        arguments = self._stream_arguments(self._transport.config.timeout, pace.left(self._clock()))
        try:
            return await self._transport.stream(STREAM, (self._conversation_id,), arguments)
        except NOT_NOW:
            return None

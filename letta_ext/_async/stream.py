"""Streams of events: the I/O around `streams/`, where it is decided what becomes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, cast

import httpx

from .._instrumentation.dispatch import NOOP, Instrumentation
from .._streaming.base_stream import BaseStream, require_result
from .._streaming.resume import Resume
from ..async_primitives import close_connection, connected, detach_response, reattach_response
from ..errors import StreamInterrupted
from .event_iterator import AsyncEventIterator
from .text_iterators import AsyncMessageIterator, AsyncTextIterator

if TYPE_CHECKING:
    from letta_api.models import LettaResponse
    from letta_api.unions import Message


class AsyncDetachedBody(httpx.AsyncByteStream):
    """The body of a response that its caller has taken. The connection is closed when nothing refers to either."""

    def __init__(self, body: httpx.AsyncByteStream, close_guard: Any) -> None:
        self._body = body
        self.close_guard = close_guard

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._body)

    async def aclose(self) -> None:
        """Close the body."""
        await self._body.aclose()


class AsyncStream(BaseStream):
    """The events of a run as they come.

    Go over it once, by `async for` or by one of its methods. Leaving the loop, by whatever way, closes the
    connection, and so do an `async with` block and letting go of a stream that was not gone over; the server finishes
    the run all the same. A background stream that is cut goes on by itself.

    Raises (while it is iterated):
        RunError: the run failed.
        PendingApprovalError: the agent waits for tool returns or approvals first.
        StreamInterrupted: the stream broke off before its end, and could not be resumed.
    """

    def __init__(
        self,
        response: httpx.Response,
        resume: Resume,
        reconnect: Callable[[Mapping[str, Any]], Awaitable[httpx.Response]],
        instrumentation: Instrumentation = NOOP,
        owner: object = None,
    ) -> None:
        super().__init__(connected(response, owner), resume, instrumentation)
        # Given away when the stream is iterated: the connection is closed when the loop is left, not with the stream.
        self._events = [AsyncEventIterator(self._connection, resume, reconnect, instrumentation)]

    @property
    def response(self) -> httpx.Response:
        """The HTTP response that is being read. Taken before the stream is iterated, it outlives the stream."""
        response = self._connection.response
        if self._events and not isinstance(response.stream, AsyncDetachedBody):
            response.stream = AsyncDetachedBody(
                cast(httpx.AsyncByteStream, response.stream), self._events[0].close_guard
            )
            detach_response(self._connection)
        return response

    def __aiter__(self) -> AsyncEventIterator:
        """The typed events.

        Raises:
            LettaError: it was gone over before.
        """
        self._start_iteration()
        body = self._connection.response.stream
        if isinstance(body, AsyncDetachedBody):
            body.close_guard = None  # it is closed with the iterator, whoever refers to it
            reattach_response(self._connection)
        return self._events.pop()

    def messages(self) -> AsyncMessageIterator:
        """Whole messages, each as soon as it is complete.

        Raises:
            LettaError: it was gone over before.
        """
        return AsyncMessageIterator(aiter(self))

    def text(self) -> AsyncTextIterator:
        """What the agent says, piece by piece as it comes.

        Raises:
            LettaError: it was gone over before.
        """
        return AsyncTextIterator(aiter(self))

    async def result(self) -> LettaResponse:
        """Reads to the end and returns what `streaming=False` would have returned.

        In a token stream the server does not repeat what the caller said itself: the returns of client tools, and
        those of calls that were denied, are then in the conversation's list, but not here.

        Raises:
            LettaError: it was gone over before.
        """
        from .._streaming.accumulator import MessageAccumulator, to_response

        accumulator = MessageAccumulator()
        messages: list[Message] = []
        try:
            async for event in self:
                messages += accumulator.add(event)
        except StreamInterrupted as fault:
            fault.partial = (*messages, *accumulator.finish())
            raise
        return require_result(to_response(messages + accumulator.finish(), accumulator))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection, from any task. The server finishes the run all the same."""
        await close_connection(self._connection)
        self._instrumentation.on_end(GeneratorExit())

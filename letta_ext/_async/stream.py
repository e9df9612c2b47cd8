"""The streams of events. `_streaming/` has the state machines that decide how a stream is read and resumed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Self, cast
from weakref import ref

import httpx

from .._instrumentation.dispatch import NOOP, Instrumentation
from .._streaming.base_stream import ALREADY_ITERATED, BaseStream, EventT_co, no_iterator, require_result
from .._streaming.resume import Resume
from ..async_primitives import AsyncClosing, close_connection, connected, detach_response, reattach_response
from ..errors import LettaError, PendingApprovalError, StreamInterrupted
from .event_iterator import AsyncEventIterator
from .text_iterators import AsyncMessageIterator, AsyncTextIterator

if TYPE_CHECKING:
    from letta_api.models import LettaResponse
    from letta_api.unions import Message, StreamEvent


class AsyncDetachedBody(httpx.AsyncByteStream):
    """The body of a response that the caller holds. It keeps the connection open until both are garbage-collected."""

    def __init__(self, body: httpx.AsyncByteStream, close_guard: Any) -> None:
        self._body = body
        self.close_guard = close_guard

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._body)

    async def aclose(self) -> None:
        """Close the body."""
        await self._body.aclose()


class AsyncStream(AsyncClosing, BaseStream, Generic[EventT_co]):
    """The events of a run, as they arrive.

    Iterate it once, by `async for`, by `anext()` or by one of its methods. A loop after `anext()` continues with the
    following event. The connection is closed when the loop or the `async with` block ends, also by `break`, or when the
    stream is garbage-collected. The run continues on the server. A background stream that is interrupted is resumed
    automatically. Annotations may name the events, as in `AsyncStream[StreamEvent]`.

    Raises (during iteration):
        RunError: If the run fails.
        PendingApprovalError: If the agent waits for tool returns or approvals.
        StreamInterrupted: If the stream is interrupted and cannot be resumed.
    """

    def __init__(
        self,
        response: httpx.Response,
        resume: Resume,
        reconnect: Callable[[Mapping[str, Any]], Awaitable[httpx.Response]],
        instrumentation: Instrumentation = NOOP,
        owner: object = None,
        describe_pending: Callable[[PendingApprovalError], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(connected(response, owner), resume, instrumentation)
        # Handed to the loop that iterates the stream, so that the connection is closed when that loop ends.
        self._events = [AsyncEventIterator(self._connection, resume, reconnect, instrumentation, describe_pending)]
        # The iterator of `anext()` and of a running loop, which only that loop keeps alive.
        self._running: Callable[[], AsyncEventIterator | None] = no_iterator

    @property
    def response(self) -> httpx.Response:
        """The HTTP response of the current connection. Accessed before the iteration, it keeps the connection open."""
        response = self._connection.response
        if not self._iterated and not isinstance(response.stream, AsyncDetachedBody):
            response.stream = AsyncDetachedBody(
                cast(httpx.AsyncByteStream, response.stream), self._events[0].close_guard
            )
            detach_response(self._connection)
        return response

    def __aiter__(self) -> AsyncEventIterator:
        """Return an iterator over the typed events, which continues after those of `anext()`.

        Raises:
            LettaError: If the stream was iterated before.
        """
        if not self._iterated:
            self._begin_iteration()
        elif not self._events:
            raise LettaError(ALREADY_ITERATED)
        self._running = ref(self._events[0])
        return self._events.pop()

    async def __anext__(self) -> StreamEvent:
        """Return the next event, also within a loop over the stream.

        Raises:
            LettaError: If a loop over the stream was left, or one of its methods reads the events.
        """
        events = self._running()
        if events is None:
            if not self._events:
                if self._resume.state.may_end:
                    raise StopAsyncIteration
                raise LettaError(ALREADY_ITERATED)
            if not self._iterated:
                self._begin_iteration()
            events = self._events[0]
            self._running = ref(events)
        return await anext(events)

    def _begin_iteration(self) -> None:
        self._start_iteration()
        body = self._connection.response.stream
        if isinstance(body, AsyncDetachedBody):
            body.close_guard = None  # closed with the iterator, even if the caller holds the response
            reattach_response(self._connection)

    def _take_events(self) -> AsyncEventIterator:
        """Return the iterator over all events, for a method that needs all of them."""
        self._begin_iteration()
        return self._events.pop()

    def messages(self) -> AsyncMessageIterator:
        """Return an iterator over whole messages, each yielded as soon as it is complete.

        Raises:
            LettaError: If the stream was iterated before.
        """
        return AsyncMessageIterator(self._take_events())

    def text(self) -> AsyncTextIterator:
        """Return an iterator over the text of the agent, in deltas.

        Raises:
            LettaError: If the stream was iterated before.
        """
        return AsyncTextIterator(self._take_events())

    async def result(self) -> LettaResponse:
        """Read the stream to its end, and return the response that `streaming=False` returns.

        In a token stream the server does not repeat the input: returns of client tools and of denied calls are in the
        list of messages, but not in this response.

        Raises:
            LettaError: If the stream was iterated before.
        """
        from .._streaming.accumulator import MessageAccumulator, to_response

        accumulator = MessageAccumulator()
        messages: list[Message] = []
        try:
            async for event in self._take_events():
                messages += accumulator.add(event)
        except StreamInterrupted as error:
            error.partial = (*messages, *accumulator.finish())
            raise
        found = to_response(messages + accumulator.finish(), accumulator)
        return require_result(found, self._connection.response.request)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection, from any task. The run continues on the server."""
        await close_connection(self._connection)
        self._instrumentation.on_end(GeneratorExit())

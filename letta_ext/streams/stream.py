"""Streams of events, sync and async: the few lines of I/O around what decides.

`sse.py` splits bytes into frames, `state.py` makes events of them, `resuming.py` says how a cut stream goes on,
`fold.py` makes messages of events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Self, cast

import httpx

from ..errors import APIResponseValidationError, LettaError, StreamInterrupted
from ..watching.watch import SILENT, Watch
from .abandoning import running_loop
from .events import AsyncEventIterator, EventIterator
from .leaving import AsyncLentBody, Connection, LentBody, async_close, close_connection, lend, take_back
from .parts import AsyncMessageIterator, AsyncTextIterator, MessageIterator, TextIterator
from .resuming import Resuming

if TYPE_CHECKING:
    from letta_api.models import LettaResponse
    from letta_api.unions import Message

ONCE: Final = "A stream can be iterated once. Keep the events in a list to go over them again."
NO_REASON: Final = "The stream ended without saying why the run stopped. List the messages of the conversation instead."


class _Stream:
    """What both streams are."""

    def __init__(self, connection: Connection, resuming: Resuming, watch: Watch) -> None:
        self._connection = connection
        self._resuming = resuming
        self._watch = watch
        self._begun = False

    @property
    def unlent_response(self) -> httpx.Response:
        """The HTTP response that is being read. It is closed with the stream."""
        return self._connection.response

    def _begin(self) -> None:
        if self._begun:
            raise LettaError(ONCE)
        self._begun = True
        take_back(self._connection)

    @property
    def run_id(self) -> str | None:
        """The run, once an event has named it."""
        return self._resuming.state.run_id

    @property
    def last_seq_id(self) -> int | None:
        """The number of the last event of a background stream; one that starts after it misses and repeats nothing."""
        return self._resuming.state.last_seq_id


class Stream(_Stream):
    """The events of a run as they come.

    Go over it once, by `for` or by one of its methods. Leaving the loop, by whatever way, closes the connection, and
    so do a `with` block and letting go of a stream that was not gone over; the server finishes the run all the same.
    A background stream that is cut goes on by itself.

    Raises (while it is iterated):
        RunError: the run failed.
        PendingApprovalError: the agent waits for tool returns or approvals first.
        StreamInterrupted: the stream broke off before its end, and could not be resumed.
    """

    def __init__(
        self,
        response: httpx.Response,
        resuming: Resuming,
        reopen: Callable[[Mapping[str, Any]], httpx.Response],
        watch: Watch = SILENT,
        owner: object = None,
    ) -> None:
        super().__init__(Connection(response, owner), resuming, watch)
        # Given away when the stream is iterated: the connection is closed when the loop is left, not with the stream.
        self._events = [EventIterator(self._connection, resuming, reopen, watch)]

    @property
    def response(self) -> httpx.Response:
        """The HTTP response that is being read. Taken before the stream is iterated, it outlives the stream."""
        response = self._connection.response
        if self._events and not isinstance(response.stream, LentBody):
            response.stream = LentBody(cast(httpx.SyncByteStream, response.stream), self._events[0].guarding)
            lend(self._connection)
        return response

    def __iter__(self) -> EventIterator:
        """The typed events.

        Raises:
            LettaError: it was gone over before.
        """
        self._begin()
        return self._events.pop()

    def messages(self) -> MessageIterator:
        """Whole messages, each as soon as it is complete.

        Raises:
            LettaError: it was gone over before.
        """
        return MessageIterator(iter(self))

    def text(self) -> TextIterator:
        """What the agent says, piece by piece as it comes.

        Raises:
            LettaError: it was gone over before.
        """
        return TextIterator(iter(self))

    def result(self) -> LettaResponse:
        """Reads to the end and returns what `streaming=False` would have returned.

        In a token stream the server does not repeat what the caller said itself: the returns of client tools, and
        those of calls that were denied, are then in the conversation's list, but not here.

        Raises:
            LettaError: it was gone over before.
        """
        from .fold import Folder, response

        folder = Folder()
        messages: list[Message] = []
        try:
            for event in self:
                messages += folder.add(event)
        except StreamInterrupted as fault:
            fault.partial = (*messages, *folder.finish())
            raise
        return _result(response(messages + folder.finish(), folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection, from any thread. The server finishes the run all the same."""
        close_connection(self._connection)
        self._watch.end(GeneratorExit())


def _result(result: LettaResponse | None) -> LettaResponse:
    if result is None:
        raise APIResponseValidationError(NO_REASON)
    return result


class AsyncStream(_Stream):
    """What `Stream` is, for async code."""

    def __init__(
        self,
        response: httpx.Response,
        resuming: Resuming,
        reopen: Callable[[Mapping[str, Any]], Awaitable[httpx.Response]],
        watch: Watch = SILENT,
        owner: object = None,
    ) -> None:
        super().__init__(Connection(response, owner, hand_over=running_loop(response)), resuming, watch)
        self._events = [AsyncEventIterator(self._connection, resuming, reopen, watch)]

    @property
    def response(self) -> httpx.Response:
        """The HTTP response that is being read. Taken before the stream is iterated, it outlives the stream."""
        response = self._connection.response
        if self._events and not isinstance(response.stream, AsyncLentBody):
            response.stream = AsyncLentBody(cast(httpx.AsyncByteStream, response.stream), self._events[0].guarding)
        return response

    def __aiter__(self) -> AsyncEventIterator:
        """The typed events.

        Raises:
            LettaError: it was gone over before.
        """
        self._begin()
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
        from .fold import Folder, response

        folder = Folder()
        messages: list[Message] = []
        try:
            async for event in self:
                messages += folder.add(event)
        except StreamInterrupted as fault:
            fault.partial = (*messages, *folder.finish())
            raise
        return _result(response(messages + folder.finish(), folder))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection. The server finishes the run all the same."""
        self._connection.closed, self._connection.ready = True, False
        await async_close(self._connection)
        self._watch.end(GeneratorExit())

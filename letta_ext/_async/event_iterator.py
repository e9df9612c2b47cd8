"""The iterator over the events of a stream.

CPython runs signal handlers at the start of a function, at the start of each pass of a loop, and after the call of a C
function. Assignments in between are not interrupted. The order of the lines below depends on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import httpx

from letta_api.structs import FALLBACK_ERRORS

from .._http import fork_safety
from .._http.transport_errors import sanitize_transport_error
from .._instrumentation.dispatch import Instrumentation
from .._streaming.connection import Connection
from .._streaming.event_iterator import EVENTS_PER_TURN, BaseEventIterator
from .._streaming.plain_events import PLAIN_EVENTS
from .._streaming.resume import Resume
from .._streaming.sse import Frame
from ..async_primitives import RELEASED, close_interrupted, end_reading, guard, release, sleep, take_turns
from ..errors import LettaError, PendingApprovalError
from .raw_body import iter_body

if TYPE_CHECKING:
    from letta_api.unions import StreamEvent


class AsyncEventIterator(BaseEventIterator, AsyncIterator["StreamEvent"]):
    """An iterator over the events of a stream.

    The connection is closed when the iterator ends, fails or is garbage-collected.
    """

    def __init__(
        self,
        connection: Connection,
        resume: Resume,
        reconnect: Callable[[Mapping[str, Any]], Awaitable[httpx.Response]],
        instrumentation: Instrumentation,
        describe_pending: Callable[[PendingApprovalError], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(connection, resume, instrumentation, guard(connection))
        self._reconnect = reconnect
        self._describe_pending = describe_pending

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        try:
            while True:
                if frames := self._frames or await self._read_frames():
                    if (state := self._state).is_plain:  # a short form of `receive`
                        try:
                            struct = self._parse(frames[-1])
                            decode = self._decoders[struct.__class__]
                            if struct.seq_id is None:
                                plain: StreamEvent = decode(struct)
                                del frames[-1]
                                state.unnumbered += 1
                                return plain
                        except FALLBACK_ERRORS:
                            self._parse, self._decoders = PLAIN_EVENTS.current()
                    event = self._receive(frames[-1])
                    del frames[-1]
                    if event is not None:
                        return event
                    self._connection.ready = False  # the frame may have been the terminator
        except BaseException as error:
            await self._stop(error)
            raise

    async def _read_frames(self) -> list[Frame]:
        """Return the frames of the next chunk, in reverse order. The list may be empty.

        Raises:
            StopAsyncIteration: If the stream has ended.
        """
        connection = self._connection
        if connection.ready and connection.process == fork_safety.forks:
            self._state.check_timeouts()
        elif self._later:
            self._restore_later()
            await take_turns()
            return self._frames
        else:
            await self._prepare()
        connection.reading = True
        try:
            async for chunk in connection.chunks:
                self._frames = frames = self._decoder.split(chunk)
                connection.reading = False
                if len(frames) > EVENTS_PER_TURN:
                    self._defer_later()
                return frames
        except Exception as error:  # any class; exceptions of the caller are raised again
            if not connection.reading:
                raise  # an exception of a signal handler, after the frames were received
            cause: Exception | None = sanitize_transport_error(error, connection.response.request)
        else:
            cause = None
        if self._state.may_end:
            self._finished = True
            raise StopAsyncIteration
        self._check_open()
        self._state.check_timeouts()
        await connection.response.aclose()
        delay, arguments = self._resume.after_disconnect(cause)
        await sleep(delay)
        await self._open(arguments)
        return []

    async def _prepare(self) -> None:
        """Prepare to read the body, at the start and after an interruption."""
        connection, state = self._connection, self._state
        connection.ready = False
        if self._finished:
            raise StopAsyncIteration
        if state.ended:
            self._finished = True
            await release(connection)
            raise StopAsyncIteration
        self._check()
        if self._read_error is not None:
            await connection.response.aclose()
            await self._open(self._resume.after_interruption(self._read_error))
        if connection.chunks is None:
            connection.chunks = iter_body(connection.response)
        connection.ready = not connection.closed

    async def _open(self, arguments: Mapping[str, Any]) -> None:
        while True:
            try:
                self._connection.response = await self._reconnect(arguments)
                break
            except LettaError as error:
                delay = self._resume.after_failed_attempt(error)
            await sleep(delay)
            self._check_open()
            self._state.check_timeouts()
        self._reset_body()

    async def _stop(self, error: BaseException) -> None:
        if isinstance(error, PendingApprovalError) and self._describe_pending and not error.calls:
            await self._describe_pending(error)
        if isinstance(error, StopAsyncIteration) or self._finished:
            await self.close_guard.aclose()
            self._instrumentation.on_end()
        elif self._record_error(error) and not isinstance(error, RELEASED):
            if self._failure is None:
                await close_interrupted(self._connection)
            else:
                await self.close_guard.aclose()
                self._instrumentation.on_end(error)

    async def aclose(self) -> None:
        """Close the connection, from any task. The run continues on the server."""
        await end_reading(self._connection, self.close_guard)
        self._instrumentation.on_end(GeneratorExit())

"""Iterators over the events of a stream, sync and async.

An iterator that failed keeps failing, and one that was interrupted, by an exception of a signal handler or by
cancellation, goes on: a frame is kept until its event is handed over, and a connection that was lost on the way is
resumed if its run is a background run.

CPython runs signal handlers when a function begins, when a loop begins anew, and behind a call of a function in C.
Assignments between two of those are not interrupted. The order of the lines below depends on it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, cast

import anyio
import httpx

from .. import fork_safety
from ..calls.transport_errors import faults_ignored, transport_fault
from ..errors import LettaError
from ..fork_safety import FORKED, current_process
from ..watching.watch import Watch
from .bodies import as_they_come, async_as_they_come
from .http2 import HTTP2
from .leaving import (
    AsyncGuard,
    Connection,
    async_close,
    close_connection,
    close_outside_transport,
    close_response,
    guard,
)
from .resuming import Resuming
from .sse import Frame, SSEDecoder

if TYPE_CHECKING:
    from letta_api.unions import StreamEvent

LINGER: Final = 0.5
"""Seconds that are spent on keeping a connection when its stream has ended."""

CLOSED: Final = "The stream was closed before its end. The server finishes the run all the same: list the messages."


class _Events:
    """What both iterators are."""

    def __init__(self, connection: Connection, resuming: Resuming, watch: Watch, guarding: Any) -> None:
        self._connection = connection
        self._resuming = resuming
        self._state = resuming.state
        self._receive = self._state.receive
        self._watch = watch
        self.guarding = guarding  # closes the connection when it is released
        self._decoder = SSEDecoder(self._state.limits.max_event_bytes)
        self._frames: list[Frame] = []  # the last first: each is kept until it is handed over
        self._begun = False
        self._lost: str | None = None  # what ended the connection while it was read
        self._failure: LettaError | None = None
        self._over = False

    def _check(self) -> None:
        """Check that the stream can be read on."""
        if self._failure is not None:
            raise copy.copy(self._failure)  # another object: a traceback would grow each time
        self._check_open()
        if self._connection.chunks is not None:
            self._state.check_time()
        elif not self._begun:
            self._begun = True
            self._state.wait()

    def _check_open(self) -> None:
        if self._connection.closed:
            raise self._state.interrupted(CLOSED)
        if self._connection.process != current_process():
            raise self._state.interrupted(FORKED)

    def _begin_body(self) -> None:
        self._decoder = SSEDecoder(self._state.limits.max_event_bytes)
        self._connection.chunks = None
        self._lost = None
        self._connection.ready = False

    def _note(self, fault: BaseException) -> bool:
        """Note what was raised; return whether the connection is to be closed."""
        connection = self._connection
        reading, connection.reading = connection.reading, False
        connection.ready = False
        if isinstance(fault, LettaError):
            if self._failure is None:
                self._failure = copy.copy(fault)
            return True
        if reading:
            # No reference to the exception: its traceback refers to this iterator, and to the frames of its user.
            self._lost = f"{type(fault).__name__} was raised while it was read"
            self._state.pause()
        return reading

    def __del__(self) -> None:
        self._watch.end(GeneratorExit())


class EventIterator(_Events, Iterator["StreamEvent"]):
    """The events of a stream. The connection is closed when the iterator ends, fails, or is released."""

    def __init__(
        self,
        connection: Connection,
        resuming: Resuming,
        reopen: Callable[[Mapping[str, Any]], httpx.Response],
        watch: Watch,
    ) -> None:
        super().__init__(connection, resuming, watch, guard(connection))
        self._reopen = reopen

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamEvent:
        try:
            while True:
                if frames := self._frames or self._read_on():
                    event = self._receive(frames[-1])
                    del frames[-1]
                    if event is not None:
                        return event
                    self._connection.ready = False  # this may have been the end
        except BaseException as fault:
            self._stop(fault)
            raise

    def _read_on(self) -> list[Frame]:
        """Return the frames of the next chunk, the last first. There may be none.

        Raises:
            StopIteration: If the stream is over.
        """
        connection = self._connection
        if connection.ready and connection.process == fork_safety.forks:
            self._state.check_time()
        else:
            self._prepare()
        connection.reading = True
        try:
            for chunk in connection.chunks:
                self._frames = frames = self._decoder.split(chunk)
                connection.reading = False
                return frames
        except Exception as error:  # noqa: BLE001  # any class; the caller's own are raised again
            fault: Exception | None = transport_fault(error, connection.response.request)
        else:
            fault = None
        if self._state.may_end:
            self._over = True
            raise StopIteration
        self._check_open()
        self._state.check_time()
        connection.response.close()
        delay, arguments = self._resuming.after_cut(fault)
        time.sleep(delay)
        self._open(arguments)
        return []

    def _prepare(self) -> None:
        """Make the body ready to be read: at the beginning, and where something has happened."""
        connection, state = self._connection, self._state
        connection.ready = False
        if self._over:
            raise StopIteration
        if state.ended:
            self._over = True
            _release(connection.response)
            raise StopIteration
        self._check()
        if self._lost is not None:
            connection.response.close()
            self._open(self._resuming.after_interruption(self._lost))
        if connection.chunks is None:
            connection.chunks = as_they_come(connection.response)
        connection.ready = not connection.closed

    def _open(self, arguments: Mapping[str, Any]) -> None:
        try:
            self._connection.response = self._reopen(arguments)
        except LettaError as error:
            raise self._resuming.refused(error) from error
        self._begin_body()

    def _stop(self, fault: BaseException) -> None:
        if isinstance(fault, StopIteration) or self._over:
            self.guarding.close()
            self._watch.end()
        elif self._note(fault):
            if self._failure is None:
                close_outside_transport(partial(close_response, self._connection.response))
            else:
                self.guarding.close()
                self._watch.end(fault)

    def close(self) -> None:
        """Close the connection, from any thread. The server finishes the run all the same."""
        close_connection(self._connection)
        self._watch.end(GeneratorExit())


class AsyncEventIterator(_Events, AsyncIterator["StreamEvent"]):
    """Async version of `EventIterator`."""

    def __init__(
        self,
        connection: Connection,
        resuming: Resuming,
        reopen: Callable[[Mapping[str, Any]], Awaitable[httpx.Response]],
        watch: Watch,
    ) -> None:
        super().__init__(connection, resuming, watch, AsyncGuard(connection))
        self._reopen = reopen

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        try:
            while True:
                if frames := self._frames or await self._read_on():
                    event = self._receive(frames[-1])
                    del frames[-1]
                    if event is not None:
                        return event
                    self._connection.ready = False  # this may have been the end
        except BaseException as fault:
            await self._stop(fault)
            raise

    async def _read_on(self) -> list[Frame]:
        """Return the frames of the next chunk, the last first. There may be none.

        Raises:
            StopAsyncIteration: If the stream is over.
        """
        connection = self._connection
        if connection.ready and connection.process == fork_safety.forks:
            self._state.check_time()
        else:
            await self._prepare()
        connection.reading = True
        try:
            async for chunk in connection.chunks:
                self._frames = frames = self._decoder.split(chunk)
                connection.reading = False
                return frames
        except Exception as error:  # noqa: BLE001  # any class; the caller's own are raised again
            fault: Exception | None = transport_fault(error, connection.response.request)
        else:
            fault = None
        if self._state.may_end:
            self._over = True
            raise StopAsyncIteration
        self._check_open()
        self._state.check_time()
        await connection.response.aclose()
        delay, arguments = self._resuming.after_cut(fault)
        await anyio.sleep(delay)
        await self._open(arguments)
        return []

    async def _prepare(self) -> None:
        """Make the body ready to be read: at the beginning, and where something has happened."""
        connection, state = self._connection, self._state
        connection.ready = False
        if self._over:
            raise StopAsyncIteration
        if state.ended:
            self._over = True
            await _async_release(connection)
            raise StopAsyncIteration
        self._check()
        if self._lost is not None:
            await connection.response.aclose()
            await self._open(self._resuming.after_interruption(self._lost))
        if connection.chunks is None:
            connection.chunks = async_as_they_come(connection.response)
        connection.ready = not connection.closed

    async def _open(self, arguments: Mapping[str, Any]) -> None:
        try:
            self._connection.response = await self._reopen(arguments)
        except LettaError as error:
            raise self._resuming.refused(error) from error
        self._begin_body()

    async def _stop(self, fault: BaseException) -> None:
        if isinstance(fault, StopAsyncIteration) or self._over:
            await self.guarding.aclose()
            self._watch.end()
        elif self._note(fault) and not isinstance(fault, GeneratorExit):  # a coroutine that is released cannot await
            if self._failure is None:
                await async_close(self._connection)
            else:
                await self.guarding.aclose()
                self._watch.end(fault)

    async def aclose(self) -> None:
        """Close the connection. The server finishes the run all the same."""
        self._connection.closed, self._connection.ready = True, False
        await self.guarding.aclose()
        self._watch.end(GeneratorExit())


def _release(response: httpx.Response) -> None:
    """Reads what is left behind the end of a stream, so that its connection can be used again.

    That is a few bytes which mostly are there already. A server that keeps the body open costs the connection, not
    the caller's time.
    """
    if response.is_closed or response.http_version == HTTP2:
        return  # where a hook of the caller has read the body, the connection may answer another request by now
    since = time.monotonic()
    extensions = response.request.extensions
    # httpx reads the timeout when iterating begins: the stream is iterated anew so that LINGER counts.
    extensions["timeout"] = {**extensions.get("timeout", {}), "read": LINGER}
    with faults_ignored(response.request):
        for _ in cast(httpx.SyncByteStream, response.stream):
            if time.monotonic() - since > LINGER:
                return


async def _async_release(connection: Connection) -> None:
    if connection.response.http_version == HTTP2:
        return
    with anyio.move_on_after(LINGER), faults_ignored(connection.response.request):
        async for _ in connection.chunks:
            pass

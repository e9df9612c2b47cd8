"""Streams of events, sync and async: the few lines of I/O around what decides.

`sse.py` splits bytes into frames, `state.py` makes events of them, `resuming.py` says how a cut stream goes on,
`fold.py` makes messages of events.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import aclosing
from inspect import GEN_RUNNING, getgeneratorstate
from typing import TYPE_CHECKING, Any, Final, Self, cast

import anyio
import httpx

from ..calls.transport_errors import faults_ignored, transport_fault
from ..errors import APIError, APIResponseValidationError, LettaError, StreamInterrupted
from ..watching.watch import SILENT, Watch
from .bodies import as_they_come, async_as_they_come
from .leaving import ONE_STREAM, Connection, break_off, close_outside_transport, hold, leave
from .resuming import Resuming
from .sse import SSEDecoder

if TYPE_CHECKING:
    from letta_api.models import LettaResponse
    from letta_api.unions import Message, StreamEvent

    from .state import StreamState

LINGER: Final = 0.5
"""Seconds that are spent on keeping a connection when its stream has ended."""

ENOUGH: Final = 65_536
"""Bytes of an answer that is no stream of events; the error that it becomes shows them."""

UNREAD: Final[Any] = None
"""What `_events` yields first. Advancing to it enters the `try`: to drop an unread stream closes the response."""

CLOSED: Final = "The stream was closed before its end. The server finishes the run all the same: list the messages."
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
    def response(self) -> httpx.Response:
        """The HTTP response that is being read. Whoever takes it, and does not go over the events, closes it."""
        self._connection.lent = not self._begun
        return self._connection.response

    def _begin(self) -> None:
        if self._begun:
            raise LettaError(ONCE)
        self._begun = True
        self._connection.lent = False

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
    ) -> None:
        super().__init__(Connection(response), resuming, watch)
        events = _events(self._connection, resuming, reopen)
        next(events)
        self._events = [events]  # given away when the stream is gone over
        self._reading = weakref.ref(events)

    def __iter__(self) -> Iterator[StreamEvent]:
        """The typed events.

        Raises:
            LettaError: it was gone over before.
        """
        self._begin()
        return self._watch.over(self._events.pop())

    def messages(self) -> Iterator[Message]:
        """Whole messages, each as soon as it is complete.

        Raises:
            LettaError: it was gone over before.
        """
        return _messages(iter(self))

    def text(self) -> Iterator[str]:
        """What the agent says, piece by piece as it comes.

        Raises:
            LettaError: it was gone over before.
        """
        return _texts(iter(self))

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
        connection, events = self._connection, self._reading()
        connection.closed = True
        if events is not None and getgeneratorstate(events) == GEN_RUNNING:
            break_off(connection.response)
        close_outside_transport(connection.response.close)
        self._watch.end(GeneratorExit())


def read_some(response: httpx.Response) -> bytes:
    """The beginning of a body that is no stream, and closes it."""
    body = b""
    try:
        with faults_ignored(response.request):
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) >= ENOUGH:
                    break
    finally:
        response.close()
    return body[:ENOUGH]


async def async_read_some(response: httpx.Response) -> bytes:
    """What `read_some` is, for async code."""
    body = b""
    try:
        with faults_ignored(response.request):
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) >= ENOUGH:
                    break
    finally:
        await response.aclose()
    return body[:ENOUGH]


def _release(response: httpx.Response) -> None:
    """Reads what is left behind the end of a stream, so that its connection can be used again.

    That is a few bytes which mostly are there already. A server that keeps the body open costs the connection, not
    the caller's time.
    """
    if response.http_version != ONE_STREAM:
        return
    since = time.monotonic()
    extensions = response.request.extensions
    # httpx reads the timeout when iterating begins: the stream is iterated anew so that LINGER counts.
    extensions["timeout"] = {**extensions.get("timeout", {}), "read": LINGER}
    with faults_ignored(response.request):
        for _ in cast(httpx.SyncByteStream, response.stream):
            if time.monotonic() - since > LINGER:
                return


async def _async_release(response: httpx.Response, chunks: AsyncIterator[bytes]) -> None:
    if response.http_version != ONE_STREAM:
        return
    with anyio.move_on_after(LINGER), faults_ignored(response.request):
        async for _ in chunks:
            pass


def _check_open(connection: Connection, state: StreamState) -> None:
    if connection.closed:
        raise state.interrupted(CLOSED)


def _result(result: LettaResponse | None) -> LettaResponse:
    if result is None:
        raise APIResponseValidationError(NO_REASON)
    return result


def _text(event: StreamEvent) -> str:
    from letta_api.models import AssistantMessage

    from .fold import text_of

    return text_of(event) if isinstance(event, AssistantMessage) else ""


def _texts(events: Iterator[StreamEvent]) -> Iterator[str]:
    for event in events:
        if text := _text(event):
            yield text


def _messages(events: Iterator[StreamEvent]) -> Iterator[Message]:
    from .fold import Folder

    folder = Folder()
    for event in events:
        yield from folder.add(event)
    yield from folder.finish()


def _events(
    connection: Connection, resuming: Resuming, reopen: Callable[[Mapping[str, Any]], httpx.Response]
) -> Generator[StreamEvent, None, None]:
    # A generator of its own rather than a method: it does not hold the stream, nor the stream it once it is gone over,
    # so that leaving a loop closes the response at once and not when the garbage collector comes round.
    state = resuming.state
    hold(connection)
    try:
        yield UNREAD
        state.wait()
        while True:
            _check_open(connection, state)
            fault: Exception | None = None
            decoder = SSEDecoder(state.limits.max_event_bytes)
            connection.chunks = as_they_come(connection.response)
            try:
                for chunk in connection.chunks:
                    for frame in decoder.split(chunk):
                        event = state.receive(frame)
                        if event is not None:
                            yield event
                    if state.ended:
                        _release(connection.response)
                        return
                    state.check_time()
            except Exception as error:  # noqa: BLE001  # any class; the caller's own are raised again
                fault = transport_fault(error, connection.response.request)
            if state.may_end:
                return
            _check_open(connection, state)
            state.check_time()
            connection.response.close()
            delay, arguments = resuming.after_cut(fault)
            time.sleep(delay)
            try:
                connection.response = reopen(arguments)
            except APIError as error:
                raise resuming.refused(error) from error
    finally:
        leave(connection)


class AsyncStream(_Stream):
    """What `Stream` is, for async code."""

    def __init__(
        self,
        response: httpx.Response,
        resuming: Resuming,
        reopen: Callable[[Mapping[str, Any]], Awaitable[httpx.Response]],
        watch: Watch = SILENT,
    ) -> None:
        super().__init__(Connection(response), resuming, watch)
        self._events = [_async_events(self._connection, resuming, reopen)]

    @classmethod
    async def open(
        cls,
        response: httpx.Response,
        resuming: Resuming,
        reopen: Callable[[Mapping[str, Any]], Awaitable[httpx.Response]],
        watch: Watch = SILENT,
    ) -> AsyncStream:
        """A stream of what this response brings. It is closed by the event loop that this was awaited in."""
        stream = cls(response, resuming, reopen, watch)
        await anext(stream._events[0])
        return stream

    def __aiter__(self) -> AsyncGenerator[StreamEvent, None]:
        """The typed events.

        Raises:
            LettaError: it was gone over before.
        """
        self._begin()
        return self._watch.over_async(self._events.pop())

    def messages(self) -> AsyncIterator[Message]:
        """Whole messages, each as soon as it is complete.

        Raises:
            LettaError: it was gone over before.
        """
        return _async_messages(self.__aiter__())

    def text(self) -> AsyncIterator[str]:
        """What the agent says, piece by piece as it comes.

        Raises:
            LettaError: it was gone over before.
        """
        return _async_texts(self.__aiter__())

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
        self._connection.closed = True
        await self._connection.response.aclose()
        self._watch.end(GeneratorExit())


async def _async_texts(events: AsyncGenerator[StreamEvent, None]) -> AsyncIterator[str]:
    async with aclosing(events):
        async for event in events:
            if text := _text(event):
                yield text


async def _async_messages(events: AsyncGenerator[StreamEvent, None]) -> AsyncIterator[Message]:
    from .fold import Folder

    folder = Folder()
    async with aclosing(events):  # leaving the outer loop closes the inner one, and so the response, at once
        async for event in events:
            for message in folder.add(event):
                yield message
    for message in folder.finish():
        yield message


async def _async_events(
    connection: Connection, resuming: Resuming, reopen: Callable[[Mapping[str, Any]], Awaitable[httpx.Response]]
) -> AsyncGenerator[StreamEvent, None]:
    state = resuming.state
    try:
        yield UNREAD
        state.wait()
        while True:
            _check_open(connection, state)
            fault: Exception | None = None
            decoder = SSEDecoder(state.limits.max_event_bytes)
            chunks = async_as_they_come(connection.response)
            try:
                async for chunk in chunks:
                    for frame in decoder.split(chunk):
                        event = state.receive(frame)
                        if event is not None:
                            yield event
                    if state.ended:
                        await _async_release(connection.response, chunks)
                        return
                    state.check_time()
            except Exception as error:  # noqa: BLE001  # any class; the caller's own are raised again
                fault = transport_fault(error, connection.response.request)
            if state.may_end:
                return
            _check_open(connection, state)
            state.check_time()
            await connection.response.aclose()
            delay, arguments = resuming.after_cut(fault)
            await anyio.sleep(delay)
            try:
                connection.response = await reopen(arguments)
            except APIError as error:
                raise resuming.refused(error) from error
    finally:
        if not connection.lent:
            await connection.response.aclose()

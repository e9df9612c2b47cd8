"""What the async modules do otherwise than the sync ones. `sync_primitives.py` has the same names for sync code."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

import anyio
import httpx

from ._http.async_sockets import AsyncNetworkBackend as AsyncNetworkBackend
from ._http.async_sockets import AsyncNetworkStream as AsyncNetworkStream
from ._http.concurrency import async_acquire_slot
from ._http.content_encoding import ContentDecoder
from ._http.event_loops import check_event_loop
from ._http.transport_errors import suppress_transport_errors
from ._iteration import ALREADY_ITERATED, finish
from ._streaming.call_options import check_open
from ._streaming.chunks import async_chunks
from ._streaming.cleanup import DRAIN_TIMEOUT, AsyncGuard, async_close
from ._streaming.connection import Connection
from ._streaming.http2_reset import HTTP2
from ._streaming.unawaited_close import close_scheduler
from .errors import LettaError

if TYPE_CHECKING:
    import asyncio

    from letta_api.models import ToolCall

    from .tools.tool import ToolRegistry, ToolRun

IS_ASYNC: Final = True

RELEASED: Final = (GeneratorExit,)
"""What is raised in code that is released before its end. A coroutine cannot await any more then."""

acquire_slot = async_acquire_slot

PATIENCE: Final = 1.0
"""Seconds to wait for another loop that was left."""

T = TypeVar("T")


def is_finished(items: Any) -> bool:
    """Return whether a generator has ended. `inspect` tells it of async generators from Python 3.12 on."""
    ended: bool = items.ag_frame is None
    return ended


class AutoClosing:
    """An iterator that ends its generator when nothing refers to it any more.

    Python would hand the generator to its event loop, which may be closed before it ends it: Python 3.13 warns of that.
    """

    _items: AsyncGenerator[Any, None] | None

    def __del__(self) -> None:
        if self._items is not None and not is_finished(self._items) and not sys.is_finalizing():
            finish(self._items.aclose())


class AsyncBackgroundWork(Generic[T]):
    """Work that another task does meanwhile. Other event loops than asyncio's do it when its result is wanted."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work: Callable[[], Awaitable[T]] = work
        self._task: asyncio.Task[T] | None = None
        if "asyncio" not in sys.modules:  # its loop cannot run then
            return
        import asyncio

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._task = loop.create_task(work())
        self._task.add_done_callback(_retrieve)

    @property
    def is_running(self) -> bool:
        """Whether the work goes on after `result` was interrupted. A task that is cancelled has cancelled it too."""
        return False

    async def result(self) -> T:
        """Wait for the work, and return or raise what came of it."""
        return await (self._work() if self._task is None else self._task)

    def leave(self) -> None:
        """End the work, if it is not done."""
        if self._task is not None:
            self._task.cancel()

    def __del__(self) -> None:
        if self._task is not None and not self._task.done():
            with suppress(RuntimeError):  # its loop is closed, and has ended it
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)


def _retrieve(task: asyncio.Task[Any]) -> None:
    # asyncio logs an exception that is never retrieved.
    if not task.cancelled():
        task.exception()


async def sleep(seconds: float) -> None:
    """Wait."""
    await anyio.sleep(seconds)


async def maybe_await(value: Any) -> Any:
    """Return the value of what a function returned that may be async."""
    return await value if isawaitable(value) else value


class ExclusiveIteration:
    """Lets one loop at a time go over an object."""

    def __init__(self) -> None:
        self._left: anyio.Event | None = None

    async def enter(self) -> None:
        """Begin a loop.

        Raises:
            LettaError: If another one has begun and was not left.
        """
        if self._left is not None:
            # A loop that was just left is closed in one of the event loop's next turns.
            with anyio.move_on_after(PATIENCE):
                await self._left.wait()
        if self._left is not None:
            raise LettaError(ALREADY_ITERATED)
        self._left = anyio.Event()

    def leave(self) -> None:
        """End the loop."""
        left, self._left = self._left, None
        if left is not None:
            left.set()


async def run_tools(
    box: ToolRegistry, calls: Sequence[ToolCall], starting: Callable[[ToolCall], Callable[[ToolRun], object]]
) -> None:
    """Run the tools of some calls at the same time.

    Args:
        box: The tools.
        calls: The calls.
        starting: Is told that a call begins; returns a function that is given what became of it.
    """
    from .tools.tool import run_tool_async

    async def run(call: ToolCall) -> None:
        await run_tool_async(box, call, starting(call))

    try:
        async with anyio.create_task_group() as group:
            for call in calls:
                group.start_soon(run, call)
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None  # as in sync code; only what is no `Exception` gets here


def event_loop_library() -> object:
    """Return what tells the library of the running event loop.

    A connection is used by any event loop of the library under which it was opened, one at a time: httpcore's locks are
    those of the library that runs when they are first used.
    """
    return anyio.get_cancelled_exc_class()


def check_usable(http: httpx.AsyncClient, *, closed: bool) -> None:
    """Check that a request can be sent from here.

    Raises:
        LettaError: If the client is closed, or has connections of another event loop.
    """
    check_open(http, closed=closed)
    check_event_loop(http)


async def close_http(http: httpx.AsyncClient) -> None:
    """Close an httpx client. Its streams end with their connections."""
    await http.aclose()


async def close_unread(response: httpx.Response) -> None:
    """Close the response of a call."""
    await response.aclose()


def chunks(stream: httpx.AsyncByteStream) -> AsyncIterator[bytes]:
    """Return the chunks of a body."""
    return async_chunks(stream)


class AsyncDecodedChunks(AsyncIterator[bytes]):
    """Chunks, decompressed.

    Args:
        found: The chunks as they come.
        decoder: Decompresses them.
    """

    def __init__(self, found: AsyncIterator[bytes], decoder: ContentDecoder) -> None:
        self._chunks = found
        self._decoder = decoder
        self._pieces: Iterator[bytes] = iter(())
        self._flushed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while True:
            for piece in self._pieces:
                return piece
            if self._flushed:
                raise StopAsyncIteration
            async for chunk in self._chunks:
                self._pieces = iter(self._decoder.decode(chunk))
                break
            else:
                self._flushed = True
                self._pieces = iter(self._decoder.flush())


def decoded(found: AsyncIterator[bytes], decoder: ContentDecoder) -> AsyncIterator[bytes]:
    """Return chunks, decompressed. They are not read by an async generator, which would be handed to the event loop."""
    return AsyncDecodedChunks(found, decoder)


def connected(response: httpx.Response, owner: object) -> Connection:
    """Return the connection of a stream, which the running event loop closes if no other can."""
    return Connection(response, owner, schedule_close=close_scheduler(response))


def guard(connection: Connection) -> AsyncGuard:
    """Return an object that closes the connection when it is closed, or when nothing refers to it."""
    return AsyncGuard(connection)


def detach_response(connection: Connection) -> None:
    """Note that the caller has taken the response of a stream."""


def reattach_response(connection: Connection) -> None:
    """Note that a stream is iterated whose response the caller has taken."""


async def close_connection(connection: Connection) -> None:
    """Close the connection of a stream, from any task."""
    connection.closed, connection.ready = True, False
    await async_close(connection)


async def close_interrupted(connection: Connection) -> None:
    """Close a connection that was lost while it was read. The stream may go on with another one."""
    await async_close(connection)


async def end_reading(connection: Connection, close_guard: AsyncGuard) -> None:
    """Close the connection that an iterator reads, from any task."""
    connection.closed, connection.ready = True, False
    await close_guard.aclose()


async def release(connection: Connection) -> None:
    """Read what is left behind the end of a stream, so that its connection can be used again.

    That is a few bytes which mostly are there already. A server that keeps the body open costs the connection, not
    the caller's time.
    """
    if connection.response.http_version == HTTP2:
        return
    with anyio.move_on_after(DRAIN_TIMEOUT), suppress_transport_errors(connection.response.request):
        async for _ in connection.chunks:
            pass

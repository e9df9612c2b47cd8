"""The differences of async code from sync code. `sync_primitives.py` has the same names for sync code."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

import anyio
import httpx
from anyio.lowlevel import checkpoint

from ._http.async_sockets import AsyncNetworkBackend as AsyncNetworkBackend
from ._http.async_sockets import AsyncNetworkStream as AsyncNetworkStream
from ._http.concurrency import async_acquire_slot
from ._http.content_encoding import ContentDecoder
from ._http.event_loops import check_event_loop
from ._http.transport_errors import suppress_transport_errors
from ._iteration import ALREADY_ITERATED, run_without_event_loop
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
"""Exceptions raised in a coroutine that is closed before its end. It cannot await afterwards."""

acquire_slot = async_acquire_slot

EXIT_TIMEOUT: Final = 1.0
"""Seconds to wait for the end of another iteration."""

T = TypeVar("T")


def is_finished(items: Any) -> bool:
    """Return whether a generator has ended. `inspect.getasyncgenstate` requires Python 3.12."""
    ended: bool = items.ag_frame is None
    return ended


class AsyncClosing:
    """An object with a connection, which `contextlib.aclosing` closes as well."""

    async def close(self) -> None:
        """Close the connection."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Call `close`."""
        await self.close()


class AutoClosing:
    """An iterator that closes its generator when it is garbage-collected.

    Python would schedule `aclose()` in the event loop of the generator. Python 3.13 warns if that loop closes first.
    """

    _items: AsyncGenerator[Any, None] | None
    _is_finalizing = staticmethod(sys.is_finalizing)  # an attribute: the globals are None when the interpreter exits

    def __del__(self) -> None:
        if self._items is not None and not self._is_finalizing() and not is_finished(self._items):
            run_without_event_loop(self._items.aclose())


class AsyncBackgroundWork(Generic[T]):
    """A coroutine that runs in another task. Without asyncio it runs when its result is requested."""

    _is_finalizing = staticmethod(sys.is_finalizing)  # an attribute: the globals are None when the interpreter exits

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work: Callable[[], Awaitable[T]] = work
        self._task: asyncio.Task[T] | None = None
        if "asyncio" not in sys.modules:  # without the module, no loop is running
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
        """Whether the coroutine still runs after `result` was interrupted. Cancelling `result` cancels it too."""
        return False

    async def result(self) -> T:
        """Wait for the coroutine, and return its result or raise its exception."""
        return await (self._work() if self._task is None else self._task)

    def cancel(self) -> None:
        """Cancel the coroutine, unless it is done."""
        if self._task is not None:
            self._task.cancel()

    def __del__(self) -> None:
        if self._task is not None and not self._is_finalizing() and not self._task.done():
            with suppress(RuntimeError):  # the loop is closed, which cancelled the task
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)


def _retrieve(task: asyncio.Task[Any]) -> None:
    # asyncio logs exceptions that are never retrieved.
    if not task.cancelled():
        task.exception()


async def sleep(seconds: float) -> None:
    """Sleep for some seconds."""
    await anyio.sleep(seconds)


async def take_turns() -> None:
    """Let other tasks of the event loop run."""
    await checkpoint()


def uninterrupted(seconds: float) -> anyio.CancelScope:
    """Return a context manager whose block a cancelled task can still wait in, for some seconds."""
    return anyio.move_on_after(seconds, shield=True)


async def maybe_await(value: Any) -> Any:
    """Return the result of a function that is sync or async."""
    return await value if isawaitable(value) else value


class ExclusiveIteration:
    """A guard that permits one iteration of an object at a time."""

    def __init__(self) -> None:
        self._exited: anyio.Event | None = None

    async def enter(self) -> None:
        """Begin an iteration.

        Raises:
            LettaError: If another iteration has not ended.
        """
        if self._exited is not None:
            # The event loop closes an abandoned iteration within its next cycles.
            with anyio.move_on_after(EXIT_TIMEOUT):
                await self._exited.wait()
        if self._exited is not None:
            raise LettaError(ALREADY_ITERATED)
        self._exited = anyio.Event()

    def leave(self) -> None:
        """End the iteration."""
        exited, self._exited = self._exited, None
        if exited is not None:
            exited.set()


async def run_tools(
    box: ToolRegistry, calls: Sequence[ToolCall], starting: Callable[[ToolCall], Callable[[ToolRun], object]]
) -> None:
    """Run the tools of some calls concurrently.

    Args:
        box: The tools.
        calls: The tool calls.
        starting: A callback for the start of a call. It returns a callback for the result.
    """
    from .tools.tool import run_tool_async

    async def run(call: ToolCall) -> None:
        await run_tool_async(box, call, starting(call))

    try:
        async with anyio.create_task_group() as group:
            for call in calls:
                group.start_soon(run, call)
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None  # as in sync code; tools raise only `BaseException` here


def event_loop_library() -> object:
    """Return an object that identifies the library of the running event loop: asyncio or trio.

    Event loops of the same library can share a connection, one at a time. httpcore binds the locks of a connection to
    the library that uses them first.
    """
    return anyio.get_cancelled_exc_class()


def check_usable(http: httpx.AsyncClient, *, closed: bool) -> None:
    """Check that a request can be sent from the running event loop.

    Raises:
        LettaError: If the client is closed, or has connections of another event loop.
    """
    check_open(http, closed=closed)
    check_event_loop(http)


async def close_http(http: httpx.AsyncClient) -> None:
    """Close an httpx client and its streams."""
    await http.aclose()


async def close_unread(response: httpx.Response) -> None:
    """Close the response of a call."""
    await response.aclose()


def chunks(stream: httpx.AsyncByteStream) -> AsyncIterator[bytes]:
    """Return the chunks of a body."""
    return async_chunks(stream)


class AsyncDecodedChunks(AsyncIterator[bytes]):
    """An iterator over decompressed chunks.

    Args:
        raw_chunks: The chunks of the body.
        decoder: The decoder of the body.
    """

    def __init__(self, raw_chunks: AsyncIterator[bytes], decoder: ContentDecoder) -> None:
        self._chunks = raw_chunks
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


def decoded(raw_chunks: AsyncIterator[bytes], decoder: ContentDecoder) -> AsyncIterator[bytes]:
    """Return the decompressed chunks. An async generator would depend on its event loop for closing."""
    return AsyncDecodedChunks(raw_chunks, decoder)


def connected(response: httpx.Response, owner: object) -> Connection:
    """Return the connection of a stream. The running event loop closes it if required."""
    return Connection(response, owner, schedule_close=close_scheduler(response))


def guard(connection: Connection) -> AsyncGuard:
    """Return an object that closes the connection when it is closed or garbage-collected."""
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
    """Close an interrupted connection. The stream may resume on another one."""
    await async_close(connection)


async def end_reading(connection: Connection, close_guard: AsyncGuard) -> None:
    """Close the connection that an iterator reads, from any task."""
    connection.closed, connection.ready = True, False
    await close_guard.aclose()


async def release(connection: Connection) -> None:
    """Read the rest of the body after the terminal event, so that the connection can be reused.

    The rest is a few bytes, usually received already. If the server keeps the body open, the connection is closed after
    `DRAIN_TIMEOUT` seconds.
    """
    if connection.response.http_version == HTTP2:
        return
    with anyio.move_on_after(DRAIN_TIMEOUT), suppress_transport_errors(connection.response.request):
        async for _ in connection.chunks:
            pass

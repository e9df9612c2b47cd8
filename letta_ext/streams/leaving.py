"""Closing of responses, wherever a stream is left.

To close a response takes the lock of its connection pool. The garbage collector, a signal handler and a generator that
is closed late can each leave a stream in the middle of the pool's own code, in the thread that has the lock already.
The stack of that thread shows it, and a thread of its own closes the response then.
"""

from __future__ import annotations

import _thread
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any, Final

import anyio
import httpx
from attrs import define, field

from ..fork_safety import current_process
from .abandoning import Closing, break_off, close_left, close_without_await
from .http2 import HTTP2, async_reset, interrupt, reset

TRANSPORTS: Final = frozenset({"httpx", "httpcore"})
"""The packages whose code runs while a lock of a connection pool is held."""


@define(eq=False)
class Connection:
    """The response that a stream reads; another one after it was resumed.

    Attributes:
        response: the response.
        owner: the httpx client that it came from.
        chunks: its body, as far as it was not read; None before it is read.
        reading: whether a thread or task waits for the next chunk.
        ready: whether the next chunk can be read without a look at the rest.
        closed: whether the stream was closed.
        process: the process that opened it. One that was forked off shares the socket, and must leave it alone.
        hand_over: has the event loop that opened it close it; None for a connection of our own, which needs none.
    """

    response: httpx.Response
    owner: object = None
    chunks: Any = None
    reading: bool = False
    ready: bool = False
    closed: bool = False
    process: int = field(factory=current_process)
    hand_over: Callable[[Closing], object] | None = None


_held: Final[set[Connection]] = set()
"""The connections of sync streams. The collector would close the generators that read a body one by one, anywhere."""


def in_transport() -> bool:
    """Return whether this thread is inside httpx or httpcore, and so may hold a lock of a connection pool."""
    # The stack is all that tells it: the locks do not name their holder.
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]  # documented, in spite of its name
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] in TRANSPORTS:
            return True
        frame = frame.f_back
    return False


def close_outside_transport(close: Callable[[], object]) -> None:
    """Call `close` at once, or in a thread of its own if this thread is inside httpx or httpcore.

    Finalizers, signal handlers and every other sync code that may run in the middle of a connection pool close with it.

    Args:
        close: Closes a response or a client. It may take the locks of a connection pool.
    """
    if sys.is_finalizing():
        return  # the process ends, and its sockets with it; Python 3.13.0 crashes where finalizers look at frames now
    if not in_transport():
        close()
        return
    with suppress(RuntimeError):  # the interpreter ends, and closes the socket
        _thread.start_new_thread(_close_quietly, (close,))  # `threading` takes locks that may be held here


def _close_quietly(close: Callable[[], object]) -> None:
    with suppress(Exception):  # no caller is left to be told
        close()


def close_response(response: httpx.Response) -> None:
    """Close a response. The server is told to send no more of it."""
    reset(response)
    response.close()


async def async_close(connection: Connection) -> None:
    """Close the response of an async stream. Cancellation does not stop it."""
    if close_without_await(connection):
        return
    with anyio.CancelScope(shield=True):
        await async_reset(connection.response)
        await connection.response.aclose()


def guard(connection: Connection) -> Generator[None, None, None]:
    """Return a started generator that closes the connection when it is closed, or when nothing refers to it."""
    guarding = _guard(connection)
    _held.add(connection)
    next(guarding)
    return guarding


def lend(connection: Connection) -> None:
    """Note that the caller has taken the response of a stream: it, and its guard, live as long as it is referred to."""
    _held.discard(connection)


def take_back(connection: Connection) -> None:
    """Note that the stream is iterated: its response is closed with the iterator, whoever refers to it."""
    body = connection.response.stream
    if isinstance(body, LentBody):
        body.guarding = None
        _held.add(connection)
    elif isinstance(body, AsyncLentBody):
        body.guarding = None


def _guard(connection: Connection) -> Generator[None, None, None]:
    def close() -> None:
        close_response(connection.response)
        # Only now: what reads a closed response takes no locks where it is released.
        _held.discard(connection)

    try:
        yield
    finally:
        if connection.process == current_process():
            close_outside_transport(close)


class AsyncGuard:
    """Closes the connection of an async stream when it is closed, or when nothing refers to it.

    It is not an async generator: Python hands those to the event loop, which may be closed before it closes them.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._closed = False

    async def aclose(self) -> None:
        """Close the connection."""
        if not self._closed and self._connection.process == current_process():
            await async_close(self._connection)
        self._closed = True

    def __del__(self) -> None:
        if not self._closed and self._connection.process == current_process() and not sys.is_finalizing():
            close_left(self._connection)


def close_streams_of(owner: object) -> None:
    """Close the sync streams of an httpx client that is about to be closed, and wake the threads that read them."""
    for connection in list(_held):
        if connection.owner is owner and connection.process == current_process():
            connection.closed, connection.ready = True, False
            if connection.reading:
                break_off(connection.response)


def close_connection(connection: Connection) -> None:
    """Close the connection of a stream, from any thread. A thread that reads it is woken, and finds it closed."""
    connection.closed, connection.ready = True, False
    if connection.process != current_process():
        return
    if connection.reading:
        if connection.response.http_version == HTTP2:
            interrupt(connection.response)  # its reader closes the response
            return
        break_off(connection.response)
    close_outside_transport(partial(close_response, connection.response))


class LentBody(httpx.SyncByteStream):
    """The body of a response that its caller has taken. The connection is closed when nothing refers to either."""

    def __init__(self, body: httpx.SyncByteStream, guarding: Any) -> None:
        self._body = body
        self.guarding = guarding

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Close the body."""
        self._body.close()


class AsyncLentBody(httpx.AsyncByteStream):
    """Async version of `LentBody`."""

    def __init__(self, body: httpx.AsyncByteStream, guarding: Any) -> None:
        self._body = body
        self.guarding = guarding

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._body)

    async def aclose(self) -> None:
        """Close the body."""
        await self._body.aclose()

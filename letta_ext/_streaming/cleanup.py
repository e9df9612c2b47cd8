"""Closing of responses, wherever a stream is left.

To close a response takes the lock of its connection pool. The garbage collector, a signal handler and a generator that
is closed late can each leave a stream in the middle of the pool's own code, in the thread that has the lock already.
The stack of that thread shows it, and a thread of its own closes the response then.
"""

from __future__ import annotations

import _thread
import sys
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Final

import anyio
import httpx

from .._http.fork_safety import current_process
from .connection import Connection
from .http2_reset import HTTP2, async_reset, interrupt, reset
from .unawaited_close import break_off, close_left, close_without_await

LINGER: Final = 0.5
"""Seconds that are spent on keeping a connection when its stream has ended."""

TRANSPORTS: Final = frozenset({"httpx", "httpcore"})
"""The packages whose code runs while a lock of a connection pool is held."""


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
    _held.add(connection)


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

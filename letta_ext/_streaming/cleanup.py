"""The closing of responses when a stream is closed or garbage-collected.

Closing a response takes the lock of its connection pool. The garbage collector or a signal handler can interrupt the
code of the pool in the thread that already holds the lock. This is detected on the stack of that thread, and a new
thread closes the response instead.
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
from .unawaited_close import close_abandoned, close_without_await, shutdown_socket

DRAIN_TIMEOUT: Final = 0.5
"""Seconds to wait for the end of a body after the terminator, so that its connection can be reused."""

TRANSPORTS: Final = frozenset({"httpx", "httpcore"})
"""The packages whose code may hold the lock of a connection pool."""


_open_connections: Final[set[Connection]] = set()
"""The connections of open sync streams. Garbage collection could close the generators of a body anywhere."""


def in_transport() -> bool:
    """Return whether this thread is inside httpx or httpcore, and may hold the lock of a connection pool."""
    # Only the stack shows it: a lock does not record its holder.
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]  # a documented function
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] in TRANSPORTS:
            return True
        frame = frame.f_back
    return False


def close_outside_transport(close: Callable[[], object]) -> None:
    """Call `close` immediately, or in a new thread if this thread is inside httpx or httpcore.

    Every sync code that can interrupt the code of a connection pool closes with it.

    Args:
        close: Closes a response or a client. It may take the lock of a connection pool.
    """
    if sys.is_finalizing():
        return  # the process exit closes the sockets; Python 3.13.0 crashes if a finalizer reads frames now
    if not in_transport():
        close()
        return
    with suppress(RuntimeError):  # the interpreter shuts down, and closes the socket
        _thread.start_new_thread(_close_quietly, (close,))  # `threading` takes locks that this thread may hold


def _close_quietly(close: Callable[[], object]) -> None:
    with suppress(Exception):  # without a caller to report to
        close()


def close_response(response: httpx.Response) -> None:
    """Close a response. An HTTP/2 stream is reset first."""
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
    """Return a started generator that closes the connection when it is closed or garbage-collected."""
    close_guard = _guard(connection)
    _open_connections.add(connection)
    next(close_guard)
    return close_guard


def detach_response(connection: Connection) -> None:
    """Tie the lifetime of the connection to the response, which the caller holds."""
    _open_connections.discard(connection)


def reattach_response(connection: Connection) -> None:
    """Tie the lifetime of the connection to the iterator of the stream again."""
    _open_connections.add(connection)


def _guard(
    connection: Connection,
    is_finalizing: Callable[[], bool] = sys.is_finalizing,  # bound: the globals are None when the interpreter exits
) -> Generator[None, None, None]:
    def close() -> None:
        close_response(connection.response)
        # Last, since the generators of a closed response take no locks when they are garbage-collected.
        _open_connections.discard(connection)

    try:
        yield
    finally:
        if not is_finalizing() and connection.process == current_process():
            close_outside_transport(close)


class AsyncGuard:
    """Closes the connection of an async stream when it is closed or garbage-collected.

    It is not an async generator, which the event loop would finalize: the loop may be closed before.
    """

    _is_finalizing = staticmethod(sys.is_finalizing)  # an attribute: the globals are None when the interpreter exits

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._closed = False

    async def aclose(self) -> None:
        """Close the connection."""
        if not self._closed and self._connection.process == current_process():
            await async_close(self._connection)
        self._closed = True

    def __del__(self) -> None:
        if not self._closed and not self._is_finalizing() and self._connection.process == current_process():
            close_abandoned(self._connection)


def close_streams_of(owner: object) -> None:
    """Close the sync streams of an httpx client before it is closed, and wake the threads that read them."""
    for connection in list(_open_connections):
        if connection.owner is owner and connection.process == current_process():
            connection.closed, connection.ready = True, False
            if connection.reading:
                shutdown_socket(connection.response)


def close_connection(connection: Connection) -> None:
    """Close the connection of a stream, from any thread. A thread that reads it is woken."""
    connection.closed, connection.ready = True, False
    if connection.process != current_process():
        return
    if connection.reading:
        if connection.response.http_version == HTTP2:
            interrupt(connection.response)  # the reading thread closes the response
            return
        shutdown_socket(connection.response)
    close_outside_transport(partial(close_response, connection.response))

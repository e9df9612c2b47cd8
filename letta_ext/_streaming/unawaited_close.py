"""The closing of async streams without `await`: in finalizers, and without a running event loop.

A connection of the library's own pool is a socket, which can be closed from anywhere. A connection of an `http_client`
belongs to an event loop, which closes it if it is still running.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx

from .._iteration import can_wait, run_without_event_loop
from .chunks import own_body
from .http2_reset import async_reset

if TYPE_CHECKING:
    from .connection import Connection


def close_without_await(connection: Connection) -> bool:
    """Close the response of an async stream if that needs no `await`, or if `await` is impossible.

    Returns:
        Whether it was closed. A body that was read to its end needs `await`, which keeps its connection.
    """
    body = own_body(connection.response)
    if can_wait() and (body is None or body.is_complete):
        return False
    close_abandoned(connection)
    return True


def close_abandoned(connection: Connection) -> None:
    """Close the response of an async stream, from anywhere."""
    body = own_body(connection.response)
    if body is not None:
        body.abandon()
        run_without_event_loop(connection.response.aclose())  # does not wait
    elif not connection.response.is_closed and connection.schedule_close is not None:
        with suppress(RuntimeError):  # the event loop is closed
            connection.schedule_close(ScheduledClose(connection.response))


def shutdown_socket(response: httpx.Response) -> None:
    """Shut down the socket of a response, which wakes the thread that reads it. Closing the socket would not."""
    stream = response.extensions.get("network_stream")
    connected = stream.get_extra_info("socket") if stream is not None else None
    if connected is not None:
        with suppress(OSError):  # already closed
            if isinstance(connected, socket.socket):
                socket.socket.shutdown(connected, socket.SHUT_RDWR)  # SSLSocket.shutdown sends a TLS alert first
            else:
                connected.shutdown(socket.SHUT_RDWR)  # asyncio.TransportSocket


class ScheduledClose:
    """A response that an event loop is scheduled to close. If the loop ends first, its socket is shut down.

    Args:
        response: The response.
    """

    _is_finalizing = staticmethod(sys.is_finalizing)  # an attribute: the globals are None when the interpreter exits

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._begun = False

    async def close(self) -> None:
        """Close the response. Cancellation does not stop it."""
        self._begun = True
        with suppress(Exception), anyio.CancelScope(shield=True):  # without a caller to report to
            await async_reset(self._response)
            await self._response.aclose()

    def __del__(self) -> None:
        if not self._begun and not self._is_finalizing():
            with suppress(Exception):  # a closed connection has no socket
                shutdown_socket(self._response)


_close_tasks: Final[set[asyncio.Task[None]]] = set()
"""The asyncio tasks that close responses. An event loop does not keep them alive."""


def close_scheduler(response: httpx.Response) -> Callable[[ScheduledClose], object] | None:
    """Return a function that schedules a close in the running event loop. None for the library's own pool."""
    if own_body(response) is not None:
        return None
    if (trio := sys.modules.get("trio")) is not None and anyio.get_cancelled_exc_class() is trio.Cancelled:
        token: Any = trio.lowlevel.current_trio_token()
        spawn: Any = trio.lowlevel.spawn_system_task
        return lambda closing: token.run_sync_soon(spawn, closing.close)
    loop = asyncio.get_running_loop()

    def begin(closing: ScheduledClose) -> None:
        task = loop.create_task(closing.close())
        _close_tasks.add(task)
        task.add_done_callback(_close_tasks.discard)

    return lambda closing: loop.call_soon_threadsafe(begin, closing)

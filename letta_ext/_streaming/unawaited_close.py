"""Closing of the connections of async streams where no `await` is possible: in finalizers, without an event loop.

A connection of our own pool is a socket, which closes at once. One of an httpx client that was passed belongs to an
event loop: that one closes it, if it still runs.
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

from .._iteration import can_wait, finish
from .chunks import own_body
from .http2_reset import async_reset

if TYPE_CHECKING:
    from .connection import Connection


def close_without_await(connection: Connection) -> bool:
    """Close the response of an async stream if that takes no `await`, or if no `await` is possible.

    Returns whether it was closed. A body that was read to its end takes one: its connection is kept.
    """
    body = own_body(connection.response)
    if can_wait() and (body is None or body.is_complete):
        return False
    close_left(connection)
    return True


def close_left(connection: Connection) -> None:
    """Close the response of an async stream, from anywhere."""
    body = own_body(connection.response)
    if body is not None:
        body.abandon()
        finish(connection.response.aclose())  # nothing is left to wait for
    elif not connection.response.is_closed and connection.hand_over is not None:
        with suppress(RuntimeError):  # the event loop is closed
            connection.hand_over(Closing(connection.response))


def break_off(response: httpx.Response) -> None:
    """Wake a thread that reads a response. Closing a socket would leave it waiting until something comes."""
    stream = response.extensions.get("network_stream")
    connected = stream.get_extra_info("socket") if stream is not None else None
    if connected is not None:
        with suppress(OSError):  # it may be closed already
            if isinstance(connected, socket.socket):
                socket.socket.shutdown(connected, socket.SHUT_RDWR)  # TLS has a `shutdown` that says goodbye first
            else:
                connected.shutdown(socket.SHUT_RDWR)  # asyncio's stand-in for a socket


class Closing:
    """The closing of a response by an event loop. One that ends before it gets to it leaves the connection broken.

    Args:
        response: The response.
    """

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._begun = False

    async def close(self) -> None:
        """Close the response. Cancellation does not stop it."""
        self._begun = True
        with suppress(Exception), anyio.CancelScope(shield=True):  # no caller is left to be told
            await async_reset(self._response)
            await self._response.aclose()

    def __del__(self) -> None:
        if not self._begun and not sys.is_finalizing():
            with suppress(Exception):  # a connection that is gone has no socket to be asked for
                break_off(self._response)


_closing: Final[set[asyncio.Task[None]]] = set()
"""The tasks of asyncio that close responses: an event loop does not keep them alive."""


def running_loop(response: httpx.Response) -> Callable[[Closing], object] | None:
    """Return what has the running event loop close a response, from any thread; None for one of our own pool."""
    if own_body(response) is not None:
        return None
    if (trio := sys.modules.get("trio")) is not None and anyio.get_cancelled_exc_class() is trio.Cancelled:
        token: Any = trio.lowlevel.current_trio_token()
        spawn: Any = trio.lowlevel.spawn_system_task
        return lambda closing: token.run_sync_soon(spawn, closing.close)
    loop = asyncio.get_running_loop()

    def begin(closing: Closing) -> None:
        task = loop.create_task(closing.close())
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    return lambda closing: loop.call_soon_threadsafe(begin, closing)

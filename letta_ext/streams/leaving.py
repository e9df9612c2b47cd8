"""Closing what a stream reads, by whatever way, and in whatever place, it was left.

Sync code leaves a stream at once: the generator behind the loop is closed, and with it the response. Only a generator
that its user made part of a reference cycle is left to the garbage collector, which may run anywhere: also inside the
connection pool, whose lock closing a response would then wait for forever. So what the collector finds is closed in a
thread of its own, and as long as a stream is read, all that it reads with is held here: it would be closed one by one
otherwise.
"""

from __future__ import annotations

import _thread
import atexit
import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, Literal

import httpx
from attrs import define


@define(eq=False)
class Connection:
    """The response that a stream reads; another one after it was resumed.

    Attributes:
        response: the response.
        chunks: its body, as far as it was not read.
        lent: whether the caller has taken the response, and nobody goes over the events: then it is theirs to close.
        closed: whether the stream was closed.
    """

    response: httpx.Response
    chunks: Iterator[bytes] | None = None
    lent: bool = False
    closed: bool = False


ONE_STREAM: Final = "HTTP/1.1"
"""The protocol whose connections carry one stream at a time; those of HTTP/2 carry others besides."""

_held: Final[set[Connection]] = set()
_collecting: Final[set[int]] = set()
"""The threads in which the garbage collector is at work."""


def _watch(phase: Literal["start", "stop"], _: dict[str, Any]) -> None:
    (_collecting.add if phase == "start" else _collecting.discard)(threading.get_ident())


gc.callbacks.append(_watch)


def hold(connection: Connection) -> None:
    """Keeps a connection from the garbage collector until it is left."""
    _held.add(connection)


def forget() -> None:
    """Lets go of all connections, in a process that was forked off: its parent has them."""
    _held.clear()
    _collecting.clear()


@atexit.register
def leave_all() -> None:
    """Closes what is still being read when the program ends: what is closed later runs in an interpreter half gone."""
    for connection in list(_held):
        with suppress(Exception):  # whoever reads it in another thread may be closing it too
            _close(connection)


def leave(connection: Connection) -> None:
    """Closes what a stream has read."""
    if connection not in _held:
        return
    if threading.get_ident() in _collecting:
        with suppress(RuntimeError):  # the program ends, and the connection with it
            _thread.start_new_thread(_close, (connection,))  # `threading` takes locks that may be held here
    else:
        _close(connection)


def _close(connection: Connection) -> None:
    try:
        if not connection.lent:
            connection.response.close()
    finally:
        connection.chunks = None
        _held.discard(connection)


def break_off(response: httpx.Response) -> None:
    """Wakes a thread that reads a response: merely closing a socket would leave it waiting until something comes."""
    stream = response.extensions.get("network_stream")
    connected = stream.get_extra_info("socket") if stream is not None else None
    if connected is not None and response.http_version == ONE_STREAM:
        with suppress(OSError):  # it may be closed already
            socket.socket.shutdown(connected, socket.SHUT_RDWR)  # TLS has a `shutdown` that says goodbye first

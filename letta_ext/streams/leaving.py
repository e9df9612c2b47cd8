"""Closing of responses, wherever a stream is left.

To close a response takes the lock of its connection pool. The garbage collector, a signal handler and a generator that
is closed late can each leave a stream in the middle of the pool's own code, in the thread that has the lock already.
The stack of that thread shows it, and a thread of its own closes the response then.
"""

from __future__ import annotations

import _thread
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Final

import httpx
from attrs import define

from ..fork_safety import after_fork


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

TRANSPORTS: Final = frozenset({"httpx", "httpcore"})
"""The packages whose code runs while a lock of a connection pool is held."""

_held: Final[set[Connection]] = set()


def in_transport() -> bool:
    """Return whether this thread is inside httpx or httpcore, and so may hold a lock of a connection pool."""
    frame: FrameType | None = sys._getframe(1)  # the stack is all that tells it: the locks do not name their holder
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
    if not in_transport():
        close()
        return
    with suppress(RuntimeError):  # the interpreter ends, and closes the socket
        _thread.start_new_thread(_close_quietly, (close,))  # `threading` takes locks that may be held here


def _close_quietly(close: Callable[[], object]) -> None:
    with suppress(Exception):  # no caller is left to be told
        close()


def hold(connection: Connection) -> None:
    """Keep a connection from the garbage collector until it is left.

    The collector would close the generators that read a body one by one, in any place, without `leave`.
    """
    _held.add(connection)


def forget() -> None:
    """Release all connections, in a process that was forked off: its parent has them."""
    _held.clear()


after_fork(forget)


def leave(connection: Connection) -> None:
    """Close the response that a stream has read. May be called again."""
    if connection in _held:
        close_outside_transport(partial(_close, connection))


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

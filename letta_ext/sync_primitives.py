"""What the sync modules do otherwise than the async ones. `async_primitives.py` has the same names for async code."""

from __future__ import annotations

import _thread
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextvars import copy_context
from functools import partial
from inspect import GEN_CLOSED, getgeneratorstate
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import httpx

from ._http.concurrency import acquire_slot as acquire_slot
from ._http.content_encoding import ContentDecoder
from ._http.sync_sockets import NetworkBackend as NetworkBackend
from ._http.sync_sockets import NetworkStream as NetworkStream
from ._http.transport_errors import suppress_transport_errors
from ._iteration import ALREADY_ITERATED
from ._streaming.call_options import check_open
from ._streaming.cleanup import DRAIN_TIMEOUT, close_outside_transport, close_response, close_streams_of
from ._streaming.cleanup import close_connection as close_connection
from ._streaming.cleanup import detach_response as detach_response
from ._streaming.cleanup import guard as guard
from ._streaming.cleanup import reattach_response as reattach_response
from ._streaming.connection import Connection
from ._streaming.http2_reset import HTTP2
from .errors import LettaError

if TYPE_CHECKING:
    from letta_api.models import ToolCall

    from .tools.tool import ToolRegistry, ToolRun

IS_ASYNC: Final = False

RELEASED: Final[tuple[type[BaseException], ...]] = ()
"""What is raised in code that is released before its end: a function always comes to its end."""

LONGEST_WAIT: Final = 1.0
"""Seconds after which a thread that waits looks again whether there is anything to wait for."""

check_usable = check_open

T = TypeVar("T")


def is_finished(items: Any) -> bool:
    """Return whether a generator has ended."""
    return getgeneratorstate(items) == GEN_CLOSED


class AutoClosing:
    """An iterator whose generator ends when nothing refers to it any more, as all sync generators do."""


class BackgroundWork(Generic[T]):
    """Work that another thread does meanwhile. It does not keep the program from ending.

    `threading.Thread` waits for its beginning under a lock, and raises RuntimeError if a signal handler raises then.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._value: list[T] = []
        self._fault: BaseException | None = None
        self._over = False
        self._running = _thread.allocate_lock()
        self._running.acquire()
        _thread.start_new_thread(copy_context().run, (self._do,))

    def _do(self) -> None:
        try:
            self._value.append(self._work())
        except BaseException as fault:  # noqa: BLE001  # raised where the result is wanted
            self._fault = fault
        finally:
            self._over = True
            self._running.release()

    @property
    def is_running(self) -> bool:
        """Whether the work goes on after `result` was interrupted."""
        return not self._over

    def result(self) -> T:
        """Wait for the work, and return or raise what came of it. May be called again after an interruption."""
        while not self._over:  # the lock may stay taken where a signal handler raised in another thread's call
            if self._running.acquire(timeout=LONGEST_WAIT):
                self._running.release()
        if self._fault is not None:
            raise self._fault
        return self._value[0]

    def leave(self) -> None:
        """Do not wait for the work: a thread cannot be ended."""


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def maybe_await(value: Any) -> Any:
    """Return what a function returned."""
    return value


class ExclusiveIteration:
    """Lets one loop at a time go over an object."""

    def __init__(self) -> None:
        self._entered = False

    def enter(self) -> None:
        """Begin a loop.

        Raises:
            LettaError: If another one has begun and was not left.
        """
        if self._entered:
            raise LettaError(ALREADY_ITERATED)
        self._entered = True

    def leave(self) -> None:
        """End the loop."""
        self._entered = False


def run_tools(
    box: ToolRegistry, calls: Sequence[ToolCall], starting: Callable[[ToolCall], Callable[[ToolRun], object]]
) -> None:
    """Run the tools of some calls one after the other.

    Args:
        box: The tools.
        calls: The calls.
        starting: Is told that a call begins; returns a function that is given what became of it.
    """
    from .tools.tool import run_tool

    for call in calls:
        record = starting(call)
        record(run_tool(box, call))


def event_loop_library() -> object:
    """Return None: there is no event loop."""
    return None


def close_http(http: httpx.Client) -> None:
    """Close an httpx client, and wake the threads that read its streams."""
    close_streams_of(http)
    http.close()


def close_unread(response: httpx.Response) -> None:
    """Close the response of a call, from anywhere."""
    close_outside_transport(response.close)


def chunks(stream: httpx.SyncByteStream) -> Iterator[bytes]:
    """Return the chunks of a body."""
    return iter(stream)


def decoded(found: Iterator[bytes], decoder: ContentDecoder) -> Iterator[bytes]:
    """Return chunks, decompressed."""
    for chunk in found:
        yield from decoder.decode(chunk)
    yield from decoder.flush()


def connected(response: httpx.Response, owner: object) -> Connection:
    """Return the connection of a stream."""
    return Connection(response, owner)


def close_interrupted(connection: Connection) -> None:
    """Close a connection that was lost while it was read. The stream may go on with another one."""
    close_outside_transport(partial(close_response, connection.response))


def end_reading(connection: Connection, close_guard: Generator[None, None, None]) -> None:
    """Close the connection that an iterator reads, from any thread. Another one that reads may use the guard."""
    close_connection(connection)


def release(connection: Connection) -> None:
    """Read what is left behind the end of a stream, so that its connection can be used again.

    That is a few bytes which mostly are there already. A server that keeps the body open costs the connection, not
    the caller's time.
    """
    response = connection.response
    if response.is_closed or response.http_version == HTTP2:
        return  # where a hook of the caller has read the body, the connection may answer another request by now
    since = time.monotonic()
    extensions = response.request.extensions
    # httpx reads the timeout when iterating begins: the stream is iterated anew so that DRAIN_TIMEOUT counts.
    extensions["timeout"] = {**extensions.get("timeout", {}), "read": DRAIN_TIMEOUT}
    with suppress_transport_errors(response.request):
        for _ in cast(httpx.SyncByteStream, response.stream):
            if time.monotonic() - since > DRAIN_TIMEOUT:
                return

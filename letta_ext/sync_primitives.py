"""The differences of sync code from async code. `async_primitives.py` has the same names for async code."""

from __future__ import annotations

import _thread
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
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
"""Exceptions raised in code that is closed before its end. Functions always run to their end."""

LONGEST_WAIT: Final = 1.0
"""Seconds after which a waiting thread checks its condition again."""

check_usable = check_open

T = TypeVar("T")


def is_finished(items: Any) -> bool:
    """Return whether a generator has ended."""
    return getgeneratorstate(items) == GEN_CLOSED


class Closing:
    """An object with a connection, which `contextlib.closing` closes as well."""

    def close(self) -> None:
        """Close the connection."""
        raise NotImplementedError


class AutoClosing:
    """An iterator whose generator is closed when it is garbage-collected, as for all sync generators."""


class BackgroundWork(Generic[T]):
    """A function that runs in a daemon thread.

    `threading.Thread` waits for its start under a lock, and raises RuntimeError if a signal handler raises meanwhile.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._value: list[T] = []
        self._fault: BaseException | None = None
        self._done = False
        self._running = _thread.allocate_lock()
        self._running.acquire()
        _thread.start_new_thread(copy_context().run, (self._run,))

    def _run(self) -> None:
        try:
            self._value.append(self._work())
        except BaseException as error:  # noqa: BLE001  # raised by `result`
            self._fault = error
        finally:
            self._done = True
            self._running.release()

    @property
    def is_running(self) -> bool:
        """Whether the function still runs after `result` was interrupted."""
        return not self._done

    def result(self) -> T:
        """Wait for the function, and return its result or raise its exception. May be called again if interrupted."""
        while not self._done:  # a signal handler that raises in another call can leave the lock taken
            if self._running.acquire(timeout=LONGEST_WAIT):
                self._running.release()
        if self._fault is not None:
            raise self._fault
        return self._value[0]

    def cancel(self) -> None:
        """Do nothing: a thread cannot be cancelled."""


def sleep(seconds: float) -> None:
    """Sleep for some seconds."""
    time.sleep(seconds)


def take_turns() -> None:
    """Do nothing: the interpreter lets other threads run."""


def uninterrupted(seconds: float) -> AbstractContextManager[None]:
    """Return a context manager without effect: nothing cancels a thread."""
    return nullcontext()


def maybe_await(value: Any) -> Any:
    """Return the result of a function."""
    return value


class ExclusiveIteration:
    """A guard that permits one iteration of an object at a time."""

    def __init__(self) -> None:
        self._entered = False

    def enter(self) -> None:
        """Begin an iteration.

        Raises:
            LettaError: If another iteration has not ended.
        """
        if self._entered:
            raise LettaError(ALREADY_ITERATED)
        self._entered = True

    def leave(self) -> None:
        """End the iteration."""
        self._entered = False


def run_tools(
    box: ToolRegistry, calls: Sequence[ToolCall], starting: Callable[[ToolCall], Callable[[ToolRun], object]]
) -> None:
    """Run the tools of some calls one after the other.

    Args:
        box: The tools.
        calls: The tool calls.
        starting: A callback for the start of a call. It returns a callback for the result.
    """
    from .tools.tool import run_tool

    for call in calls:
        record = starting(call)
        record(run_tool(box, call))


def event_loop_library() -> object:
    """Return None: sync code has one kind of connection."""
    return None


def close_http(http: httpx.Client) -> None:
    """Close an httpx client, and wake the threads that read its streams."""
    close_streams_of(http)
    http.close()


def close_unread(response: httpx.Response) -> None:
    """Close the response of a call, from any thread."""
    close_outside_transport(response.close)


def chunks(stream: httpx.SyncByteStream) -> Iterator[bytes]:
    """Return the chunks of a body."""
    return iter(stream)


def decoded(raw_chunks: Iterator[bytes], decoder: ContentDecoder) -> Iterator[bytes]:
    """Yield the decompressed chunks."""
    for chunk in raw_chunks:
        yield from decoder.decode(chunk)
    yield from decoder.flush()


def connected(response: httpx.Response, owner: object) -> Connection:
    """Return the connection of a stream."""
    return Connection(response, owner)


def close_interrupted(connection: Connection) -> None:
    """Close an interrupted connection. The stream may resume on another one."""
    close_outside_transport(partial(close_response, connection.response))


def end_reading(connection: Connection, close_guard: Generator[None, None, None]) -> None:
    """Close the connection that an iterator reads, from any thread. Another iterator may use the guard."""
    close_connection(connection)


def release(connection: Connection) -> None:
    """Read the rest of the body after the terminal event, so that the connection can be reused.

    The rest is a few bytes, usually received already. If the server keeps the body open, the connection is closed after
    `DRAIN_TIMEOUT` seconds.
    """
    response = connection.response
    if response.is_closed or response.http_version == HTTP2:
        return  # if a hook has read the body, another request may use the connection
    since = time.monotonic()
    extensions = response.request.extensions
    # httpx reads the timeout at the start of an iteration, so a new iteration applies DRAIN_TIMEOUT.
    extensions["timeout"] = {**extensions.get("timeout", {}), "read": DRAIN_TIMEOUT}
    with suppress_transport_errors(response.request):
        for _ in cast(httpx.SyncByteStream, response.stream):
            if time.monotonic() - since > DRAIN_TIMEOUT:
                return

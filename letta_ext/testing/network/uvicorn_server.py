"""An HTTP server that stops immediately, closes everything, and can refuse connections for some time."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from typing import Any

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from .. import arguments
from ..api import specification
from ..scenarios.builtin import Scenario
from .connection import Connection, Connections
from .fault_middleware import inject_faults
from .protocol import make_protocol
from .request_log import Received, RequestLog, check_conformance, record_requests

BACKLOG = 2048

_ACCEPT_BATCH = 100
"""Maximum number of connections accepted in one iteration of the event loop."""

_ACCEPT_RETRY_DELAY = 0.1
"""Delay before accepting again after the process has run out of file descriptors [s]."""

_GRACE_TURNS = 10
"""Number of loop iterations in which a task that makes a connection of an accepted socket finishes. It takes four."""


def check_host(host: object) -> None:
    """Validate a host to listen on. An empty host would be every address of the machine.

    Raises:
        TypeError: If it is not a str.
        ValueError: If it is empty or has invalid characters.
    """
    if not isinstance(host, str):
        raise TypeError(f"host must be a str, got {arguments.short_repr(host)}")
    if not re.fullmatch(r"[0-9A-Za-z._:%-]+", host):
        remedy = "an address or a name, such as 127.0.0.1; 0.0.0.0 listens on every interface"
        raise ValueError(f"host must be {remedy}, got {arguments.short_repr(host)}")


def check_port(port: object) -> None:
    """Validate a port to listen on.

    Raises:
        TypeError: If it is not an int.
        ValueError: If it is not between 0 and 65535.
    """
    arguments.integer("port", port, 0, 65535)


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket. Port 0 selects a free port.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If the host or the port is invalid.
        OSError: If the port is in use, or the host is not an address of this machine.
    """
    check_host(host)
    check_port(port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without IPPROTO_TCP asyncio leaves Nagle's algorithm on, and every response takes 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # there, the option allows two servers on one port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except UnicodeError:
        bound.close()
        raise ValueError(f"host must be an address or a name, got {arguments.short_repr(host)}") from None
    except BaseException:
        bound.close()
        raise
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server:
    """One run of the server: an application with its middleware on a socket.

    It uses only uvicorn's protocol: uvicorn's own server waits for clients when it stops, and leaves connections open.

    Args:
        app: The application.
        scenario: The scenario of the application, with its faults.
        requests: The request log.
        check: Whether to validate requests and responses against the specification.
        on_request: Called with each request after its response.

    Attributes:
        loop: The event loop of the server. None before `run`.
        started: Whether the server has started to listen.
    """

    def __init__(
        self,
        app: ASGIApp,
        scenario: Scenario,
        requests: RequestLog,
        *,
        check: bool,
        on_request: Callable[[Received], None] | None = None,
    ) -> None:
        if check:
            app = check_conformance(app, specification.load(), requests=scenario.state.documented is None)
        self._config = Config(
            record_requests(inject_faults(app, scenario.faults, scenario.state, self), requests, on_request),
            interface="asgi3",
            proxy_headers=False,  # the client address is that of the connection
            log_config=None,  # otherwise uvicorn configures the logging of the process
            log_level="critical",
            lifespan="off",
            access_log=False,
            ws="none",
        )
        self.loop: asyncio.AbstractEventLoop | None = None
        self.started = False
        self._connections = Connections()
        self._protocol = make_protocol(self._connections)
        self._state = ServerState()
        self._scenario = scenario
        self._stopping = False
        self._stop_requested = asyncio.Event()
        self._address: tuple[str, int] = ("", 0)
        self._bound: socket.socket | None = None
        self._placeholder: socket.socket | None = None
        self._connecting: set[asyncio.Task[None]] = set()

    def run(self, bound: socket.socket) -> None:
        """Serve on a bound socket until `stop`, in a new event loop. Everything is closed at the end.

        Args:
            bound: The socket. It is closed as well.
        """
        # Set explicitly, because accepting uses a selector and the host may have set another event loop policy.
        with bound, asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve(bound))

    def stop(self) -> None:
        """Request a stop, from any thread or from a signal handler."""
        self._stopping = True
        if self.loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the server has stopped
                self.loop.call_soon_threadsafe(self._stop_requested.set)

    def shut(self, keep: Connection | None = None) -> None:
        """Refuse new connections, and close all open ones except for one."""
        if self._bound is None:
            return
        self._unlisten()
        # A bound socket that does not listen refuses connections and reserves the port.
        self._placeholder = listen(*self._address)
        self._connections.close(keep)

    def open(self) -> None:
        """Accept connections again."""
        if self._placeholder is not None and not self._stopping:
            holder, self._placeholder = self._placeholder, None
            self._listen(holder)

    def open_after(self, seconds: float) -> None:
        """Accept connections again after a delay [s]."""
        asyncio.get_running_loop().call_later(seconds, self._reopen)

    def _reopen(self) -> None:
        self.open()
        self._scenario.faults.refuse_if_due()

    async def _serve(self, bound: socket.socket) -> None:
        self.loop = asyncio.get_running_loop()
        self._config.load()
        host, port = bound.getsockname()[:2]
        self._address = (str(host), int(port))
        try:
            self._listen(bound)
            self.started = True
            while not self._stopping:
                date = (b"date", formatdate(usegmt=True).encode())
                self._state.default_headers = [date, *self._config.encoded_headers]
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop_requested.wait(), 1)
        finally:
            await self._close_all()

    def _listen(self, bound: socket.socket) -> None:
        self._bound = bound
        bound.listen(BACKLOG)
        bound.setblocking(False)
        asyncio.get_running_loop().add_reader(bound, self._accept, bound)

    def _unlisten(self) -> None:
        """Stop listening, even if a forked process holds the socket."""
        bound, self._bound = self._bound, None
        if bound is not None:
            asyncio.get_running_loop().remove_reader(bound)
            with suppress(OSError):
                bound.shutdown(socket.SHUT_RDWR)
            bound.close()

    # asyncio's own server leaks accepted sockets that do not have a transport yet when it is closed.
    def _accept(self, bound: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_ACCEPT_BATCH):
            try:
                accepted, _ = bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # too many open files: the client waits in the backlog
                loop.remove_reader(bound)
                loop.call_later(_ACCEPT_RETRY_DELAY, self._accept_again, bound)
                return
            task = loop.create_task(self._connect(accepted, bound))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    def _accept_again(self, bound: socket.socket) -> None:
        if bound is self._bound:
            asyncio.get_running_loop().add_reader(bound, self._accept, bound)

    async def _connect(self, accepted: socket.socket, bound: socket.socket) -> None:
        def made() -> asyncio.Protocol:
            return self._protocol(config=self._config, server_state=self._state, app_state={})

        accepted.setblocking(False)
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(made, accepted)
        if bound is not self._bound:  # the server has stopped listening
            transport.abort()

    async def _close_all(self) -> None:
        """Close everything. An event loop that ends earlier leaves open sockets to the garbage collector."""
        self._unlisten()
        turns, seen, cancelled = 0, set[asyncio.Task[Any]](), set[asyncio.Task[Any]]()
        while (tasks := asyncio.all_tasks() - {asyncio.current_task()}) or self._connections:
            self._connections.close()
            # A task that is cancelled before its first step cannot clean up, for example close a socket.
            # Tasks of other owners, such as a script's, have some time to finish.
            own_tasks = {*self._state.tasks, *self._scenario.state.tasks}
            to_cancel = seen & (own_tasks if turns < _GRACE_TURNS else tasks) - self._connecting - cancelled
            for task in to_cancel:
                task.cancel()
            cancelled |= to_cancel
            seen = tasks
            await asyncio.sleep(0 if turns < _GRACE_TURNS else 0.001)
            turns += 1
        if self._placeholder is not None:
            self._placeholder.close()

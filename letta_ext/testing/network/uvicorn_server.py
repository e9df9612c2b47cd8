"""A server of HTTP that stops at once, leaves nothing open, and refuses connections for a while."""

from __future__ import annotations

import asyncio
import re
import socket
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
from .connection import Line, Lines
from .fault_middleware import faulty
from .protocol import protocol
from .request_log import Received, RequestLog, checked, recorded

BACKLOG = 2048

_AT_ONCE = 100
"""How many connections are accepted in one turn of the loop."""

_FULL = 0.1
"""How long no connection is accepted where the process has too many files open (seconds)."""

_TURNS = 10
"""In how many turns of the loop a task ends by itself that makes a connection of an accepted socket. It takes four."""


def check_host(host: object) -> None:
    """Refuse a host to listen on that is not one. An empty host would be every address of the machine.

    Raises:
        TypeError: If it is not a str.
        ValueError: If it is empty, or has characters that a host cannot have.
    """
    if not isinstance(host, str):
        raise TypeError(f"host must be a str, got {arguments.shown(host)}")
    if not re.fullmatch(r"[0-9A-Za-z._:%-]+", host):
        remedy = "an address or a name, such as 127.0.0.1; 0.0.0.0 listens on every interface"
        raise ValueError(f"host must be {remedy}, got {arguments.shown(host)}")


def check_port(port: object) -> None:
    """Refuse a port to listen on that is not one.

    Raises:
        TypeError: If it is not an int.
        ValueError: If it is not between 0 and 65535.
    """
    arguments.whole("port", port, 0, 65535)


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 takes a free one.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If the host or the port is not one.
        OSError: If the port is taken, or the host is not of this machine.
    """
    check_host(host)
    check_port(port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said to be TCP, or asyncio leaves Nagle's algorithm on and every answer takes 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except UnicodeError:
        bound.close()
        raise ValueError(f"host must be an address or a name, got {arguments.shown(host)}") from None
    except BaseException:
        bound.close()
        raise
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the URL under which a bound socket is reached."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server:
    """One run of a server: its application, with all that stands around it, on a socket.

    uvicorn has the protocol; its own server would wait for clients when it stops, and leave connections open.

    Args:
        app: what it serves.
        stage: what that application holds, and the faults that happen to it.
        requests: where requests are remembered.
        check: whether requests and answers are held against the specification.
        tell: what is told of each request when it is through.

    Attributes:
        loop: The event loop it runs in; None before it runs.
        started: Whether it listens, or has listened.
    """

    def __init__(
        self,
        app: ASGIApp,
        stage: Scenario,
        requests: RequestLog,
        *,
        check: bool,
        tell: Callable[[Received], None] | None = None,
    ) -> None:
        if check:
            app = checked(app, specification.load(), requests=stage.state.documented is None)
        self._config = Config(
            recorded(faulty(app, stage.faults, stage.state, self), requests, tell),
            interface="asgi3",
            proxy_headers=False,  # a client is where its connection comes from
            log_config=None,  # or the logging of the whole process is configured
            log_level="critical",
            lifespan="off",
            access_log=False,
            ws="none",
        )
        self.loop: asyncio.AbstractEventLoop | None = None
        self.started = False
        self._lines = Lines()
        self._protocol = protocol(self._lines)
        self._state = ServerState()
        self._stage = stage
        self._stopping = False
        self._told = asyncio.Event()
        self._address: tuple[str, int] = ("", 0)
        self._bound: socket.socket | None = None
        self._holder: socket.socket | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._opening: set[asyncio.Task[None]] = set()

    def run(self, bound: socket.socket) -> None:
        """Serve on a bound socket until told to stop, in an event loop of its own. All is closed at the end.

        Args:
            bound: The socket. It is closed too.
        """
        # Whatever policy the host has set: connections are accepted by means of a selector.
        with bound, asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve(bound))

    def stop(self) -> None:
        """Tell it to stop, from any thread, and from a handler of signals."""
        self._stopping = True
        if self.loop is not None:
            with suppress(RuntimeError):  # the loop is closed: it has stopped
                self.loop.call_soon_threadsafe(self._told.set)

    def shut(self, spare: Line | None = None) -> None:
        """Refuse new connections, and close all but one."""
        if self._bound is None:
            return
        self._unlisten()
        # Bound and not listening: connections are refused, and nobody else takes the port.
        self._holder = listen(*self._address)
        self._lines.close(spare)

    def open(self) -> None:
        """Let connections in again."""
        if self._holder is not None and not self._stopping:
            holder, self._holder = self._holder, None
            self._listen(holder)

    def open_after(self, seconds: float) -> None:
        """Let connections in again after so many seconds."""

        async def opening() -> None:
            await asyncio.sleep(seconds)
            self.open()
            self._stage.faults.turn()

        task = asyncio.ensure_future(opening())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

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
                    await asyncio.wait_for(self._told.wait(), 1)
        finally:
            await self._end()

    def _listen(self, bound: socket.socket) -> None:
        self._bound = bound
        bound.listen(BACKLOG)
        bound.setblocking(False)
        asyncio.get_running_loop().add_reader(bound, self._accept, bound)

    def _unlisten(self) -> None:
        """Stop listening, also where a process that was forked meanwhile still has the socket."""
        bound, self._bound = self._bound, None
        if bound is not None:
            asyncio.get_running_loop().remove_reader(bound)
            with suppress(OSError):
                bound.shutdown(socket.SHUT_RDWR)
            bound.close()

    # asyncio's own server drops the sockets unclosed that it has accepted, and not yet made connections of, when it is
    # closed.
    def _accept(self, bound: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # too many open files; the client waits in the backlog
                loop.remove_reader(bound)
                loop.call_later(_FULL, self._accept_again, bound)
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
        if bound is not self._bound:  # it listens no more
            transport.abort()

    async def _end(self) -> None:
        """Close everything. An event loop that ends earlier leaves sockets to the garbage collector."""
        self._unlisten()
        turns, seen, cancelled = 0, set[asyncio.Task[Any]](), set[asyncio.Task[Any]]()
        while (tasks := asyncio.all_tasks() - {asyncio.current_task()}) or self._lines:
            self._lines.close()
            # A task that is cancelled before it has begun has no chance to set things right, such as to close a socket.
            # Tasks that this server did not make, such as a script's, have some time to end by themselves.
            own = {*self._state.tasks, *self._stage.state.tasks, *self._opening}
            doomed = seen & (own if turns < _TURNS else tasks) - self._connecting - cancelled
            for task in doomed:
                task.cancel()
            cancelled |= doomed
            seen = tasks
            await asyncio.sleep(0 if turns < _TURNS else 0.001)
            turns += 1
        if self._holder is not None:
            self._holder.close()

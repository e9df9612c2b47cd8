"""uvicorn, made to stop at once, to refuse connections for a while, and to put a line under each connection."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from . import arguments, document
from .faulty import faulty
from .line import Lines, protocol
from .scenes import Stage
from .traffic import Received, RequestLog, checked, recorded

BACKLOG = 2048


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


def _close(listener: asyncio.Server) -> None:
    """Stop listening, also where a process that was forked meanwhile still has the socket."""
    for bound in listener.sockets:
        with suppress(OSError):
            bound.shutdown(socket.SHUT_RDWR)
    listener.close()


class Server(uvicorn.Server):
    """One run of a server: its application, with all that stands around it, on a socket.

    uvicorn's own looks ten times a second whether it shall stop, and then waits for clients; this one stops at once.

    Args:
        app: what it serves.
        stage: what that application holds, and the faults that happen to it.
        requests: where requests are remembered.
        check: whether requests and answers are held against the specification.
        tell: what is told of each request when it is through.
    """

    def __init__(
        self,
        app: ASGIApp,
        stage: Stage,
        requests: RequestLog,
        *,
        check: bool,
        tell: Callable[[Received], None] | None = None,
    ) -> None:
        self._lines = Lines()
        if check:
            app = checked(app, document.load(), requests=stage.state.documented is None)
        app = recorded(faulty(app, stage.faults, self._lines, stage.state, self), requests, tell)
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol(self._lines),
                loop="asyncio",
                log_config=None,  # or the logging of the whole process is configured
                log_level="critical",
                lifespan="off",
                access_log=False,
                ws="none",
            )
        )
        self.loop: asyncio.AbstractEventLoop | None = None
        self._faults = stage.faults
        self._told = asyncio.Event()
        self._address: tuple[str, int] = ("", 0)
        self._holder: socket.socket | None = None
        self._opening: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen on these sockets."""
        self.loop = asyncio.get_running_loop()
        for bound in sockets or []:
            host, port = bound.getsockname()[:2]
            self._address = (str(host), int(port))
        await super().startup(sockets)

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 10  # a second's worth, after which uvicorn renews the Date header
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close everything."""
        for listener in self.servers:
            _close(listener)
        for bound in sockets or []:
            bound.close()
        if self._holder is not None:
            self._holder.close()
        tasks = [*self.server_state.tasks, *self._opening]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._lines.close()
        # A loop that ends before it has closed them leaves their sockets to the garbage collector.
        await self._lines.closed()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop because of a signal."""
        super().handle_exit(sig, frame)
        self.stop()

    def stop(self) -> None:
        """Tell it to stop, from any thread."""
        self.should_exit = True
        if self.loop is not None:
            with suppress(RuntimeError):  # the loop is closed: it has stopped
                self.loop.call_soon_threadsafe(self._told.set)

    def shut(self, spare: object = None) -> None:
        """Refuse new connections, and close all but the one to this client."""
        if self._holder is not None:
            return
        for listener in self.servers:
            _close(listener)
        self.servers.clear()
        # Bound and not listening: connections are refused, and nobody else takes the port.
        self._holder = listen(*self._address)
        self._lines.close(spare)

    async def open(self) -> None:
        """Let connections in again."""
        if self._holder is None or self.should_exit:
            return
        holder, self._holder = self._holder, None
        # As uvicorn makes them itself; its configuration is loaded since it listens.
        made: Callable[[], asyncio.Protocol] = partial(
            protocol(self._lines),
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        listener = await asyncio.get_running_loop().create_server(made, sock=holder, backlog=BACKLOG)
        self.servers.append(listener)

    def open_after(self, seconds: float) -> None:
        """Let connections in again after so many seconds."""

        async def opening() -> None:
            await asyncio.sleep(seconds)
            await self.open()
            self._faults.turn()

        task = asyncio.ensure_future(opening())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

"""A server on a real socket, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette

from .app import create_app
from .scenes import Scene, Stage
from .state import State

_PATIENCE = 10.0


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said to be TCP, or asyncio leaves Nagle's algorithm on and every answer takes 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the URL under which a bound socket is reached."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """A server that stops at once: uvicorn's own looks ten times a second whether it shall, and waits for clients."""

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        self._loop = asyncio.get_running_loop()
        self._told = asyncio.Event()
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 10  # a second's worth, after which uvicorn renews the Date header
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close everything."""
        for listener in self.servers:
            listener.close()
        for bound in sockets or []:
            bound.close()
        for task in self.server_state.tasks:
            task.cancel()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.shutdown()

    def stop(self) -> None:
        """Tell it to stop, from another thread."""
        self.should_exit = True
        self._loop.call_soon_threadsafe(self._told.set)


class EmbeddedServer:
    """A Letta on loopback: no model, no database, nothing to install but the ``testing`` extra.

    Use it as a context manager::

        with EmbeddedServer() as server:
            client = Letta(base_url=server.base_url)
            client.conversations.messages.create(server.conversation_id, input="hello")

    Args:
        scene: what it holds: a scene's name, or one that :func:`build` set.
        host: where to listen.
        port: the port; 0 takes a free one.
        delay: seconds to wait before each token.
    """

    def __init__(
        self, scene: Scene | Stage = "default", *, host: str = "127.0.0.1", port: int = 0, delay: float = 0.0
    ) -> None:
        self.app: Starlette = create_app(scene)
        self._stage: Stage = self.app.state.stage
        self._stage.state.delay = delay
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> State:
        """The server's memory, with its script, its clock and its settings."""
        return self._stage.state

    @property
    def agent_id(self) -> str:
        """The scene's agent."""
        return self._stage.agent_id

    @property
    def conversation_id(self) -> str:
        """The scene's conversation."""
        return self._stage.conversation_id

    @property
    def base_url(self) -> str:
        """Where the server listens.

        Raises:
            RuntimeError: it was not started.
        """
        if self._socket is None:
            raise RuntimeError("the embedded server is not running; use it in a with statement")
        return url_of(self._socket)

    def start(self) -> Self:
        """Start listening.

        Raises:
            OSError: the port is taken.
            RuntimeError: the server did not come up.
        """
        self._socket = listen(self._host, self._port)
        config = uvicorn.Config(self.app, log_level="critical", lifespan="off", access_log=False)
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _PATIENCE
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the embedded server did not start")
            time.sleep(0.001)
        return self

    def stop(self) -> None:
        """Stop at once, cutting what is still being sent."""
        if self._server is None or self._thread is None:
            return
        self._server.stop()
        self._thread.join(_PATIENCE)
        if self._socket is not None:
            self._socket.close()
        self._server = self._thread = self._socket = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

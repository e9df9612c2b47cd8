"""A server on a real socket, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Coroutine, Generator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette

from .. import arguments
from ..api.app import create_app
from ..engine.script import Script
from ..scenarios.builtin import BuiltinScenario, Scenario
from ..scenarios.selection import select_scenario
from ..store.clock import Clock, checked_clock
from ..store.state import State
from .faults import Faults, Refuse
from .request_log import Received, RequestLog, SpecificationError
from .uvicorn_server import Server, check_host, check_port, listen, url_of

_PATIENCE = 10.0


class EmbeddedServer:
    """A Letta on loopback: no model, no database, nothing to install but the ``testing`` extra.

    Use it as a context manager::

        with EmbeddedServer() as server:
            client = Letta(base_url=server.base_url)
            client.conversations.messages.create(server.conversation_id, input="hello")

    Args:
        scene: what it holds: a scene's name, the path of a scene file, or a stage that :func:`build` set.
        host: where to listen.
        port: the port; 0 takes a free one.
        delay: seconds to wait before each token; None for what the scene says, which is 0 unless it says more.
        clock: where the time comes from, such as ``SystemClock()``. By default a :class:`TickingClock`, which begins
            with the year 2026 and moves only when it is read or advanced.
        check: whether every request and every answer is held against the specification. What does not fit is noted
            in :attr:`requests`, and raised when the ``with`` block is left.
        check_faults: whether every fault that was planned must have happened when the ``with`` block is left. The
            fixture of the pytest plugin sets it.

    Raises:
        TypeError: If an argument has another type.
        ValueError: there is no such scene, or its file is not one; or an argument makes no sense.
        OSError: the scene's file cannot be read.
    """

    def __init__(
        self,
        scene: BuiltinScenario | Scenario | Path | str = "default",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        delay: float | None = None,
        clock: Clock | None = None,
        check: bool = True,
        check_faults: bool = False,
    ) -> None:
        check_host(host)
        check_port(port)
        if delay is not None:
            arguments.seconds("delay", delay)
        arguments.flag("check", check)
        arguments.flag("check_faults", check_faults)
        self._stage = select_scenario(scene, None if clock is None else checked_clock(clock))
        self.app: Starlette = create_app(self._stage)
        if delay is not None:
            self._stage.state.delay = delay
        self._requests = RequestLog()
        self._check = check
        self._check_faults = check_faults
        self._host = host
        self._port = port
        self._url: str | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._bound: socket.socket | None = None
        self._process = os.getpid()
        self._changing = threading.RLock()

    @property
    def state(self) -> State:
        """The server's memory, with its clock and its settings."""
        return self._stage.state

    @property
    def script(self) -> Script:
        """What the agent answers."""
        return self._stage.state.script

    @property
    def faults(self) -> Faults:
        """What goes wrong between the server and its clients."""
        return self._stage.faults

    @property
    def requests(self) -> list[Received]:
        """The requests that came, the newest 10,000 of them (64 MiB of bodies), with what became of each."""
        return self._requests.all()

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
        if self._url is None:
            raise RuntimeError("the embedded server is not running; use it in a with statement")
        return self._url

    def start(self) -> Self:
        """Start listening.

        Raises:
            OSError: the port is taken.
            RuntimeError: the server did not come up, or it runs already.
        """
        self._leave_parent()
        with self._changing:
            if self._server is not None:
                raise RuntimeError("the embedded server runs already")
            bound = listen(self._host, self._port)
            try:
                self._run(bound)
            except BaseException:  # an interrupt included: nothing stays behind
                self._halt()
                bound.close()
                raise
        self.faults.turn()
        return self

    def _run(self, bound: socket.socket) -> None:
        self._url = url_of(bound)
        self._bound = bound
        self._server = server = Server(self.app, self._stage, self._requests, check=self._check)
        thread = threading.Thread(target=server.run, args=(bound,), name="letta-embedded-server", daemon=True)
        self._thread = thread  # before an interrupt can come while it starts
        thread.start()
        deadline = time.monotonic() + _PATIENCE
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the embedded server did not start")
            time.sleep(0.001)
        self.faults.refuse = self._refuse

    def stop(self) -> None:
        """Stop at once, cutting what is still being sent. A server that does not run is left alone.

        Raises:
            RuntimeError: a function of the script is still running after 10 seconds, and keeps the server's thread.
        """
        self._leave_parent()
        with self._changing:
            thread = self._thread
            self._halt()
        if thread is not None and thread is not threading.current_thread() and thread.is_alive():
            raise RuntimeError(
                f"the embedded server did not stop within {_PATIENCE:g} s: a function of its script runs"
            )

    def _halt(self) -> None:
        server, thread = self._server, self._thread
        self._server = self._thread = self._url = self._bound = None
        self.faults.refuse = None
        if server is None:
            return
        server.stop()
        # A function of the script that stops the server runs in its thread.
        if thread is not None and thread is not threading.current_thread():
            _join(thread)

    def _leave_parent(self) -> None:
        """Forget the server of the process that this one was forked from. Its thread does not exist here."""
        if self._process == os.getpid():
            return
        self._process = os.getpid()
        self._changing = threading.RLock()
        if self._bound is not None:
            self._bound.close()  # the parent's stays open
        self._server = self._thread = self._url = self._bound = None
        self.faults.refuse = None

    @contextmanager
    def down(self) -> Generator[None]:
        """Refuse connections while the block runs, as where no server is. What is connected is closed."""
        server = self._server
        if server is None or self._process != os.getpid():
            raise RuntimeError("the embedded server is not running in this process")
        self._in_loop(_shut(server))
        try:
            yield
        finally:
            self._in_loop(_open(server))

    def assert_conforming(self) -> None:
        """Fail if a request that the server took, or an answer that it gave, is not as the specification says.

        It fails as well if a function of the script has raised an exception.

        Raises:
            SpecificationError: there are such; it names them all.
        """
        found = [str(request) for request in self.requests if request.problems]
        found += self.state.failures
        if found:
            raise SpecificationError("\n".join(found))

    def assert_faults_happened(self) -> None:
        """Fail if a planned fault did not happen, or not as often as planned.

        Raises:
            UnusedFaultError: there are such; it names them all.
        """
        self.faults.assert_happened()

    def _refuse(self, fault: Refuse) -> None:
        if self._server is not None:
            self._in_loop(_shut(self._server, fault.seconds))

    def _in_loop(self, work: Coroutine[Any, Any, None]) -> None:
        loop = self._server.loop if self._server is not None else None
        if loop is None:
            work.close()
            return
        try:
            running = asyncio.run_coroutine_threadsafe(work, loop)
        except RuntimeError:  # the loop is closed: another thread has stopped the server
            work.close()
            return
        # Who plans a fault within the server, as an answer of a script may, cannot wait for it.
        if threading.current_thread() is not self._thread:
            with suppress(CancelledError):  # it stops
                running.result(_PATIENCE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:
            self.assert_conforming()
            if self._check_faults:
                self.assert_faults_happened()


def _join(thread: threading.Thread) -> None:
    """Wait until a thread has ended, whose start an interrupt may have cut short."""
    deadline = time.monotonic() + _PATIENCE
    while not thread.is_alive() and thread in threading.enumerate() and time.monotonic() < deadline:
        time.sleep(0.001)
    if thread.is_alive():
        thread.join(_PATIENCE)


async def _open(server: Server) -> None:
    server.open()


async def _shut(server: Server, seconds: float | None = None) -> None:
    server.shut()
    if seconds is not None:
        server.open_after(seconds)

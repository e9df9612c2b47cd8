"""The embedded server: a socket on loopback and a thread."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from starlette.applications import Starlette

from .. import arguments
from ..api.app import create_app
from ..engine.script import Script
from ..scenarios.builtin import BuiltinScenario, Scenario
from ..scenarios.selection import select_scenario
from ..store.clock import Clock, check_clock
from ..store.state import State
from .faults import Faults, Refuse
from .request_log import Received, RequestLog, SpecificationError
from .uvicorn_server import Server, check_host, check_port, listen, url_of

_TIMEOUT = 10.0


class EmbeddedServer:
    """A Letta server on loopback. It needs no model and no database.

    Use it as a context manager::

        with EmbeddedServer() as server:
            client = Letta(base_url=server.base_url)
            client.conversations.messages.create(server.conversation_id, input="hello")

    Args:
        scenario: The name of a built-in scenario, the path of a scenario file, or a scenario from `build`.
        host: Address to listen on. Defaults to 127.0.0.1.
        port: Port to listen on. 0 selects a free one. Defaults to 0.
        delay: Delay before each token [s]. None keeps the delay of the scenario, which is 0 unless its file sets it.
        clock: Source of the time, such as ``SystemClock()``. Defaults to a `TickingClock`, which starts in 2026
            and moves only when it is read or advanced.
        check: Whether to validate requests and responses against the specification. Differences are recorded in
            `requests` and raised at the end of the ``with`` block. Defaults to True.
        check_faults: Whether to raise `UnusedFaultError` at the end of the ``with`` block if a planned fault did
            not happen. Defaults to False; the pytest fixture sets it.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If an argument is invalid, the scenario is unknown, or its file is invalid.
        OSError: If the scenario file cannot be read.
    """

    def __init__(
        self,
        scenario: BuiltinScenario | Scenario | Path | str = "default",
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
        self._scenario = select_scenario(scenario, None if clock is None else check_clock(clock))
        self.app: Starlette = create_app(self._scenario)
        if delay is not None:
            self._scenario.state.delay = delay
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
        self._lock = threading.RLock()

    @property
    def state(self) -> State:
        """The stored data, the clock and further settings."""
        return self._scenario.state

    @property
    def script(self) -> Script:
        """The responses of the agent."""
        return self._scenario.state.script

    @property
    def faults(self) -> Faults:
        """The plan of faults."""
        return self._scenario.faults

    @property
    def requests(self) -> list[Received]:
        """The requests with their responses: the newest 10,000, with at most 64 MiB of bodies."""
        return self._requests.all()

    @property
    def agent_id(self) -> str:
        """The id of the agent."""
        return self._scenario.agent_id

    @property
    def conversation_id(self) -> str:
        """The id of the conversation."""
        return self._scenario.conversation_id

    @property
    def base_url(self) -> str:
        """The URL of the server.

        Raises:
            RuntimeError: If the server is not running.
        """
        if self._url is None:
            raise RuntimeError("the embedded server is not running: it was not started. Use it in a with statement.")
        return self._url

    def start(self) -> Self:
        """Start listening.

        Raises:
            OSError: If the port is in use.
            RuntimeError: If the server is already running, or did not start.
        """
        self._reset_after_fork()
        with self._lock:
            if self._server is not None:
                raise RuntimeError("the embedded server is already running")
            bound = listen(self._host, self._port)
            try:
                self._run(bound)
            except BaseException:  # includes KeyboardInterrupt: the socket and the thread must not leak
                self._stop()
                bound.close()
                raise
        self.faults.refuse_if_due()
        return self

    def _run(self, bound: socket.socket) -> None:
        self._url = url_of(bound)
        self._bound = bound
        self._server = server = Server(self.app, self._scenario, self._requests, check=self._check)
        thread = threading.Thread(target=server.run, args=(bound,), name="letta-embedded-server", daemon=True)
        self._thread = thread  # set before an interrupt can occur in start()
        thread.start()
        deadline = time.monotonic() + _TIMEOUT
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the embedded server did not start")
            time.sleep(0.001)
        self.faults.refuse = self._refuse

    def stop(self) -> None:
        """Stop immediately and cut open streams. A stopped server is left unchanged.

        Raises:
            RuntimeError: If a script function still runs in the server's thread after 10 seconds.
        """
        self._reset_after_fork()
        with self._lock:
            thread = self._thread
            self._stop()
        if thread is not None and thread is not threading.current_thread() and thread.is_alive():
            raise RuntimeError(f"the embedded server did not stop within {_TIMEOUT:g} s: a script function is running")

    def _stop(self) -> None:
        server, thread = self._server, self._thread
        self._server = self._thread = self._url = self._bound = None
        self.faults.refuse = None
        if server is None:
            return
        server.stop()
        # A script function that stops the server runs in the server's thread.
        if thread is not None and thread is not threading.current_thread():
            _join(thread)

    def _reset_after_fork(self) -> None:
        """Discard the server of the parent process. Its thread does not exist in a forked child."""
        if self._process == os.getpid():
            return
        self._process = os.getpid()
        self._lock = threading.RLock()
        if self._bound is not None:
            self._bound.close()  # the parent's descriptor stays open
        self._server = self._thread = self._url = self._bound = None
        self.faults.refuse = None

    @contextmanager
    def down(self) -> Generator[None]:
        """Refuse connections while the block runs, and close open ones."""
        server = self._server
        if server is None or self._process != os.getpid():
            raise RuntimeError("the embedded server is not running in this process")
        self._run_in_loop(server.shut)
        try:
            yield
        finally:
            self._run_in_loop(server.open)

    def assert_conforming(self) -> None:
        """Fail if a request or a response does not match the specification, or a script function has raised.

        Only requests that the server accepted are validated.

        Raises:
            SpecificationError: If there are such requests or failures. The message lists them.
        """
        found = [str(request) for request in self.requests if request.problems]
        found += self.state.failures
        if found:
            raise SpecificationError("\n".join(found))

    def assert_faults_happened(self) -> None:
        """Fail if a planned fault did not happen, or not as often as planned.

        Raises:
            UnusedFaultError: If there are such faults. The message lists them.
        """
        self.faults.assert_happened()

    def _refuse(self, fault: Refuse) -> None:
        server = self._server
        if server is not None:
            self._run_in_loop(server.shut)
            self._run_in_loop(server.open_after, fault.seconds)

    def _run_in_loop(self, function: Callable[..., None], *args: object) -> None:
        """Call a function in the thread of the server, if it runs."""
        loop = self._server.loop if self._server is not None else None
        if loop is None:
            return

        async def call() -> None:
            function(*args)

        coroutine = call()
        try:
            running = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:  # the loop is closed: another thread has stopped the server
            coroutine.close()
            return
        # The server's own thread, in which script functions run, cannot wait for its event loop.
        if threading.current_thread() is not self._thread:
            with suppress(CancelledError):  # the server stops
                running.result(_TIMEOUT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:
            self.assert_conforming()
            if self._check_faults:
                self.assert_faults_happened()


def _join(thread: threading.Thread) -> None:
    """Wait until a thread ends, even if an interrupt cut its start short."""
    deadline = time.monotonic() + _TIMEOUT
    while not thread.is_alive() and thread in threading.enumerate() and time.monotonic() < deadline:
        time.sleep(0.001)
    if thread.is_alive():
        thread.join(_TIMEOUT)

"""A server on a real socket, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette

from .app import create_app
from .faults import Faults, Refuse
from .scenes import Scene, Stage, staged
from .script import Script
from .serving import Server, listen, url_of
from .state import State
from .traffic import KEPT, Received, SpecificationError

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
        check: whether every request and every answer is held against the specification. What does not fit is noted
            in :attr:`requests`, and raised when the ``with`` block is left.

    Raises:
        ValueError: there is no such scene, or its file is not one.
    """

    def __init__(
        self,
        scene: Scene | Stage | Path | str = "default",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        delay: float | None = None,
        check: bool = True,
    ) -> None:
        self._stage = staged(scene)
        self.app: Starlette = create_app(self._stage)
        if delay is not None:
            self._stage.state.delay = delay
        self._requests: deque[Received] = deque(maxlen=KEPT)
        self._check = check
        self._host = host
        self._port = port
        self._url: str | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

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
        """The requests that came, the newest 10,000 of them, with what became of each."""
        return list(self._requests)

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
        if self._server is not None:
            raise RuntimeError("the embedded server runs already")
        bound = listen(self._host, self._port)
        self._url = url_of(bound)
        server = Server(self.app, self._stage, self._requests, check=self._check)
        self._server = server
        self._thread = threading.Thread(target=server.run, args=([bound],), name="letta-embedded-server", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _PATIENCE
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the embedded server did not start")
            time.sleep(0.001)
        self.faults.refuse = self._refuse
        self.faults.turn()
        return self

    def stop(self) -> None:
        """Stop at once, cutting what is still being sent."""
        if self._server is None or self._thread is None:
            return
        self.faults.refuse = None
        self._server.stop()
        self._thread.join(_PATIENCE)
        self._server = self._thread = self._url = None

    @contextmanager
    def down(self) -> Generator[None]:
        """Refuse connections while the block runs, as where no server is. What is connected is closed."""
        server = self._server
        if server is None:
            raise RuntimeError("the embedded server is not running")
        self._in_loop(_shut(server))
        try:
            yield
        finally:
            self._in_loop(server.open())

    def assert_conforming(self) -> None:
        """Fail if a request that the server took, or an answer that it gave, is not as the specification says.

        Raises:
            SpecificationError: there are such; it names them all.
        """
        found = [str(request) for request in self._requests if request.problems]
        if found:
            raise SpecificationError("\n".join(found))

    def _refuse(self, fault: Refuse) -> None:
        if self._server is not None:
            self._in_loop(_shut(self._server, fault.seconds))

    def _in_loop(self, work: Coroutine[Any, Any, None]) -> None:
        loop = self._server.loop if self._server is not None else None
        if loop is None:
            work.close()
            return
        running = asyncio.run_coroutine_threadsafe(work, loop)
        # Who plans a fault within the server, as an answer of a script may, cannot wait for it.
        if threading.current_thread() is not self._thread:
            running.result(_PATIENCE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:
            self.assert_conforming()


async def _shut(server: Server, seconds: float | None = None) -> None:
    server.shut()
    if seconds is not None:
        server.open_after(seconds)

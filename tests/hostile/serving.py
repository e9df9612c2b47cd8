"""A raw-socket server on loopback that sends given bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..client.helpers import _request
from .mutating import Reply

Handler = Callable[[str, str], Reply]
"""Returns the reply to a request, given its method and path."""


class RawServer:
    """A server on loopback.

    Attributes:
        respond: Returns the reply to each request; set for each case.
        requests: The number of requests that arrived.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.respond: Handler = lambda method, path: Reply(500, (), b"")
        self.requests = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as incoming:
            while head := _request(incoming):
                self.requests += 1
                method, path, _ = head.split(b" ", 2)
                reply = self.respond(method.decode(), path.decode().partition("?")[0])
                connection.sendall(reply.encode())
                if reply.cut is not None or reply.broken:
                    return

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


@contextmanager
def raw_server() -> Iterator[RawServer]:
    """Run a raw server in a `with` block."""
    server = RawServer()
    try:
        yield server
    finally:
        server.close()

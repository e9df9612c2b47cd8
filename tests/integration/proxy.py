"""A TCP proxy in front of a real server that injects scripted faults into requests."""

from __future__ import annotations

import json
import random
import re
import socket
import socketserver
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen

SERVER_TIMEOUT: Final = 120.0
"""Seconds to wait for the server."""


@frozen
class Fault:
    """The fault of one request.

    Attributes:
        forward: Bytes of the request that reach the server. None for all.
        late: Seconds from the disconnect of the client to the forwarding. None to forward before the disconnect.
        response: Bytes of the response that reach the client. None for all.
        slow: Seconds before each part of the response is forwarded.
        gone: Whether the server sees the disconnect of the client, or finishes its response.
    """

    forward: int | None = None
    late: float | None = None
    response: int | None = None
    slow: float = 0.0
    gone: bool = False


LOST: Final = Fault(response=0)
"""The server has started its response, and the client receives nothing."""


def random_fault(chance: random.Random, length: int) -> Fault:
    """Return a random fault; responses are cut within `length` bytes."""
    kind, gone = chance.randrange(8), chance.random() < 0.5
    if kind == 0:
        return Fault(forward=chance.randrange(400))
    if kind == 1:
        return Fault(late=chance.choice([0.0, 0.01, 0.05, 0.3]), response=0, gone=gone)
    if kind == 2:
        return Fault(response=0, gone=gone)
    if kind == 3:
        return Fault(response=chance.randrange(200), gone=gone)  # within the headers
    return Fault(response=chance.randrange(length), slow=chance.choice([0.0, 0.0, 0.05]), gone=gone)


@dataclass
class Proxy:
    """The proxy.

    Attributes:
        plan: The faults of the next requests. Later requests pass.
        requests: The paths and bodies of the requests.
    """

    upstream: tuple[str, int]
    plan: deque[Fault] = field(default_factory=deque)
    requests: list[tuple[str, Any]] = field(default_factory=list)
    base_url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    busy: int = 0
    idle: threading.Condition = field(default_factory=threading.Condition)

    def settle(self) -> None:
        """Wait until each request is finished, including those whose client has disconnected."""
        with self.idle:
            assert self.idle.wait_for(lambda: self.busy == 0, SERVER_TIMEOUT)

    def enter(self, by: int) -> None:
        """Count a started or finished request."""
        with self.idle:
            self.busy += by
            self.idle.notify_all()

    def next_fault(self, path: str, body: bytes) -> Fault:
        """Record a request and return its fault."""
        with self.lock:
            self.requests.append((path, json.loads(body or b"null")))
            return self.plan.popleft() if self.plan else Fault()


@contextmanager
def proxied(address: str) -> Iterator[Proxy]:
    """Run a loopback proxy in front of the server at this URL."""
    parts = urlsplit(address)
    proxy = Proxy((parts.hostname or "", parts.port or 80))

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError, TimeoutError):
                # One request per connection: the server closes it after the response.
                if (request := _read(self.rfile)) is not None:
                    proxy.enter(1)
                    try:
                        _forward(proxy, self.request, *request)
                    finally:
                        proxy.enter(-1)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy.base_url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield proxy
        server.shutdown()


def _forward(proxy: Proxy, client: socket.socket, head: bytes, body: bytes) -> None:
    fault = proxy.next_fault(head.split()[1].decode().partition("?")[0], body)
    request = head.removesuffix(b"\r\n") + b"connection: close\r\n\r\n" + body
    if fault.late is not None:
        _disconnect(client)
        time.sleep(fault.late)
    with socket.create_connection(proxy.upstream, timeout=SERVER_TIMEOUT) as server:
        server.sendall(request[: fault.forward])
        if fault.forward is not None:
            return
        left = fault.response
        while left != 0 and (data := server.recv(65536)):
            time.sleep(fault.slow)
            piece = data[:left]
            client.sendall(piece)
            left = None if left is None else left - len(piece)
        if left == 0:
            if fault.response == 0:
                server.recv(1)  # the server has started its response, so it has the request
            if fault.late is None:
                _disconnect(client)
            while not fault.gone and server.recv(65536):
                pass


def _disconnect(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_RDWR)


def _read(incoming: BufferedIOBase) -> tuple[bytes, bytes] | None:
    head = b""
    while (line := incoming.readline()) not in (b"\r\n", b""):
        # The response ends the connection, so the client's header is dropped.
        head += b"" if line.lower().startswith(b"connection:") else line
    if not head:
        return None
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return head + b"\r\n", incoming.read(int(length.group(1)) if length else 0)

"""Servers and proxies on loopback that fail in scripted ways."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from io import RawIOBase
from typing import BinaryIO

import trustme

Handler = Callable[[socket.socket, bytes, int], object]
"""Handles a request, given the connection, the request and its number from 1. False closes the connection."""


@dataclass
class Server:
    """A server on loopback.

    Attributes:
        port: The port.
        requests: The complete requests that arrived.
        connections: The accepted connections.
    """

    port: int = 0
    scheme: str = "http"
    requests: list[bytes] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@cache
def _bound_socket() -> socket.socket:
    """Return a socket that has a port, so that no other process gets it, and does not listen."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


def closed_port() -> int:
    """Return a loopback port that refuses connections."""
    found: int = _bound_socket().getsockname()[1]
    return found


def free_port() -> int:
    """Return a loopback port on which a server can listen later."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: int = listener.getsockname()[1]
    return found


@contextmanager
def accepting(serve: Callable[[socket.socket, Server], object], port: int = 0) -> Iterator[Server]:
    """Run a server that handles each connection in a thread."""
    listener = socket.create_server(("127.0.0.1", port))
    server = Server(listener.getsockname()[1])
    stopped = threading.Event()

    def handle_connection(connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):
            serve(connection, server)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            if stopped.is_set():
                connection.close()
                return
            server.connections.append(connection)
            threading.Thread(target=handle_connection, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        stopped.set()
        socket.create_connection(listener.getsockname()).close()
        thread.join(5)
        listener.close()
        for connection in server.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(handler: Handler, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Run a server that passes each complete request to a handler."""

    def serve(connection: socket.socket, server: Server) -> None:
        connection = connection if tls is None else tls.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rb") as incoming:
            while request := read_request(incoming):
                server.requests.append(request)
                if handler(connection, request, len(server.requests)) is False:
                    connection.shutdown(socket.SHUT_RDWR)
                    return

    with accepting(serve, port) as server:
        server.scheme = "https" if tls else "http"
        yield server


def read_request(incoming: BinaryIO | RawIOBase) -> bytes:
    """Return the next request; empty at the end of the connection."""
    head = b""
    while (line := incoming.readline()) not in (b"\r\n", b""):
        head += line
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    body = incoming.read(int(length.group(1)) if length else 0)
    return head + b"\r\n" + (body or b"") if head else b""


def response(content: bytes = b"{}", status: str = "200 OK", **headers: str) -> bytes:
    """Return the bytes of a response with this body."""
    fields = {"content-type": "application/json", "content-length": str(len(content))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + content


def chunk(content: bytes) -> bytes:
    """Return one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(content), content)


def certificate() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the TLS contexts of a loopback server and of its clients."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


def pump(first: socket.socket, other: socket.socket) -> None:
    """Forward bytes in both directions until either peer ends."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    back = threading.Thread(target=copy, args=(other, first), daemon=True)
    back.start()
    copy(first, other)
    back.join(5)


@contextmanager
def tunnel(reply: bytes = b"", to: int | None = None) -> Iterator[Server]:
    """Run a CONNECT proxy: one that sends a fixed reply, or with `to` one that connects to that port."""

    def serve(connection: socket.socket, server: Server) -> None:
        with connection.makefile("rb", buffering=0) as incoming:
            server.requests.append(read_request(incoming))
        if to is None:
            connection.sendall(reply)
            return
        try:
            upstream = socket.create_connection(("127.0.0.1", to))
        except OSError:
            connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
            return
        with upstream:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            pump(connection, upstream)

    with accepting(serve) as server:
        yield server


@contextmanager
def socks(to: int) -> Iterator[Server]:
    """Run a SOCKS5 proxy that connects to a port and reports whether it could."""

    def serve(connection: socket.socket, _: Server) -> None:
        connection.recv(64)
        connection.sendall(b"\x05\x00")
        connection.recv(512)
        try:
            upstream = socket.create_connection(("127.0.0.1", to))
        except OSError:
            connection.sendall(bytes([5, 5, 0, 1, 127, 0, 0, 1, 0, 0]))  # refused
            return
        with upstream:
            connection.sendall(bytes([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]))
            pump(connection, upstream)

    with accepting(serve) as server:
        yield server

"""Sockets of sync clients.

A `NetworkBackend` opens the socket of one connection. Any thread can close it without a lock.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import httpcore

from .fork_safety import check_process, current_process

CLOSED: Final = "the client was closed"


def wake(connected: socket.socket) -> None:
    """Wake all threads and event loops that wait for a socket. Closing it would leave them waiting."""
    with suppress(OSError):  # closed already, or never connected
        socket.socket.shutdown(connected, socket.SHUT_RDWR)  # `SSLSocket.shutdown` discards the TLS state


class NetworkStream(httpcore.NetworkStream):
    """A byte stream that only the process that opened it can use."""

    def __init__(self, stream: httpcore.NetworkStream, network: NetworkBackend) -> None:
        self._stream = stream
        self._network = network
        self._process = current_process()
        network.opened(stream.get_extra_info("socket"))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read up to `max_bytes` bytes, or none at the end.

        Raises:
            httpcore.ReadTimeout: If no bytes arrive within `timeout` seconds.
            httpcore.ReadError: If the connection is broken, or the client was closed.
            LettaError: If another process opened the connection.
        """
        check_process(self._process)
        data = self._stream.read(max_bytes, timeout)
        if not data and self._network.is_closed():  # the end of the connection may be a valid end of the body
            raise httpcore.ReadError(CLOSED)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all bytes.

        Raises:
            httpcore.WriteTimeout: If the operation takes longer than `timeout` seconds.
            httpcore.WriteError: If the connection is broken.
            LettaError: If another process opened the connection.
        """
        check_process(self._process)
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        """Close the socket."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Start TLS on the connection.

        Raises:
            httpcore.ConnectTimeout: If the operation takes longer than `timeout` seconds.
            httpcore.ConnectError: If the certificate of the server is invalid, or the connection is broken.
        """
        return NetworkStream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._network)

    def get_extra_info(self, info: str) -> Any:
        """Return information about the connection."""
        return self._stream.get_extra_info(info)


class NetworkBackend(httpcore.SyncBackend):
    """The network backend of one connection."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._closed = False

    def is_closed(self) -> bool:
        """Return whether the client was closed, or the connection."""
        return self._closed

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to a server.

        Raises:
            httpcore.ConnectTimeout: If the operation takes longer than `timeout` seconds.
            httpcore.ConnectError: If connecting fails, or the client was closed meanwhile.
        """
        if self.is_closed():
            raise httpcore.ConnectError(CLOSED)
        return NetworkStream(super().connect_tcp(host, port, timeout, local_address, socket_options), self)

    def opened(self, connected: socket.socket) -> None:
        """Store the socket of the connection.

        Raises:
            httpcore.ConnectError: If the client was closed meanwhile.
        """
        self._socket = connected
        if self.is_closed():
            connected.close()
            raise httpcore.ConnectError(CLOSED)

    def close(self) -> None:
        """Close the socket."""
        self._closed = True
        if self._socket is not None:
            self._socket.close()

    def interrupt(self) -> None:
        """Wake the threads that use the connection. They close it."""
        self._closed = True
        if self._socket is not None:
            wake(self._socket)

    def close_after_fork(self) -> None:
        """Close the socket in a child process without affecting the parent."""
        self.close()

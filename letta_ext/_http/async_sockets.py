"""Sockets of async clients, usable from any event loop and thread.

The streams of asyncio belong to one event loop. Under another loop they raise or hang, and without one they cannot be
closed. These sockets belong to no event loop, which only waits until a socket is readable or writable. Closing them
requires no `await`, which a second cancellation could interrupt.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import Any, Final

import anyio
import httpcore
from anyio.abc import ByteStream, SocketAttribute
from anyio.lowlevel import checkpoint
from anyio.streams.tls import TLSAttribute, TLSStream

from .fork_safety import check_process, current_process
from .sync_sockets import CLOSED, wake

ATTEMPT_DELAY: Final = 0.25
"""Seconds before a connection to the next address is attempted in parallel (RFC 8305, "Happy Eyeballs")."""

IN_PROGRESS: Final = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN})

BROKEN: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError, ValueError)
"""Errors of broken connections. Event loops raise `ValueError` for a socket that was closed meanwhile."""


class SocketStream(ByteStream):
    """A connected socket with the interface of an anyio stream.

    Args:
        connected: A non-blocking socket.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._process = current_process()
        self._waiting = 0
        self._closed = False
        self._interrupted = False

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Read up to `max_bytes` bytes.

        Raises:
            anyio.EndOfStream: At the end of the stream.
            anyio.ClosedResourceError: If the client was closed.
            LettaError: If another process opened the connection.
        """
        check_process(self._process)
        try:
            data = self._socket.recv(max_bytes)
        except BlockingIOError:
            data = await self._receive_later(max_bytes)
        else:
            await checkpoint()  # other tasks run even if the server sends without pause
        if not data and self._interrupted:  # the end of the connection may be a valid end of the body
            raise anyio.ClosedResourceError(CLOSED)
        if not data:
            raise anyio.EndOfStream
        return data

    async def _receive_later(self, max_bytes: int) -> bytes:
        while True:
            await self._wait(anyio.wait_readable)
            try:
                return self._socket.recv(max_bytes)
            except BlockingIOError:
                continue

    async def send(self, item: bytes) -> None:
        """Write all bytes.

        Raises:
            LettaError: If another process opened the connection.
        """
        check_process(self._process)
        rest = memoryview(item)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                await self._wait(anyio.wait_writable)

    async def _wait(self, wait: Callable[[socket.socket], Any]) -> None:
        self._waiting += 1
        try:
            await wait(self._socket)
        finally:
            self._waiting -= 1
            if self._closed and not self._waiting:
                self._socket.close()

    async def send_eof(self) -> None:
        """Shut down the sending direction."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        """Close the socket."""
        self.close()

    def close(self) -> None:
        """Close the socket. If tasks wait for it, wake them; the last one closes it."""
        self._closed = True
        if self._waiting:
            wake(self._socket)
        else:
            self._socket.close()

    def interrupt(self) -> None:
        """Wake the tasks that wait for the socket."""
        self._interrupted = True
        wake(self._socket)

    def close_after_fork(self) -> None:
        """Close the socket in a child process without affecting the parent."""
        self._socket.close()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The typed attributes of the connection for anyio."""
        return {
            SocketAttribute.raw_socket: lambda: self._socket,
            SocketAttribute.local_address: self._socket.getsockname,
            SocketAttribute.remote_address: self._socket.getpeername,
        }


class AsyncNetworkStream(httpcore.AsyncNetworkStream):
    """A plain or TLS byte stream for httpcore."""

    def __init__(self, stream: SocketStream | TLSStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # the signature of httpcore
        """Read up to `max_bytes` bytes, or none at the end.

        Raises:
            httpcore.ReadTimeout: If no bytes arrive within `timeout` seconds.
            httpcore.ReadError: If the connection is broken, or the client was closed.
            LettaError: If another process opened the connection.
        """
        try:
            with anyio.fail_after(timeout):
                return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except TimeoutError as error:
            raise httpcore.ReadTimeout(_reason(error)) from error
        except BROKEN as error:
            raise httpcore.ReadError(_reason(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  # the signature of httpcore
        """Write all bytes.

        Raises:
            httpcore.WriteTimeout: If the operation takes longer than `timeout` seconds.
            httpcore.WriteError: If the connection is broken.
            LettaError: If another process opened the connection.
        """
        if not buffer:
            return
        try:
            with anyio.fail_after(timeout):
                await self._stream.send(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(_reason(error)) from error
        except BROKEN as error:
            raise httpcore.WriteError(_reason(error)) from error

    async def aclose(self) -> None:
        """Close the socket without a TLS closing handshake."""
        stream = self._stream.transport_stream if isinstance(self._stream, TLSStream) else self._stream
        await stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature of httpcore
    ) -> httpcore.AsyncNetworkStream:
        """Start TLS on the connection.

        Raises:
            httpcore.ConnectTimeout: If the operation takes longer than `timeout` seconds.
            httpcore.ConnectError: If the certificate of the server is invalid, or the connection is broken.
        """
        try:
            with anyio.fail_after(timeout):
                encrypted = await TLSStream.wrap(
                    self._stream, ssl_context=ssl_context, hostname=server_hostname, standard_compatible=False
                )
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(_reason(error)) from error
        except (anyio.EndOfStream, *BROKEN) as error:
            raise httpcore.ConnectError(_reason(error)) from error
        return AsyncNetworkStream(encrypted)

    def get_extra_info(self, info: str) -> Any:
        """Return information about the connection."""
        if info == "ssl_object":
            return self._stream.extra(TLSAttribute.ssl_object, None)  # noqa: S610  # a method of anyio, not of Django
        connected = self._stream.extra(SocketAttribute.raw_socket)  # noqa: S610  # a method of anyio, not of Django
        if info == "socket":
            return connected
        if info == "client_addr":
            return connected.getsockname()
        if info == "server_addr":
            return connected.getpeername()
        if info == "is_readable":
            return _is_readable(connected)
        return None


class AsyncNetworkBackend(httpcore.AsyncNetworkBackend):
    """Async version of `NetworkBackend`."""

    def __init__(self) -> None:
        self._stream: SocketStream | None = None
        self._closed = False

    def is_closed(self) -> bool:
        """Return whether the client was closed, or the connection."""
        return self._closed

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature of httpcore
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Async version of `NetworkBackend.connect_tcp`."""
        if self.is_closed():
            raise httpcore.ConnectError(CLOSED)
        try:
            with anyio.fail_after(timeout):
                connected = await _connect(host, port, local_address)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(_reason(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(_reason(error)) from error
        self._stream = SocketStream(connected)
        if self.is_closed():
            connected.close()
            raise httpcore.ConnectError(CLOSED)
        options: Iterable[Any] = socket_options or ()
        for option in options:
            connected.setsockopt(*option)
        return AsyncNetworkStream(self._stream)

    async def sleep(self, seconds: float) -> None:
        """Sleep for some seconds."""
        await anyio.sleep(seconds)

    def close(self) -> None:
        """Close the socket."""
        self._closed = True
        if self._stream is not None:
            self._stream.close()

    def interrupt(self) -> None:
        """Wake the tasks that use the connection. They close it."""
        self._closed = True
        if self._stream is not None:
            self._stream.interrupt()

    def close_after_fork(self) -> None:
        """Close the socket in a child process without affecting the parent."""
        self._closed = True
        if self._stream is not None:
            self._stream.close_after_fork()


async def _connect(host: str, port: int, local_address: str | None) -> socket.socket:
    """Connect to the first reachable address of a host, with overlapping attempts."""
    addresses = await _addresses(host, port)
    if len(addresses) == 1:
        return await _connect_to(*addresses[0], local_address)
    connected: list[socket.socket] = []
    errors: list[OSError] = []

    async def attempt(family: int, address: Any, done: anyio.Event) -> None:
        try:
            connected.append(await _connect_to(family, address, local_address))
            attempts.cancel_scope.cancel()
        except OSError as error:
            errors.append(error)
        finally:
            done.set()

    try:
        async with anyio.create_task_group() as attempts:
            for family, address in addresses:
                done = anyio.Event()
                attempts.start_soon(attempt, family, address, done)
                with anyio.move_on_after(ATTEMPT_DELAY):
                    await done.wait()
    except BaseException:
        for each in connected:
            each.close()
        raise
    if not connected:
        raise errors[-1]
    for each in connected[1:]:
        each.close()
    return connected[0]


async def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    """Return the addresses of a host, alternating between IPv6 and IPv4."""
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    else:
        return [(family, (host, port))]
    first = [(family, address) for family, *_, address in found if family == found[0][0]]
    others = [(family, address) for family, *_, address in found if family != found[0][0]]
    return [each for each in chain.from_iterable(zip_longest(first, others)) if each is not None]


async def _connect_to(family: int, address: Any, local_address: str | None) -> socket.socket:
    connected = socket.socket(family, socket.SOCK_STREAM)
    try:
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if local_address is not None:
            connected.bind((local_address, 0))
        code = connected.connect_ex(_with_scope(address))
        if code in IN_PROGRESS:
            await anyio.wait_writable(connected)
            code = connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        connected.close()
        raise
    return connected


def _with_scope(address: Any) -> Any:
    """Return an address with a numeric scope id, which sockets require in place of `fe80::1%eth0`."""
    host, _, zone = address[0].partition("%")
    if not zone:
        return address
    return (host, address[1], 0, int(zone) if zone.isdecimal() else socket.if_nametoindex(zone))


def _is_readable(connected: socket.socket) -> bool:
    """Return whether an idle connection is readable, which means that the server closed it."""
    try:
        connected.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__

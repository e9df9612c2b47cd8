"""The connection to one client: an asyncio transport that faults can hold, cut, reset and write to.

It sits between uvicorn and the socket, so that a fault acts on the bytes of the connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Any

from starlette.types import Scope

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with a timeout of 0 resets the socket on close.


class Connection(asyncio.Transport):
    """A transport to one client.

    While it is held, it buffers what the server writes. `take_held` returns the buffer, and a close by the server
    waits for `release`.

    Args:
        transport: The underlying transport.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._held: bytearray | None = None
        self._closing = False
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # Methods for faults.

    def hold(self) -> None:
        """Buffer all further writes."""
        self._held = bytearray()

    def take_held(self) -> bytes:
        """Return and clear the bytes written since the connection is held."""
        if self._held is None:
            return b""
        taken = bytes(self._held)
        self._held.clear()
        return taken

    def release(self) -> None:
        """Stop buffering, and close the connection if the server has closed it in the meantime."""
        rest = self.take_held()
        self._held = None
        self.write_through(rest)
        if self._closing:
            self._transport.close()

    def write_through(self, data: bytes) -> None:
        """Write bytes to the underlying transport, even if the connection is held."""
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def cut(self, *, reset: bool = False) -> None:
        """Close the connection immediately. Bytes already passed to the transport are still sent.

        Args:
            reset: Whether to reset the connection instead of ending it properly. Defaults to False.
        """
        self._held = None
        if reset:
            raw_socket: socket.socket | None = self._transport.get_extra_info("socket")
            if raw_socket is not None:
                with suppress(OSError):  # the client has closed the socket
                    raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.close()

    async def wait_lost(self, seconds: float | None) -> bool:
        """Wait until the client disconnects.

        Args:
            seconds: Timeout [s]. None waits without limit.

        Returns:
            Whether the client has disconnected.
        """
        done, _ = await asyncio.wait({self._lost}, timeout=seconds)
        return bool(done)

    def mark_lost(self) -> None:
        """Wake the waiters of `wait_lost`: the connection is closed."""
        if not self._lost.done():
            self._lost.set_result(None)

    # The methods of asyncio.Transport that uvicorn calls. `writelines` of the base class calls `write`.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Write bytes, or buffer them while the connection is held."""
        if self._held is not None:
            self._held += data
        elif not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close the connection after all buffered bytes are written."""
        self._closing = True
        if self._held is None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection immediately, even if a forked process holds the socket."""
        self._held = None
        raw_socket = self._transport.get_extra_info("socket")
        if raw_socket is not None:
            with suppress(OSError):
                raw_socket.shutdown(socket.SHUT_RDWR)
        self._transport.abort()

    def is_closing(self) -> bool:
        """Return whether the connection is closed or closing."""
        return self._closing or self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return information about the underlying transport."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Pause reading."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Resume reading."""
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Set the protocol."""
        self._transport.set_protocol(protocol)


class Connections:
    """The open connections of a server."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> None:
        """Add an open connection."""
        self._open.add(connection)

    def remove(self, connection: Connection) -> None:
        """Remove a closed connection."""
        self._open.discard(connection)
        connection.mark_lost()

    def close(self, keep: Connection | None = None) -> None:
        """Close all connections immediately, except for one."""
        for connection in self._open - {keep}:
            connection.abort()


CONNECTION = "letta_ext.connection"
"""The key of the ASGI scope's state that holds the connection of the request."""


def connection_of(scope: Scope) -> Connection:
    """Return the connection of a request.

    Raises:
        LookupError: If the application does not run behind a socket of this server.
    """
    connection = scope.get("state", {}).get(CONNECTION)
    if not isinstance(connection, Connection):
        raise LookupError("fault cannot be injected: the application has no connection. Use EmbeddedServer.")
    return connection

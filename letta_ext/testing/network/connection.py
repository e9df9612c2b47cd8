"""The line to one client: an asyncio transport that can be held, cut, reset, and written to behind the server's back.

It stands between uvicorn and the socket, so that a fault is on the wire exactly what it says it is.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from starlette.types import Scope

_RESET = struct.pack("ii", 1, 0)  # do not linger: the socket is reset instead of closed


class Line(asyncio.Transport):
    """A transport to one client.

    While it is held, what the server writes is kept for :meth:`take`, and a close of the server's waits until
    :meth:`release`.

    Args:
        transport: the real one.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._held: bytearray | None = None
        self._closing = False
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # What faults do with it.

    def hold(self) -> None:
        """Keep what is written from now on."""
        self._held = bytearray()

    def take(self) -> bytes:
        """Return what was written since the line is held, or since this was called last."""
        if self._held is None:
            return b""
        taken = bytes(self._held)
        self._held.clear()
        return taken

    def release(self) -> None:
        """Write through again, and close if the server has wanted to meanwhile."""
        rest = self.take()
        self._held = None
        self.put(rest)
        if self._closing:
            self._transport.close()

    def put(self, data: bytes) -> None:
        """Write these bytes, held or not."""
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def cut(self, *, reset: bool = False) -> None:
        """Close the connection at once; what was put before still arrives.

        Args:
            reset: whether the client is told that something went wrong, instead of that this was all.
        """
        self._held = None
        if reset:
            bound: socket.socket | None = self._transport.get_extra_info("socket")
            if bound is not None:
                with suppress(OSError):  # the client has closed it
                    bound.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.close()

    async def lost(self, seconds: float | None) -> bool:
        """Wait so many seconds, for ever if None; tell whether the client was lost meanwhile."""
        done, _ = await asyncio.wait({self._lost}, timeout=seconds)
        return bool(done)

    def note_lost(self) -> None:
        """Wake those who wait for it: the connection is gone."""
        if not self._lost.done():
            self._lost.set_result(None)

    # What the server does with it.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Write, or keep what is written while the line is held."""
        if self._held is not None:
            self._held += data
        elif not self._transport.is_closing():
            self._transport.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Write several pieces."""
        for data in list_of_data:
            self.write(data)

    def close(self) -> None:
        """Close when all is written."""
        self._closing = True
        if self._held is None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, also where a process that was forked meanwhile still has the socket."""
        self._held = None
        bound = self._transport.get_extra_info("socket")
        if bound is not None:
            with suppress(OSError):
                bound.shutdown(socket.SHUT_RDWR)
        self._transport.abort()

    def is_closing(self) -> bool:
        """Tell whether it is closed, or will be."""
        return self._closing or self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the real transport knows."""
        return self._transport.get_extra_info(name, default)

    def is_reading(self) -> bool:
        """Tell whether the client's bytes are read."""
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        """Read no more."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol."""
        return self._transport.get_protocol()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set how much may wait to be written."""
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how much waits to be written."""
        return self._transport.get_write_buffer_size()

    def can_write_eof(self) -> bool:
        """Tell whether half of it can be closed: HTTP has no use for that."""
        return False


class Lines:
    """The open lines of a server."""

    def __init__(self) -> None:
        self._open: set[Line] = set()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, line: Line) -> None:
        """Note that a line is open."""
        self._open.add(line)

    def remove(self, line: Line) -> None:
        """Note that a line is closed."""
        self._open.discard(line)
        line.note_lost()

    def close(self, spare: Line | None = None) -> None:
        """Close them at once, all but one."""
        for line in self._open - {spare}:
            line.abort()


LINE = "letta_ext.line"
"""The key of a scope's state under which the line stands that its request came on."""


def line_of(scope: Scope) -> Line:
    """Return the line that a request came on.

    Raises:
        LookupError: there is none, because the application does not run behind this server's socket.
    """
    line = scope.get("state", {}).get(LINE)
    if not isinstance(line, Line):
        raise LookupError("this fault needs a connection; an application without a server has none")
    return line

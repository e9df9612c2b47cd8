"""HTTP/1.1 as uvicorn and h11 speak it: on a line of its own for each connection, and alike in all their versions."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .connection import LINE, Line, Lines

_DIGITS = 20
"""How many digits a Content-Length may have, as in h11 since 0.15."""


class _Connection(h11.Connection):
    """Reads the requests of a connection."""

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the client, but none that follow its last request."""
        if self.their_state is not h11.MUST_CLOSE:
            super().receive_data(data)

    # The type of h11 names a class of its own that is private.
    def next_event(self) -> Any:
        """Return the next part of a request.

        Raises:
            h11.RemoteProtocolError: If it is not HTTP.
        """
        # Bytes behind a request with `Connection: close` are an error to h11, of which uvicorn tells the client in
        # place of the response: before 0.30.4 where they come with the request, in each version where they come later.
        if self.their_state is h11.MUST_CLOSE:
            return h11.NEED_DATA
        try:
            event = super().next_event()
        except ValueError as error:  # h11 0.14 hands any digits to int(), which takes 4,300 of them
            raise h11.RemoteProtocolError("bad Content-Length") from error
        if isinstance(event, h11.Request) and len(dict(event.headers).get(b"content-length", b"")) > _DIGITS:
            raise h11.RemoteProtocolError("bad Content-Length")
        return event


def protocol(lines: Lines) -> type[H11Protocol]:
    """Return the protocol class that puts a line under each connection."""

    class LinedProtocol(H11Protocol):
        def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], **more: Any) -> None:
            super().__init__(config, server_state, app_state, **more)
            self.conn = _Connection(h11.SERVER)
            self._line: Line | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
            self._line = Line(transport)
            self.app_state = {**self.app_state, LINE: self._line}
            lines.add(self._line)
            super().connection_made(cast(asyncio.Transport, self._line))

        def connection_lost(self, exc: Exception | None) -> None:
            if self._line is not None:
                lines.remove(self._line)
            super().connection_lost(exc)

    return LinedProtocol

"""HTTP/1.1 by uvicorn and h11, on a `Connection`, with the same behavior in all their versions."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .connection import CONNECTION, Connection, Connections

_MAX_DIGITS = 20
"""Maximum number of digits in Content-Length, as in h11 since 0.15."""


class _H11Connection(h11.Connection):
    """An h11 connection that accepts the same requests in all versions of h11."""

    def receive_data(self, data: bytes) -> None:
        """Receive bytes of the client, and ignore those after its last request."""
        if self.their_state is not h11.MUST_CLOSE:
            super().receive_data(data)

    # h11 annotates the return value with a private class.
    def next_event(self) -> Any:
        """Return the next event of a request.

        Raises:
            h11.RemoteProtocolError: If the bytes are not valid HTTP.
        """
        # h11 raises on bytes after a request with `Connection: close`, and uvicorn then replaces the response by an
        # error response. uvicorn before 0.30.4 does so even if the bytes arrive together with the request.
        if self.their_state is h11.MUST_CLOSE:
            return h11.NEED_DATA
        try:
            event = super().next_event()
        except ValueError as error:  # h11 0.14 passes any number of digits to int(), which accepts 4,300
            raise h11.RemoteProtocolError("bad Content-Length") from error
        if isinstance(event, h11.Request) and len(dict(event.headers).get(b"content-length", b"")) > _MAX_DIGITS:
            raise h11.RemoteProtocolError("bad Content-Length")
        return event


def make_protocol(connections: Connections) -> type[H11Protocol]:
    """Return a protocol class that tracks its connections."""

    class TrackedProtocol(H11Protocol):
        def __init__(
            self, config: Config, server_state: ServerState, app_state: dict[str, Any], **options: Any
        ) -> None:
            super().__init__(config, server_state, app_state, **options)
            self.conn = _H11Connection(h11.SERVER)
            self._connection: Connection | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as annotated by uvicorn
            self._connection = Connection(transport)
            self.app_state = {**self.app_state, CONNECTION: self._connection}
            connections.add(self._connection)
            super().connection_made(cast(asyncio.Transport, self._connection))

        def connection_lost(self, exc: Exception | None) -> None:
            if self._connection is not None:
                connections.remove(self._connection)
            super().connection_lost(exc)

    return TrackedProtocol

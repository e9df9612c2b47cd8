"""An HTTP/2 server without TLS that responds to every request with an event stream that does not end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamReset
from h2.exceptions import ProtocolError

MAX_STREAMS: int = 20
"""Concurrent streams that a connection may have."""


@dataclass
class Http2Server:
    """The streams that the server has opened and that clients have reset."""

    base_url: str
    connections: int = 0
    opened: list[int] = field(default_factory=list)
    reset: list[int] = field(default_factory=list)


@contextmanager
def http2_server(body: bytes) -> Iterator[Http2Server]:
    """Run the server; each stream begins with this body."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Http2Server(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def serve(connected: socket.socket) -> None:
        state = H2Connection(H2Configuration(client_side=False))
        state.local_settings.max_concurrent_streams = MAX_STREAMS
        state.initiate_connection()
        with connected:
            connected.sendall(state.data_to_send())
            while data := connected.recv(65_536):
                try:
                    events = state.receive_data(data)
                except ProtocolError:
                    return
                for event in events:
                    if isinstance(event, RequestReceived):
                        assert event.stream_id is not None
                        server.opened.append(event.stream_id)
                        headers = [(":status", "200"), ("content-type", "text/event-stream")]
                        state.send_headers(event.stream_id, headers)
                        state.send_data(event.stream_id, body)
                    elif isinstance(event, StreamReset):
                        assert event.stream_id is not None
                        server.reset.append(event.stream_id)
                connected.sendall(state.data_to_send())

    def accept() -> None:
        while True:
            try:
                connected, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            threading.Thread(target=serve_until_disconnect, args=(connected,), daemon=True).start()

    def serve_until_disconnect(connected: socket.socket) -> None:
        with suppress(OSError):  # the client has gone
            serve(connected)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()

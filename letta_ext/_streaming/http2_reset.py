"""The reset of HTTP/2 streams, many of which share a connection.

httpcore closes the response of a stream without a reset: the stream stays open on both sides, and after a hundred such
streams no other can be opened. httpcore has no public API for a reset. This module uses private attributes, and does
nothing if they are missing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import httpx

HTTP2: Final = "HTTP/2"
CANCEL: Final = 8
"""The HTTP/2 error code of a stream that the client abandons."""

INNER: Final = ("_body", "_stream", "_httpcore_stream", "_connection")
"""The attributes that lead from the body of a response to its connection, in httpx 0.27 and httpcore 1."""

DEPTH: Final = 10


def reset(response: httpx.Response) -> None:
    """Reset the stream of a response, unless it has ended."""
    if (connection := _connection_of(response)) is not None and _reset(connection, response):
        with suppress(Exception):  # the connection is closed, and with it the stream
            connection._write_outgoing_data(response.request)


async def async_reset(response: httpx.Response) -> None:
    """Async version of `reset`."""
    if (connection := _connection_of(response)) is not None and _reset(connection, response):
        with suppress(Exception):  # the connection is closed, and with it the stream
            await connection._write_outgoing_data(response.request)


def interrupt(response: httpx.Response) -> None:
    """Wake the thread that reads a stream. Other streams of the connection are unaffected.

    The thread waits for bytes. A reset event is queued for the stream, and a ping makes the server send bytes.
    """
    if (connection := _connection_of(response)) is None:
        return
    from h2.events import StreamReset  # installed, since there is an HTTP/2 connection

    stream_id = response.extensions["stream_id"]
    event = StreamReset.__new__(StreamReset)  # the arguments differ between versions of h2
    event.stream_id, event.error_code, event.remote_reset = stream_id, CANCEL, False
    with suppress(Exception):  # the connection is closed, which wakes its readers
        connection._events[stream_id].append(event)
        _reset(connection, response)
        connection._h2_state.ping(bytes(8))
        connection._write_outgoing_data(response.request)


def _reset(connection: Any, response: httpx.Response) -> bool:
    """Reset the stream in the state of the connection. Return whether there is a frame to send."""
    try:
        connection._h2_state.reset_stream(response.extensions["stream_id"], error_code=CANCEL)
    except Exception:  # noqa: BLE001  # h2 is an optional dependency; the stream or connection is closed
        return False
    return True


def _connection_of(response: httpx.Response) -> Any:
    if response.http_version != HTTP2 or response.is_closed:
        return None
    found: Any = response.stream
    for _ in range(DEPTH):
        if hasattr(found, "_h2_state"):
            return found
        found = next((inner for name in INNER if (inner := getattr(found, name, None)) is not None), None)
    return None

"""Streams of HTTP/2, many of which share a connection.

httpcore closes the response of a stream without a word to the server: the stream stays open on both sides, and after a
hundred of them no other can be opened. It offers no public way to reset a stream, so this reaches into its connection,
and does nothing where that looks different.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import httpx

HTTP2: Final = "HTTP/2"
CANCEL: Final = 8
"""The error code of a stream that is no longer needed."""

INNER: Final = ("_body", "_stream", "_httpcore_stream", "_connection")
"""The attributes that lead from the body of a response to its connection, in httpx 0.27 and httpcore 1."""

DEPTH: Final = 10


def reset(response: httpx.Response) -> None:
    """Reset the stream of a response, unless it has ended."""
    if (connection := _connection_of(response)) is not None and _reset(connection, response):
        with suppress(Exception):  # the connection is over, and the stream with it
            connection._write_outgoing_data(response.request)


async def async_reset(response: httpx.Response) -> None:
    """Async version of `reset`."""
    if (connection := _connection_of(response)) is not None and _reset(connection, response):
        with suppress(Exception):  # the connection is over, and the stream with it
            await connection._write_outgoing_data(response.request)


def interrupt(response: httpx.Response) -> None:
    """Wake a thread that reads a stream, and no other stream of its connection.

    The thread waits for bytes. It is given the event of a stream that was reset, and the server is pinged for bytes.
    """
    if (connection := _connection_of(response)) is None:
        return
    from h2.events import StreamReset  # there is a connection of HTTP/2, and so h2 is installed

    stream_id = response.extensions["stream_id"]
    event = StreamReset.__new__(StreamReset)  # versions of h2 differ in what it takes
    event.stream_id, event.error_code, event.remote_reset = stream_id, CANCEL, False
    with suppress(Exception):  # the connection is over, and its readers are woken by that
        connection._events[stream_id].append(event)
        _reset(connection, response)
        connection._h2_state.ping(bytes(8))
        connection._write_outgoing_data(response.request)


def _reset(connection: Any, response: httpx.Response) -> bool:
    """Note that the stream is reset; return whether the server is to be told."""
    try:
        connection._h2_state.reset_stream(response.extensions["stream_id"], error_code=CANCEL)
    except Exception:  # noqa: BLE001  # h2 is optional and has classes of its own: the stream or connection is over
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

"""The connection of a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from attrs import define, field

from .._http.fork_safety import current_process


@define(eq=False)
class Connection:
    """The connection of a stream. Resuming the stream replaces its response.

    Attributes:
        response: The response.
        owner: The httpx client that sent the request.
        chunks: The iterator over the body. None before the body is read.
        reading: Whether a thread or task waits for the next chunk.
        ready: Whether the next chunk can be read without further checks.
        closed: Whether the stream was closed.
        process: The process that opened the connection. A forked process shares the socket and must not use it.
        schedule_close: Schedules the close in the event loop that opened the connection. None for the library's own
            connection pool, which can close from anywhere.
    """

    response: httpx.Response
    owner: object = None
    chunks: Any = None
    reading: bool = False
    ready: bool = False
    closed: bool = False
    process: int = field(factory=current_process)
    schedule_close: Callable[[Any], object] | None = None

"""The connection of a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from attrs import define, field

from .._http.fork_safety import current_process


@define(eq=False)
class Connection:
    """The response that a stream reads; another one after it was resumed.

    Attributes:
        response: the response.
        owner: the httpx client that it came from.
        chunks: its body, as far as it was not read; None before it is read.
        reading: whether a thread or task waits for the next chunk.
        ready: whether the next chunk can be read without a look at the rest.
        closed: whether the stream was closed.
        process: the process that opened it. One that was forked off shares the socket, and must leave it alone.
        hand_over: has the event loop that opened it close it; None for a connection of our own, which needs none.
    """

    response: httpx.Response
    owner: object = None
    chunks: Any = None
    reading: bool = False
    ready: bool = False
    closed: bool = False
    process: int = field(factory=current_process)
    hand_over: Callable[[Any], object] | None = None

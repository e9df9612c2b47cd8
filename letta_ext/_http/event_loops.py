"""Refuses an httpx client of the caller's whose connections belong to another event loop.

Under another event loop such a connection raises or hangs after the request was sent. The connections of our own
clients serve any event loop.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

import anyio
import httpx

from ..errors import LettaError

OTHER_LOOP: Final = (
    "The httpx client that was passed as http_client has connections of another event loop, and cannot send from this "
    "one. Nothing was sent. Pass an httpx client for each event loop, or none: the connections of AsyncLetta itself "
    "serve any event loop."
)

_last_used: Final[WeakKeyDictionary[httpx.AsyncClient, ref[Any]]] = WeakKeyDictionary()
"""The event loop that each client sent from last."""


def check_event_loop(http: httpx.AsyncClient) -> None:
    """Refuse to send from another event loop than the one that the connections of a client belong to.

    Raises:
        LettaError: If the client has connections of another event loop.
    """
    running, last = _running_loop(), _last_used.get(http)
    if last is not None and last() is running:
        return
    if last is not None and any(_connections(http)):
        raise LettaError(OTHER_LOOP)
    _last_used[http] = ref(running)


def _running_loop() -> Any:
    if (trio := sys.modules.get("trio")) is not None and anyio.get_cancelled_exc_class() is trio.Cancelled:
        return trio.lowlevel.current_trio_token()
    return asyncio.get_running_loop()


def _connections(http: httpx.AsyncClient) -> Iterator[Any]:
    """The connections of httpx's own transports; any other transport is taken to serve every event loop."""
    transports: list[Any] = [
        http._transport,  # pyright: ignore[reportPrivateUsage]  # httpx does not show what it sends with
        *http._mounts.values(),  # pyright: ignore[reportPrivateUsage]  # as above
    ]
    for transport in transports:
        if isinstance(transport, httpx.AsyncHTTPTransport):
            yield from getattr(vars(transport).get("_pool"), "connections", ())

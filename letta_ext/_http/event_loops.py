"""Detection of httpx clients whose connections belong to another event loop.

Such a connection raises or hangs after the request was sent. The connections of default clients work with any event
loop.
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
    "http_client cannot send from this event loop: its connections belong to another one. Nothing was sent. Use one "
    "httpx client per event loop, or omit http_client: the default client works with any event loop."
)

_last_used: Final[WeakKeyDictionary[httpx.AsyncClient, ref[Any]]] = WeakKeyDictionary()
"""The event loop from which each client last sent."""


def check_event_loop(http: httpx.AsyncClient) -> None:
    """Check that the connections of a client belong to the running event loop.

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
    """Yield the connections of httpx transports. Other transports are assumed to work with any event loop."""
    transports: list[Any] = [
        http._transport,  # pyright: ignore[reportPrivateUsage]  # httpx has no public API for its transports
        *http._mounts.values(),  # pyright: ignore[reportPrivateUsage]  # as above
    ]
    for transport in transports:
        if isinstance(transport, httpx.AsyncHTTPTransport):
            yield from getattr(vars(transport).get("_pool"), "connections", ())

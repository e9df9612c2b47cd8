"""Construction of the default httpx clients of `Letta` and `AsyncLetta`."""

from __future__ import annotations

import os
from typing import Any, TypeVar

import httpx

from ..config import DEFAULT_LIMITS, ensure_instance
from .connection_pool import BasePool
from .cookies import NoCookies
from .transport_errors import build_httpx_client

H = TypeVar("H", httpx.Client, httpx.AsyncClient)


def make_http_client(kind: type[H], pool: type[BasePool], *, cookies: bool) -> H:
    """Return an httpx client with pools of the given class.

    Args:
        kind: The class of the client.
        pool: The class of its pools.
        cookies: Whether to store the cookies of responses and send them with later requests.

    Raises:
        TypeError: If `cookies` is not a bool.
        ValueError: If an environment variable that httpx reads has an invalid value.
    """
    ensure_instance("cookies", cookies, bool)
    http = build_httpx_client(kind, os.environ, limits=DEFAULT_LIMITS, cookies=None if cookies else NoCookies())
    replace_pools(http, pool, DEFAULT_LIMITS)
    return http


def replace_pools(http: httpx.Client | httpx.AsyncClient, pool: type[BasePool], limits: httpx.Limits) -> None:
    """Replace the pools of a new httpx client. httpx has no public API for its pools and network backends."""
    transports: list[Any] = [http._transport, *http._mounts.values()]  # pyright: ignore[reportPrivateUsage]  # as above
    for transport in transports:
        if isinstance(transport, httpx.HTTPTransport | httpx.AsyncHTTPTransport):
            vars(transport)["_pool"] = pool(vars(transport)["_pool"], limits)

"""Makes the httpx clients that `Letta` and `AsyncLetta` send with, unless they are passed one."""

from __future__ import annotations

import os
from http.cookiejar import CookieJar
from typing import Any, TypeVar

import httpx

from ..calls.transport_errors import make_http
from ..config import DEFAULT_LIMITS
from .pools import AsyncPool, Pool

H = TypeVar("H", httpx.Client, httpx.AsyncClient)


class NoCookies(CookieJar):
    """A cookie jar that takes no cookies. Those of one API key would be sent with another one, and pile up."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Ignore the cookies of a response."""

    def add_cookie_header(self, request: Any) -> None:
        """Send no cookies."""


def own_http(kind: type[H]) -> H:
    """Return an httpx client with connections from our own pool and without cookies.

    Args:
        kind: The class of the client.

    Raises:
        ValueError: If a variable of the environment that httpx reads has a value that it cannot use.
    """
    http = make_http(kind, os.environ, limits=DEFAULT_LIMITS, cookies=NoCookies())
    use_own_pools(http, DEFAULT_LIMITS)
    return http


def use_own_pools(http: httpx.Client | httpx.AsyncClient, limits: httpx.Limits) -> None:
    """Replace the pools of a new httpx client: httpx has no argument for them, nor for what opens their sockets."""
    transports: list[Any] = [http._transport, *http._mounts.values()]  # pyright: ignore[reportPrivateUsage]  # as above
    for transport in transports:
        if isinstance(transport, httpx.HTTPTransport | httpx.AsyncHTTPTransport):
            make: Any = Pool if isinstance(transport, httpx.HTTPTransport) else AsyncPool
            vars(transport)["_pool"] = make(vars(transport)["_pool"], limits)

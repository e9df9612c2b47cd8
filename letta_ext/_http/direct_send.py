"""Detection of httpx clients whose `send` only passes a request to its transport.

`httpx.Client.send` supports hooks, authentication, redirects, cookies and logs. Without them, its code still takes
50 µs, which is as long as the rest of a request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http.cookiejar import CookieJar
from operator import attrgetter
from types import FunctionType
from typing import Any, Final

import httpx

from .cookies import CookiesByKey, NoCookies

LOG: Final = logging.getLogger("httpx")

STEPS: Final = ("send", "_send_handling_auth", "_send_handling_redirects", "_send_single_request")
"""The methods of httpx that a request passes. Recorders and tracers replace one of them."""

JARS: Final = frozenset({CookieJar, CookiesByKey, NoCookies})
"""The classes of cookie jars that ignore a response without cookies."""

_steps: Final[Callable[[type], tuple[Any, ...]]] = attrgetter(*STEPS)


def _own_steps(kind: type) -> tuple[Any, ...] | None:
    """Return the methods of httpx, or None if they are missing or were replaced before."""
    try:
        steps = _steps(kind)
    except AttributeError:  # a version of httpx with other methods
        return None
    file = httpx.Client.__init__.__code__.co_filename
    return steps if all(type(each) is FunctionType and each.__code__.co_filename == file for each in steps) else None


_OWN: Final = {kind: _own_steps(kind) for kind in (httpx.Client, httpx.AsyncClient)}


def direct_transport(http: httpx.Client | httpx.AsyncClient, request: httpx.Request) -> Any | None:
    """Return the transport of httpx for a request, or None if `http.send` does more than call it."""
    kind = type(http)
    if (
        (own := _OWN.get(kind)) is None
        or own != _steps(kind)
        or not vars(http).keys().isdisjoint(STEPS)
        or http.auth is not None
        or request.url.userinfo
        or any(http.event_hooks.values())
        or type(http.cookies.jar) not in JARS
        or LOG.isEnabledFor(logging.INFO)
        or http.is_closed
    ):
        return None
    # httpx has no public API for the transport of a URL.
    transport: Any = http._transport_for_url(request.url)  # pyright: ignore[reportPrivateUsage]  # see above
    # The code of another package may take locks, which finalizers detect by the frames of httpx on the stack.
    return transport if type(transport).__module__.partition(".")[0] == "httpx" else None


def complete_response(http: httpx.Client | httpx.AsyncClient, request: httpx.Request, response: httpx.Response) -> None:
    """Set the attributes of a response that `http.send` sets, and store its cookies.

    Raises:
        httpx.RemoteProtocolError: If the response redirects to an invalid URL.
    """
    response.request = request
    response.default_encoding = vars(http)["_default_encoding"]
    if "set-cookie" in response.headers or "set-cookie2" in response.headers:
        http.cookies.extract_cookies(response)
    if not response.is_success and response.has_redirect_location:
        # httpx has no public API for the redirected request.
        response.next_request = http._build_redirect_request(request, response)  # pyright: ignore[reportPrivateUsage]

"""Separation of cookies by API key.

By default, clients ignore cookies. An httpx client passed as `http_client` stores its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import Cookie, CookieJar
from typing import Any, Final
from weakref import WeakKeyDictionary

import httpx


class NoCookies(CookieJar):
    """A cookie jar that stores no cookies."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Ignore the cookies of a response."""

    def add_cookie_header(self, request: Any) -> None:
        """Ignore the request."""


class CookiesByKey(CookieJar):
    """A cookie jar for one API key, with further jars for other keys.

    Args:
        jar: The current cookies, which belong to the first key.
        first: The `Authorization` header of the first key.
        initial: The cookies of the caller, which are sent with every key.
    """

    def __init__(self, jar: CookieJar, first: str, initial: tuple[Cookie, ...]) -> None:
        super().__init__(policy=vars(jar).get("_policy"))
        self.first = first
        self._initial = initial
        self._others: dict[str, CookieJar] = {}
        for cookie in jar:
            self.set_cookie(cookie)

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Store the cookies of a response for the key of its request."""
        if other := self._other(request):
            other[0].extract_cookies(response, request)
        else:
            super().extract_cookies(response, request)

    def add_cookie_header(self, request: Any) -> None:
        """Add the cookies for the key of a request."""
        if other := self._other(request):
            other[0].add_cookie_header(request)
        else:
            super().add_cookie_header(request)

    def _other(self, request: Any) -> tuple[CookieJar] | None:
        key = request.get_header("Authorization", "")
        if key == self.first:
            return None
        jar = self._others.get(key)
        if jar is None:
            jar = self._others[key] = CookieJar(policy=vars(self).get("_policy"))
            for cookie in self._initial:
                jar.set_cookie(cookie)
        return (jar,)  # an empty jar is falsy


_first_use: Final[WeakKeyDictionary[httpx.Client | httpx.AsyncClient, tuple[str, tuple[Cookie, ...]]]] = (
    WeakKeyDictionary()
)
"""The first key that each client sent, with its cookies at that time."""


def separate_cookies(
    http: httpx.Client | httpx.AsyncClient, request: httpx.Request, given: Mapping[str, str], key: str | None = None
) -> httpx.Request:
    """Return the request with the cookies for its API key.

    Args:
        http: The client that built the request with its current cookies.
        request: The request.
        given: The explicit headers of the request. A `Cookie` header among them is kept.
        key: The `Authorization` header of the request, if it is known.
    """
    jar: CookieJar = http.cookies.jar
    if isinstance(jar, NoCookies):
        return request
    authorization: str = request.headers.get("Authorization", "") if key is None else key
    if not isinstance(jar, CookiesByKey):
        first, at_first = _first_use.get(http) or _first_use.setdefault(http, (authorization, tuple(jar)))
        if first == authorization:
            return request
        jar = http.cookies.jar = CookiesByKey(jar, first, at_first)
    if authorization != jar.first and not any(name.lower() == "cookie" for name in given):
        request.headers.pop("Cookie", None)
        http.cookies.set_cookie_header(request)
    return request


def add_cookies(request: httpx.Request, cookies: Mapping[str, str]) -> None:
    """Add the cookie parameters of an operation, which replace cookies of the same name."""
    pairs = request.headers.get("Cookie", "").split("; ")
    kept = [pair for pair in pairs if pair and pair.partition("=")[0] not in cookies]
    request.headers["Cookie"] = "; ".join([*kept, *(f"{name}={value}" for name, value in cookies.items())])

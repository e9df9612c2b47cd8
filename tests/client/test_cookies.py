"""Cookies: disabled by default, and never sent with another API key."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from letta_ext import AsyncLetta, Letta
from letta_ext._http import default_client

from .helpers import ClientDriver

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("with_options", {"api_key": "b"}),
    ("with_options", {"default_headers": {"authorization": "Bearer b"}}),
    ("call", {"extra_headers": {"Authorization": "Bearer b"}}),
    ("client", {"api_key": "b"}),
]
"""Ways to give a request another key."""


class CookieServer:
    """A handler that sets a cookie with the key of the request and records the cookies of each request."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        key = request.headers["authorization"].removeprefix("Bearer ")
        self.seen.append((key, request.headers.get("cookie", "")))
        count = len(self.seen)
        headers = [("set-cookie", f"session={key}; path=/"), ("set-cookie", f"from-{key}-{count % 3}=1; path=/")]
        return httpx.Response(200, json=[], headers=headers)


def httpx_client(driver: ClientDriver, setting: Callable[[httpx.Request], httpx.Response], **settings: Any) -> Any:
    kind: Any = httpx.AsyncClient if driver.is_async else httpx.Client
    return kind(transport=httpx.MockTransport(setting), **settings)


def client_with(driver: ClientDriver, http: Any, **settings: Any) -> Any:
    kind: Any = AsyncLetta if driver.is_async else Letta
    return kind(base_url="http://letta.test", http_client=http, **settings)


def client_with_own_http(
    driver: ClientDriver, monkeypatch: pytest.MonkeyPatch, setting: CookieServer, **settings: Any
) -> Any:
    """Return a client that creates its own httpx client."""

    def make(kind: Any, *_: object, **arguments: Any) -> Any:
        return kind(transport=httpx.MockTransport(setting), cookies=arguments["cookies"])

    monkeypatch.setattr(default_client, "build_httpx_client", make)
    return client_with(driver, None, **settings)


def test_cookies_by_default_are_not_stored(driver: ClientDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Response cookies are not sent back; a `Cookie` header of the caller is."""
    setting = CookieServer()
    client = client_with_own_http(driver, monkeypatch, setting, api_key="a")
    for _ in range(3):
        driver.run(client.steps.list())
    driver.run(client.with_options(api_key="b").steps.list())
    driver.run(client.steps.list(extra_headers={"cookie": "mine=1"}))
    assert setting.seen == [*[("a", "")] * 3, ("b", ""), ("a", "mine=1")]


CASES = [
    (kind, way)
    for kind in ("own", "passed", "passed with cookies")
    for way in range(len(SETTINGS))
    if (kind, SETTINGS[way][0]) != ("own", "client")  # two such clients share no httpx client
]


@pytest.mark.parametrize(("kind", "way"), CASES)
def test_cookies_of_one_api_key_are_not_sent_with_another(
    driver: ClientDriver, kind: str, way: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 30 calls with two keys in random order, each key sends its own cookies and those of the caller."""
    setting = CookieServer()
    given = {"given": "1"} if kind == "passed with cookies" else {}
    http = None if kind == "own" else httpx_client(driver, setting, cookies=given)
    if http is None:
        one = client_with_own_http(driver, monkeypatch, setting, api_key="a", cookies=True)
    else:
        one = client_with(driver, http, api_key="a")
    target, settings = SETTINGS[way]
    other = one.with_options(**settings) if target == "with_options" else one
    if target == "client":
        other = client_with(driver, http, **settings)
    chance = random.Random(way)
    for _ in range(30):
        if chance.random() < 0.5:
            driver.run(one.steps.list())
        else:
            driver.run(other.steps.list(**(settings if target == "call" else {})))
    known: dict[str, set[str]] = {"a": set(given), "b": set(given)}
    for count, (key, sent) in enumerate(setting.seen, 1):
        names = {part.partition("=")[0] for part in sent.split("; ") if part}
        assert names == known[key]
        assert ("session=" not in sent) or f"session={key}" in sent
        known[key] |= {"session", f"from-{key}-{count % 3}"}
    assert {key for key, _ in setting.seen} == {"a", "b"}


def test_cookies_argument_of_wrong_type_raises_type_error(driver: ClientDriver) -> None:
    """A `cookies` argument that is not a bool raises `TypeError`."""
    kind: Any = AsyncLetta if driver.is_async else Letta
    with pytest.raises(TypeError, match="cookies must be a bool"):
        kind(cookies={"a": "b"})

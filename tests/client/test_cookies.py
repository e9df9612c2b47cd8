"""Cookies: none by default, and none that was set for another API key."""

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
"""Ways in which a request gets another key."""


class Setting:
    """Sets a cookie that names the key of the request, and keeps what each key sent."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        key = request.headers["authorization"].removeprefix("Bearer ")
        self.seen.append((key, request.headers.get("cookie", "")))
        count = len(self.seen)
        headers = [("set-cookie", f"session={key}; path=/"), ("set-cookie", f"from-{key}-{count % 3}=1; path=/")]
        return httpx.Response(200, json=[], headers=headers)


def passed(driver: ClientDriver, setting: Callable[[httpx.Request], httpx.Response], **settings: Any) -> Any:
    kind: Any = httpx.AsyncClient if driver.is_async else httpx.Client
    return kind(transport=httpx.MockTransport(setting), **settings)


def client_with(driver: ClientDriver, http: Any, **settings: Any) -> Any:
    kind: Any = AsyncLetta if driver.is_async else Letta
    return kind(base_url="http://letta.test", http_client=http, **settings)


def client_of(driver: ClientDriver, monkeypatch: pytest.MonkeyPatch, setting: Setting, **settings: Any) -> Any:
    """A client that sends with an httpx client of its own."""

    def make(kind: Any, *_: object, **arguments: Any) -> Any:
        return kind(transport=httpx.MockTransport(setting), cookies=arguments["cookies"])

    monkeypatch.setattr(default_client, "build_httpx_client", make)
    return client_with(driver, None, **settings)


def test_no_cookies_are_kept_by_default(driver: ClientDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cookies of responses are not sent, whatever the key; a `Cookie` header of the caller's is."""
    setting = Setting()
    client = client_of(driver, monkeypatch, setting, api_key="a")
    for _ in range(3):
        driver.run(client.steps.list())
    driver.run(client.with_options(api_key="b").steps.list())
    driver.run(client.steps.list(extra_headers={"cookie": "mine=1"}))
    assert setting.seen == [*[("a", "")] * 3, ("b", ""), ("a", "mine=1")]


CASES = [
    (kind, way)
    for kind in ("own", "passed", "passed with cookies")
    for way in range(len(SETTINGS))
    if (kind, SETTINGS[way][0]) != ("own", "client")  # two clients have nothing in common then
]


@pytest.mark.parametrize(("kind", "way"), CASES)
def test_cookies_of_one_key_are_not_sent_with_another(
    driver: ClientDriver, kind: str, way: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """30 calls with either key in any order: each sends the cookies that its own key got, and those of the caller."""
    setting = Setting()
    given = {"given": "1"} if kind == "passed with cookies" else {}
    http = None if kind == "own" else passed(driver, setting, cookies=given)
    if http is None:
        one = client_of(driver, monkeypatch, setting, api_key="a", cookies=True)
    else:
        one = client_with(driver, http, api_key="a")
    how, settings = SETTINGS[way]
    other = one.with_options(**settings) if how == "with_options" else one
    if how == "client":
        other = client_with(driver, http, **settings)
    chance = random.Random(way)
    for _ in range(30):
        if chance.random() < 0.5:
            driver.run(one.steps.list())
        else:
            driver.run(other.steps.list(**(settings if how == "call" else {})))
    known: dict[str, set[str]] = {"a": set(given), "b": set(given)}
    for count, (key, sent) in enumerate(setting.seen, 1):
        names = {part.partition("=")[0] for part in sent.split("; ") if part}
        assert names == known[key]
        assert ("session=" not in sent) or f"session={key}" in sent
        known[key] |= {"session", f"from-{key}-{count % 3}"}
    assert {key for key, _ in setting.seen} == {"a", "b"}


def test_cookies_must_be_a_bool(driver: ClientDriver) -> None:
    """Anything else is refused."""
    kind: Any = AsyncLetta if driver.is_async else Letta
    with pytest.raises(TypeError, match="cookies must be a bool"):
        kind(cookies={"a": "b"})

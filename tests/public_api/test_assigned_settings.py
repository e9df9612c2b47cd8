"""Settings that are assigned to a client, settings of a passed httpx client, and headers that are omitted."""

from __future__ import annotations

import asyncio
import importlib.util
import pickle
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from letta_ext import (
    DEFAULT_TIMEOUT,
    APITimeoutError,
    AsyncLetta,
    AuthenticationError,
    DefaultAioHttpClient,
    LettaError,
    RetryPolicy,
    omit,
)
from letta_ext.testing import EmbeddedServer

from ..client.helpers import BASE_URL, KEY, STEP, ClientDriver, ResponseQueue, loopback, make_response, respond_with

STEP_BODY = {"id": STEP}
NEW_KEY = "sk-let-the-second-key"


@pytest.fixture
def handler() -> ResponseQueue:
    return respond_with(make_response(200, json=STEP_BODY))


def sent(driver: ClientDriver, client: Any, handler: ResponseQueue, **options: Any) -> httpx.Request:
    driver.run(client.steps.retrieve(STEP, **options))
    return handler.requests[-1]


ASSIGNMENTS: dict[str, tuple[Any, Callable[[httpx.Request], object], Any]] = {
    "api_key": (NEW_KEY, lambda request: request.headers["authorization"], f"Bearer {NEW_KEY}"),
    "project": ("red", lambda request: request.headers["x-project"], "red"),
    "project_id": ("p-2", lambda request: request.headers["x-project-id"], "p-2"),
    "timeout": (7, lambda request: request.extensions["timeout"]["read"], 7),
    "base_url": ("http://other.test:81", lambda request: str(request.url), f"http://other.test:81/v1/steps/{STEP}"),
}


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_assigned_setting_applies_to_later_calls(driver: ClientDriver, handler: ResponseQueue, name: str) -> None:
    """An assigned setting can be read, and applies to later calls of the client, not to its copies."""
    value, part, expected = ASSIGNMENTS[name]
    client = driver.client(handler, project="blue", project_id="p-1")
    copy = client.with_options()
    before = part(sent(driver, client, handler))
    setattr(client, name, value)
    assert getattr(client, name) == value
    assert part(sent(driver, client, handler)) == expected
    assert part(sent(driver, client.with_options(), handler)) == expected
    assert part(sent(driver, copy, handler)) == before != expected


def test_assigned_max_retries_applies_to_later_calls(driver: ClientDriver) -> None:
    """Assigned `max_retries` changes the number of attempts, and no other field of the retry policy."""
    handler = respond_with(503)
    client = driver.client(handler, retry=RetryPolicy(max_retries=0, initial_delay=0))
    client.max_retries = 3
    with pytest.raises(LettaError):
        driver.run(client.steps.retrieve(STEP))
    assert (client.max_retries, len(handler.requests)) == (3, 4)


def test_assigned_none_removes_key_project_and_timeout(driver: ClientDriver, handler: ResponseQueue) -> None:
    """None removes the key, the project and the timeout, and `omit` restores the default timeout."""
    client = driver.client(handler, project="blue")
    client.api_key = client.project = client.timeout = None
    request = sent(driver, client, handler)
    assert not {"authorization", "x-project"} & request.headers.keys()
    assert set(request.extensions["timeout"].values()) == {None}
    assert (client.api_key, client.project, client.timeout) == (None, None, None)
    client.timeout = omit
    assert client.timeout == DEFAULT_TIMEOUT


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        *(("api_key", value, ValueError) for value in ("", "a\nb", "ü")),
        *(("api_key", value, TypeError) for value in (1, b"key")),
        *(("timeout", value, ValueError) for value in (0, -1, float("nan"))),
        *(("timeout", value, TypeError) for value in ("60", True)),
        *(("max_retries", value, ValueError) for value in (-1, 1.5)),
        ("max_retries", None, TypeError),
        *(("base_url", value, ValueError) for value in ("", "letta.test", "http://u:p@letta.test", "http://x.test/v1")),
        *(("base_url", value, TypeError) for value in (None, 1)),
    ],
)
def test_invalid_assignment_raises_and_changes_nothing(
    driver: ClientDriver, handler: ResponseQueue, name: str, value: Any, error: type[Exception]
) -> None:
    """An invalid value raises an error that names the setting, and the client keeps its settings."""
    client = driver.client(handler)
    before = getattr(client, name)
    with pytest.raises(error, match=name):
        setattr(client, name, value)
    assert getattr(client, name) == before
    assert sent(driver, client, handler).headers["authorization"] == f"Bearer {KEY}"


def test_assigned_key_applies_to_the_next_page_of_an_open_list(driver: ClientDriver) -> None:
    """A list that is open when the key is assigned requests its next page with the new key."""
    steps = [{"id": f"step-{number:08}-89b4-42d3-8456-426614174000"} for number in range(4)]
    handler = respond_with(
        make_response(200, json=steps[:2]), make_response(200, json=steps[1:]), make_response(200, json=steps[3:])
    )
    client = driver.client(handler)
    page = driver.run(client.steps.list(limit=2))
    client.api_key = NEW_KEY
    driver.run(page.get_next_page())
    assert [request.headers["authorization"] for request in handler.requests] == [f"Bearer {KEY}", f"Bearer {NEW_KEY}"]


@pytest.mark.parametrize("params", [{}, {"from": "httpx"}])
@pytest.mark.parametrize("change", ["assign", "copy"])
def test_replaced_key_is_still_redacted(driver: ClientDriver, change: str, params: dict[str, str]) -> None:
    """Errors contain neither the current nor a former key, also if a server sends all of them back."""
    keys = [KEY, NEW_KEY, "sk-let-the-third-key"]
    handler = respond_with(make_response(401, json={"detail": " ".join(keys)}, headers={"x-keys": ",".join(keys)}))
    http = driver.httpx_client(transport=httpx.MockTransport(handler), params=params)
    client = driver.client(base_url=BASE_URL, api_key=KEY, http_client=http)
    for key in keys[1:]:
        if change == "assign":
            client.api_key = key
        else:
            client = client.with_options(api_key=key)
    with pytest.raises(AuthenticationError) as caught:
        driver.run(client.steps.retrieve(STEP))
    text = "".join(map(repr, [caught.value, vars(caught.value), pickle.dumps(caught.value), client._transport.config]))
    assert caught.value.detail == "*** *** ***"
    assert not [key for key in keys if key in text]


def test_error_after_many_keys_is_raised_in_time(driver: ClientDriver) -> None:
    """A client whose key was replaced a thousand times raises within 2 seconds of processor time, redacted."""
    handler = respond_with(make_response(401, json={"detail": "sk-number-00000999 is gone"}))
    client = driver.client(handler)
    for number in range(1001):
        client.api_key = f"sk-number-{number:08}"
    started = time.process_time()
    with pytest.raises(AuthenticationError) as caught:
        driver.run(client.steps.retrieve(STEP))
    assert time.process_time() - started < 2
    assert caught.value.detail == "*** is gone"


def test_set_default_headers_and_query_replace_those_of_the_client(
    driver: ClientDriver, handler: ResponseQueue
) -> None:
    """`set_default_headers` and `set_default_query` replace the defaults, which `default_*` extend."""
    client = driver.client(handler, default_headers={"X-A": "1"}, default_query={"a": 1})
    replaced = client.copy(set_default_headers={"X-B": "2"}, set_default_query={"b": 2})
    request = sent(driver, replaced.with_options(default_headers={"X-C": "3"}, default_query={"c": 3}), handler)
    assert {name: request.headers.get(name) for name in ("x-a", "x-b", "x-c")} == {"x-a": None, "x-b": "2", "x-c": "3"}
    assert dict(request.url.params) == {"b": "2", "c": "3"}
    emptied = sent(driver, client.copy(set_default_headers={}, set_default_query={}), handler)
    assert "x-a" not in emptied.headers
    assert not emptied.url.query


@pytest.mark.parametrize("name", ["default_headers", "default_query"])
def test_set_default_beside_default_raises(driver: ClientDriver, handler: ResponseQueue, name: str) -> None:
    """A replacement beside an extension raises ValueError, and one of a wrong type TypeError."""
    client = driver.client(handler)
    with pytest.raises(ValueError, match=f"{name} and set_{name} are mutually exclusive"):
        client.with_options(**{name: {"X-A": "1"}, f"set_{name}": {"X-B": "2"}})
    with pytest.raises(TypeError, match=f"set_{name} must be a mapping"):
        client.with_options(**{f"set_{name}": [("X-B", "2")]})


OMITTED = ["X-Default", "authorization", "X-PROJECT", "User-Agent", "accept", "Accept-Encoding", "X-Of-Httpx"]


@pytest.mark.parametrize("params", [{}, {"from": "httpx"}])
@pytest.mark.parametrize("level", ["call", "client", "copy"])
@pytest.mark.parametrize("name", OMITTED)
def test_omitted_header_is_not_sent(driver: ClientDriver, name: str, level: str, params: dict[str, str]) -> None:
    """`omit` removes a header of the client, of httpx and of the library, from the request and its redirects."""
    handler = respond_with(make_response(307, headers={"location": "/moved"}), make_response(200, json=STEP_BODY))
    http = driver.httpx_client(transport=httpx.MockTransport(handler), headers={"X-Of-Httpx": "1"}, params=params)
    headers: dict[str, Any] = {"X-Default": "1"}
    client = driver.client(
        base_url=BASE_URL,
        api_key=KEY,
        project="blue",
        http_client=http,
        default_headers={**headers, name: omit} if level == "client" else headers,
    )
    if level == "copy":
        client = client.with_options(default_headers={name: omit})
    driver.run(client.steps.retrieve(STEP, **({"extra_headers": {name: omit}} if level == "call" else {})))
    assert len(handler.requests) == 2
    for request in handler.requests:
        assert name not in request.headers
        assert all(other in request.headers for other in {*OMITTED} - {name} if other.lower() != name.lower())


def test_header_of_a_call_replaces_one_that_the_client_omits(driver: ClientDriver, handler: ResponseQueue) -> None:
    """A header of a call is sent although the client omits it, and one that the call omits is not."""
    client = driver.client(handler, default_headers={"User-Agent": omit})
    assert sent(driver, client, handler, extra_headers={"user-agent": "mine"}).headers["user-agent"] == "mine"
    assert "user-agent" not in sent(driver, client, handler).headers


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding"])
def test_required_header_cannot_be_omitted(driver: ClientDriver, handler: ResponseQueue, name: str) -> None:
    """A header that HTTP requires cannot be omitted."""
    with pytest.raises(ValueError, match=f"header {name} must not be omitted"):
        driver.run(driver.client(handler).steps.retrieve(STEP, extra_headers={name: omit}))
    assert not handler.requests


# The timeout of a passed httpx client.


def read_timeout(request: httpx.Request) -> float | None:
    seconds: float | None = request.extensions["timeout"]["read"]
    return seconds


def test_passed_http_client_keeps_its_timeout(driver: ClientDriver, handler: ResponseQueue) -> None:
    """A call uses the timeout of the call, then of the client, then of the httpx client, then the default."""
    http = driver.httpx_client(transport=httpx.MockTransport(handler), timeout=httpx.Timeout(11, read=12))
    client = driver.client(base_url=BASE_URL, http_client=http)
    assert client.timeout == http.timeout
    assert sent(driver, client, handler).extensions["timeout"] == http.timeout.as_dict()
    assert read_timeout(sent(driver, client, handler, timeout=3)) == 3
    assert read_timeout(sent(driver, client.with_options(timeout=4), handler)) == 4
    assert read_timeout(sent(driver, driver.client(base_url=BASE_URL, http_client=http, timeout=5), handler)) == 5
    unlimited = driver.httpx_client(transport=httpx.MockTransport(handler), timeout=None)
    assert read_timeout(sent(driver, client.with_options(http_client=unlimited), handler)) is None
    unchosen = driver.httpx_client(transport=httpx.MockTransport(handler))
    assert driver.client(base_url=BASE_URL, http_client=unchosen).timeout == DEFAULT_TIMEOUT


def test_timeout_of_passed_http_client_ends_a_call_on_a_socket(driver: ClientDriver) -> None:
    """A server that does not respond ends in APITimeoutError after the timeout of the passed httpx client."""
    with loopback(b"") as server:
        http = driver.httpx_client(timeout=0.1)
        client = driver.client(base_url=server.base_url, http_client=http, max_retries=0)
        with pytest.raises(APITimeoutError, match="while reading"):
            driver.run(client.steps.retrieve(STEP))


def test_passed_http_client_with_too_long_timeout_raises(driver: ClientDriver) -> None:
    """A timeout of the httpx client that no system call accepts raises an error that names the client."""
    with pytest.raises(ValueError, match="the timeout of http_client must be from 0 to"):
        driver.client(base_url=BASE_URL, http_client=driver.httpx_client(timeout=1e12))


# aiohttp.


def test_aiohttp_client_sends_the_requests_of_a_client() -> None:
    """`DefaultAioHttpClient` has the default timeout, and sends requests and streams."""

    async def use(server: EmbeddedServer) -> None:
        async with DefaultAioHttpClient() as http, AsyncLetta(base_url=server.base_url, http_client=http) as client:
            assert client.timeout == DEFAULT_TIMEOUT
            stream = await client.conversations.messages.create(server.conversation_id, input="hi")
            assert (await stream.result()).messages
            assert len((await client.steps.list()).items) == 1

    with EmbeddedServer() as server:
        asyncio.run(use(server))


def test_aiohttp_client_without_the_package_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, `DefaultAioHttpClient` raises an error that names the extra to install."""
    found = importlib.util.find_spec("letta_ext._http.aiohttp_client")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    monkeypatch.setattr(importlib.util, "find_spec", dict[str, None]().get)
    found.loader.exec_module(module)
    with pytest.raises(LettaError, match=r"letta-ext\[aiohttp\]"):
        module.DefaultAioHttpClient()

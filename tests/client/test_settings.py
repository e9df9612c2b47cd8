"""Settings of a client and options of a call: their effect on requests, and their validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from letta_ext import AsyncLetta, Letta, LettaError

from .helpers import BASE_URL, CONVERSATION, KEY, STEP, ClientDriver, make_response, respond_with
from .test_bad_input import ALL, Call, create

# Options of a call


def sent(
    driver: ClientDriver, function: Callable[[Any], Call], *ids: str, client: dict[str, Any], **arguments: Any
) -> httpx.Request:
    handler = respond_with(404)
    with pytest.raises(LettaError):
        driver.run(function(driver.client(handler, **client))(*ids, **arguments))
    (request,) = handler.requests
    return request


@pytest.mark.parametrize("name", ["authorization", "Authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("where", ["default_headers", "extra_headers"])
def test_custom_header_replaces_default_case_insensitively(driver: ClientDriver, where: str, name: str) -> None:
    """A custom header replaces the client's own in any case."""
    headers = {name: "Bearer other", "accept": "text/plain", "user-agent": "mine/1"}
    default: dict[str, Any] = (
        {"client": {where: headers}} if where == "default_headers" else {"client": {}, where: headers}
    )
    request = sent(driver, ALL["steps.retrieve"], STEP, **default)
    assert request.headers.get_list("authorization") == ["Bearer other"]
    assert request.headers.get_list("user-agent") == ["mine/1"]
    assert len(request.headers.get_list("accept")) == 1


def test_extra_headers_override_default_headers(driver: ClientDriver) -> None:
    """Headers of a call override those of the client."""
    request = sent(
        driver,
        ALL["steps.retrieve"],
        STEP,
        client={"default_headers": {"X-A": "1", "X-B": "1"}},
        extra_headers={"X-B": "2"},
    )
    assert (request.headers.get_list("x-a"), request.headers.get_list("x-b")) == (["1"], ["2"])


def test_default_and_extra_query_are_merged(driver: ClientDriver) -> None:
    """Query parameters of the client and of the call are merged."""
    request = sent(
        driver,
        ALL["steps.list"],
        client={"default_query": {"a": 1, "b": "x"}},
        extra_query={"b": "y", "c": True, "d": ["1", "2"]},
        tags=["t1", "t&2"],
    )
    assert request.url.params.multi_items() == [
        ("tags", "t1"),
        ("tags", "t&2"),
        ("a", "1"),
        ("b", "y"),
        ("c", "true"),
        ("d", "1"),
        ("d", "2"),
    ]


def test_extra_body_adds_fields(driver: ClientDriver) -> None:
    """`extra_body` adds fields to the body."""
    request = sent(driver, create, CONVERSATION, client={}, input="hi", extra_body={"new": {"x": [1]}})
    assert request.content == b'{"input":"hi","new":{"x":[1]}}'


@pytest.mark.parametrize(
    ("client", "call", "expected"),
    [
        ({}, {}, httpx.Timeout(60, connect=5)),
        ({"timeout": 7}, {}, httpx.Timeout(7)),
        ({"timeout": None}, {}, httpx.Timeout(None)),
        ({"timeout": httpx.Timeout(3, read=4)}, {}, httpx.Timeout(3, read=4)),
        ({"timeout": 7}, {"timeout": 8}, httpx.Timeout(8)),
        ({"timeout": 7}, {"timeout": None}, httpx.Timeout(None)),
    ],
)
def test_timeout_of_call_overrides_client_timeout(
    driver: ClientDriver, client: dict[str, Any], call: dict[str, Any], expected: httpx.Timeout
) -> None:
    """The timeout of a call overrides that of the client, which overrides the default."""
    request = sent(driver, ALL["steps.retrieve"], STEP, client=client, **call)
    assert request.extensions["timeout"] == expected.as_dict()


# Constructor


def test_request_has_identification_headers(driver: ClientDriver) -> None:
    """A request has the API key, user agent and project headers."""
    request = sent(driver, ALL["steps.retrieve"], STEP, client={"project": "demo", "project_id": "p-1"})
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["user-agent"].startswith("letta_ext/")
    assert (request.headers["x-project"], request.headers["x-project-id"]) == ("demo", "p-1")
    assert request.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("settings", "environment", "url"),
    [
        ({}, {}, "https://api.letta.com"),
        ({"environment": "cloud"}, {"LETTA_BASE_URL": "http://env.test"}, "https://api.letta.com"),
        ({"environment": "local"}, {}, "http://localhost:8283"),
        ({"base_url": "http://a.test/"}, {"LETTA_BASE_URL": "http://env.test"}, "http://a.test"),
        ({"base_url": "http://a.test:81/letta//"}, {}, "http://a.test:81/letta"),
        ({"base_url": httpx.URL("https://a.test")}, {}, "https://a.test"),
        ({}, {"LETTA_BASE_URL": "http://env.test/x/"}, "http://env.test/x"),
        ({}, {"LETTA_BASE_URL": ""}, "https://api.letta.com"),
        ({}, {"LETTA_BASE_URL": " \r\n"}, "https://api.letta.com"),
        ({}, {"LETTA_BASE_URL": "http://env.test\r"}, "http://env.test"),
        ({}, {"LETTA_BASE_URL": "\thttp://env.test/ \n"}, "http://env.test"),
        ({"base_url": "http://[::1]:8283/"}, {}, "http://[::1]:8283"),
        ({"base_url": "http://bücher.test."}, {}, "http://xn--bcher-kva.test."),
        ({"base_url": "http://gateway.test/v1/letta"}, {}, "http://gateway.test/v1/letta"),
    ],
)
def test_base_url_is_resolved_from_argument_environment_and_default(
    driver: ClientDriver,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    environment: dict[str, str],
    url: str,
) -> None:
    """The base URL comes from the argument, the environment name, the variable or the default."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    request = sent(driver, ALL["steps.list"], client={"base_url": None, **settings})
    assert str(request.url) == f"{url}/v1/steps/"
    assert driver.client(**settings).base_url == url


@pytest.mark.parametrize(
    ("settings", "environment", "header"),
    [
        ({"api_key": None}, {}, None),
        ({"api_key": None}, {"LETTA_API_KEY": "sk-env"}, "Bearer sk-env"),
        ({"api_key": None}, {"LETTA_API_KEY": ""}, None),
        ({"api_key": "sk-own"}, {"LETTA_API_KEY": "sk-env"}, "Bearer sk-own"),
    ],
)
def test_api_key_is_resolved_from_argument_then_environment(
    driver: ClientDriver,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    environment: dict[str, str],
    header: str | None,
) -> None:
    """The API key comes from the argument, then the variable."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert sent(driver, ALL["steps.list"], client=settings).headers.get("authorization") == header


@pytest.mark.parametrize(
    ("settings", "error_class", "message"),
    [
        ({"base_url": "letta.test"}, ValueError, "base_url must begin with http:// or https:// and contain a host"),
        (
            {"base_url": "ftp://letta.test"},
            ValueError,
            "base_url must begin with http:// or https:// and contain a host",
        ),
        ({"base_url": "http://"}, ValueError, "base_url must begin with http:// or https:// and contain a host"),
        ({"base_url": "http://a.test?x=1"}, ValueError, "base_url must not contain a query or fragment"),
        ({"base_url": "http://a.test/#x"}, ValueError, "base_url must not contain a query or fragment"),
        ({"base_url": "http://a.test:x"}, ValueError, "base_url must be a valid URL, such as http://localhost:8283"),
        ({"base_url": "http://a\n"}, ValueError, "base_url must be a valid URL, such as http://localhost:8283"),
        ({"base_url": "http://me:pw@a.test"}, ValueError, "base_url must not contain a user name or password"),
        ({"environment": "moon"}, ValueError, "environment must be 'cloud' or 'local', got 'moon'"),
        (
            {"environment": "local", "base_url": "http://a.test"},
            ValueError,
            "base_url and environment are mutually exclusive: both set the URL of the server",
        ),
        ({"api_key": 7}, TypeError, "api_key must be a string, got int"),
        ({"api_key": "a\nb"}, ValueError, "api_key must be printable ASCII without surrounding spaces"),
        ({"api_key": ""}, ValueError, "api_key must "),
        ({"project": "a\nb"}, ValueError, "project must be printable ASCII without surrounding spaces"),
        ({"project": 7}, TypeError, "project must be a string, got int"),
        ({"project_id": b"x"}, TypeError, "project_id must be a string, got bytes"),
        ({"base_url": 7}, TypeError, "base_url must be a string or an httpx.URL, got int"),
        ({"base_url": b"http://a.test"}, TypeError, "base_url must be a string or an httpx.URL, got bytes"),
        ({"base_url": ""}, ValueError, "base_url must begin with"),
        ({"base_url": "http://a b"}, ValueError, "base_url must not contain spaces"),
        ({"base_url": "http://a.test/?"}, ValueError, "base_url must not contain a query or fragment"),
        ({"base_url": "http://a.test/v1"}, ValueError, "base_url must not end in /v1: the paths of the API begin with"),
        ({"base_url": "http://a.test/x/v1/"}, ValueError, "base_url must not end in /v1"),
        ({"base_url": "http://a.test:0"}, ValueError, "base_url must contain a port from 1 to 65535, got 0"),
        ({"base_url": "http://a.test:65536"}, ValueError, "base_url must contain a port from 1 to 65535, got 65536"),
        (
            {"base_url": f"http://{'a' * 64}.test"},
            ValueError,
            "base_url must contain a host of up to 253 characters in labels of 1 to 63",
        ),
        (
            {"base_url": "http://a..test"},
            ValueError,
            "base_url must contain a host of up to 253 characters in labels of 1 to 63",
        ),
        (
            {"base_url": "http://" + "a." * 127 + "test"},
            ValueError,
            "base_url must contain a host of up to 253 characters in labels of 1 to 63",
        ),
        ({"base_url": "http://xn--a"}, ValueError, "base_url must be a valid URL"),
        ({"base_url": "http://a\ud800"}, ValueError, "base_url must be a valid URL"),
        ({"base_url": "http://a.test/" + "x" * 70_000}, ValueError, "base_url must be"),
        ({"timeout": httpx.Timeout(-1)}, ValueError, "timeout must be from 0 to 10000000 seconds, got connect=-1"),
        ({"max_retries": True}, ValueError, "max_retries must be an integer of 0 or more, got True"),
        ({"default_headers": "X: 1"}, TypeError, "default_headers must be a mapping, got str"),
        ({"default_headers": [("X", "1")]}, TypeError, "default_headers must be a mapping, got list"),
        ({"default_query": 7}, TypeError, "default_query must be a mapping, got int"),
        ({"default_query": {1: "x"}}, TypeError, "default_query must have strings as keys, got int"),
        ({"default_query": {"a": {"b": 1}}}, TypeError, "default_query['a'] must be a string, a number, True"),
        ({"when_busy": "no"}, ValueError, "when_busy must be 'raise', 'wait' or a BusyPolicy, got 'no'"),
        ({"hooks": 7}, TypeError, "hooks must be a Hooks, got int"),
        ({"stream_limits": 7}, TypeError, "stream_limits must be a StreamLimits, got int"),
        ({"timeout": -1}, ValueError, "timeout must be a positive number of seconds up to 10000000, got -1"),
        ({"timeout": True}, TypeError, "timeout must be a number of seconds, an httpx.Timeout or None, got True"),
        ({"max_retries": -1}, ValueError, "max_retries must be an integer of 0 or more, got -1"),
        ({"max_retries": 1.5}, ValueError, "max_retries must be an integer of 0 or more, got 1.5"),
        ({"retry": 3}, TypeError, "retry must be "),
        ({"default_headers": {"a:b": "c"}}, ValueError, "a header name must be an HTTP token, got 'a:b'"),
        ({"default_headers": {"X": None}}, TypeError, "header X must be a string, got NoneType"),
        ({"http_client": object()}, TypeError, "http_client must be an httpx."),
    ],
)
@pytest.mark.parametrize("cls", [Letta, AsyncLetta])
def test_invalid_client_setting_raises_error_naming_it(
    cls: type, settings: dict[str, Any], error_class: type[Exception], message: str
) -> None:
    """An invalid setting raises an error that names it and contains no password."""
    with pytest.raises(error_class) as caught:
        cls(**settings)
    assert str(caught.value).startswith(message)
    assert "pw" not in str(caught.value)


def test_http_client_of_other_kind_raises_type_error() -> None:
    """A sync client rejects an async httpx client, and vice versa."""
    with (
        httpx.Client() as http,
        pytest.raises(TypeError, match=r"http_client must be an httpx\.AsyncClient, got Client"),
    ):
        AsyncLetta(http_client=http)  # type: ignore[arg-type]  # rejected at run time
    with pytest.raises(TypeError, match=r"http_client must be an httpx\.Client, got AsyncClient"):
        Letta(http_client=httpx.AsyncClient())  # type: ignore[arg-type]  # rejected at run time


def test_close_leaves_passed_http_client_open(driver: ClientDriver) -> None:
    """Closing the client leaves a passed httpx client open."""
    http = driver.httpx_client(transport=httpx.MockTransport(respond_with(make_response(200, json=[]))))
    client = driver.client(base_url=BASE_URL, http_client=http)
    driver.run(client.steps.list())
    driver.run(client.close())
    assert client.is_closed()
    assert not http.is_closed

"""Requests that skip `httpx.Client.send`: each feature of an httpx client still has its effect."""

from __future__ import annotations

import gc
import inspect
import logging
import socket
from base64 import b64encode
from collections.abc import Generator
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
import pytest

from letta_ext._http.direct_send import STEPS
from letta_ext.errors import APIConnectionError
from tests.bench.counting import without_collections

from .helpers import ClientDriver
from .servers import serving


def respond(_: httpx.Request, **head: Any) -> httpx.Response:
    return httpx.Response(200, json=[], **head)


def respond_over_socket(connection: socket.socket, *_: object) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]")


def call(driver: ClientDriver, http: Any, base_url: str = "http://letta.test") -> None:
    driver.run(driver.client(base_url=base_url, api_key="key", max_retries=0, http_client=http).steps.list())


def recorder(original: Any, seen: list[str], name: str) -> Any:
    """Return a method that records its calls."""

    def method(*args: Any, **options: Any) -> Any:
        seen.append(name)
        return original(*args, **options)

    return method


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("place", ["class", "subclass", "instance"])
def test_replaced_method_of_httpx_is_called(
    driver: ClientDriver, name: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method of httpx that a recorder or tracer has replaced is called for each request."""
    kind: Any = httpx.AsyncClient if driver.is_async else httpx.Client
    seen: list[str] = []
    if place == "class":
        monkeypatch.setattr(kind, name, recorder(getattr(kind, name), seen, name))
    elif place == "subclass":
        kind = type("Own", (kind,), {name: recorder(getattr(kind, name), seen, name)})
    http = kind(transport=httpx.MockTransport(respond))  # without connections to close
    if place == "instance":
        setattr(http, name, recorder(getattr(http, name), seen, name))
    for _ in range(2):
        call(driver, http)
    assert seen == [name, name]


def test_replaced_transport_method_is_called(driver: ClientDriver) -> None:
    """A method that a tracer has set on the transport of a client is called for each request."""
    seen: list[str] = []
    transport, name = httpx.MockTransport(respond), "handle_async_request" if driver.is_async else "handle_request"
    setattr(transport, name, recorder(getattr(transport, name), seen, name))
    call(driver, driver.httpx_client(transport=transport))
    assert seen == [name]


class HeaderAuth(httpx.Auth):
    """An `auth=` flow that adds a header."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["x-auth"] = "added"
        yield request


def test_auth_of_http_client_is_applied(driver: ClientDriver) -> None:
    """The `auth=` flow of an httpx client changes the request."""
    seen: list[str | None] = []

    def record(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("x-auth"))
        return respond(request)

    call(driver, driver.httpx_client(transport=httpx.MockTransport(record), auth=HeaderAuth()))
    assert seen == ["added"]


def test_user_info_of_redirect_is_sent(driver: ClientDriver) -> None:
    """The user and the password in the target of a redirect are sent as basic authentication."""
    seen: list[str] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        target = "http://user:secret@letta.test/v1/steps/"
        return respond(request) if len(seen) > 1 else httpx.Response(307, headers={"location": target})

    call(driver, driver.httpx_client(transport=httpx.MockTransport(redirect)))
    assert seen == ["Bearer key", f"Basic {b64encode(b'user:secret').decode()}"]


@pytest.mark.parametrize("event", ["request", "response"])
def test_event_hook_of_http_client_is_called(driver: ClientDriver, event: str) -> None:
    """The hooks of an httpx client are called, also those that are added after the first request."""
    seen: list[str] = []

    def record(_: object) -> None:
        seen.append(event)

    async def record_async(_: object) -> None:
        seen.append(event)

    http = driver.httpx_client(transport=httpx.MockTransport(respond))
    call(driver, http)
    http.event_hooks[event].append(record_async if driver.is_async else record)
    call(driver, http)
    assert seen == [event]


def test_log_of_httpx_has_each_request(driver: ClientDriver, caplog: pytest.LogCaptureFixture) -> None:
    """httpx logs the request if its log is enabled."""
    with caplog.at_level(logging.INFO, "httpx"):
        call(driver, driver.httpx_client(transport=httpx.MockTransport(respond)))
    assert [record.getMessage() for record in caplog.records if record.name == "httpx"] == [
        'HTTP Request: GET http://letta.test/v1/steps/ "HTTP/1.1 200 OK"'
    ]


def test_cookie_jar_of_caller_gets_each_response(driver: ClientDriver) -> None:
    """A cookie jar of another class gets responses without cookies, too."""
    seen: list[int] = []

    class OwnJar(CookieJar):
        def extract_cookies(self, response: Any, request: Any) -> None:
            seen.append(1)
            super().extract_cookies(response, request)

    call(driver, driver.httpx_client(transport=httpx.MockTransport(respond), cookies=OwnJar()))
    assert seen == [1]


@pytest.mark.parametrize("header", ["Set-Cookie", "Set-Cookie2"])
def test_cookie_of_response_is_stored(driver: ClientDriver, header: str) -> None:
    """The cookies of a response are stored as `httpx.Client.send` stores them."""
    head = {header: "session=1; path=/; Version=1"}
    transport = httpx.MockTransport(partial(respond, headers=head))
    policy = DefaultCookiePolicy(rfc2965=True)
    ours, bare = (driver.httpx_client(transport=transport, cookies=CookieJar(policy)) for _ in range(2))
    call(driver, ours)
    driver.run(bare.get("http://letta.test/v1/steps/"))
    stored = [[str(cookie) for cookie in http.cookies.jar] for http in (ours, bare)]
    assert stored[0] == stored[1]
    assert len(stored[0]) == 1


def test_mounted_transport_gets_its_requests(driver: ClientDriver) -> None:
    """A transport that is mounted for an address gets the requests to it."""
    seen: list[str] = []

    def record(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return respond(request)

    mounts = {"all://letta.test": httpx.MockTransport(record)}
    call(driver, driver.httpx_client(transport=httpx.MockTransport(respond), mounts=mounts))
    assert seen == ["letta.test"]


def test_default_encoding_of_http_client_applies(driver: ClientDriver) -> None:
    """The text of a response without a charset has the default encoding of the httpx client."""

    def respond_latin(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content='["é"]'.encode("latin-1"), headers={"content-type": "text/plain"})

    http = driver.httpx_client(transport=httpx.MockTransport(respond_latin), default_encoding="latin-1")
    client = driver.client(base_url="http://letta.test", http_client=http)
    response = driver.run(client.with_raw_response.steps.list())
    assert response.http_response.text == '["é"]'


def test_transport_of_caller_is_called_by_httpx(driver: ClientDriver) -> None:
    """A transport of another package runs below httpx: finalizers detect its locks by the frames of httpx."""
    found: list[bool] = []

    def record() -> httpx.Response:
        frame: Any = inspect.currentframe()
        names: list[str] = []
        while frame is not None:
            names.append(frame.f_globals.get("__name__", ""))
            frame = frame.f_back
        found.append("httpx._client" in names)
        return httpx.Response(200, json=[])

    class Own(httpx.BaseTransport, httpx.AsyncBaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return record()

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return record()

    call(driver, driver.httpx_client(transport=Own()))
    assert found == [True]


def test_transport_error_has_its_request(driver: ClientDriver) -> None:
    """An error that a transport raises without a request gets the request."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(APIConnectionError) as caught:
        call(driver, driver.httpx_client(transport=httpx.MockTransport(fail)))
    cause = caught.value.__cause__
    assert isinstance(cause, httpx.ConnectError)
    assert cause.request.url.path == "/v1/steps/"


def test_redirect_to_invalid_url_is_connection_error(driver: ClientDriver) -> None:
    """A redirect to an invalid URL is an error of the protocol, as in `httpx.Client.send`."""

    def redirect(_: httpx.Request) -> httpx.Response:
        return httpx.Response(307, headers={"location": "http://letta.test:port/"})

    with pytest.raises(APIConnectionError) as caught:
        call(driver, driver.httpx_client(transport=httpx.MockTransport(redirect)))
    assert isinstance(caught.value.__cause__, httpx.RemoteProtocolError)


def responses() -> list[httpx.Response]:
    return [each for each in gc.get_objects() if type(each) is httpx.Response]


def test_response_over_socket_is_freed_without_collection(driver: ClientDriver) -> None:
    """The response of a call and its body are in no reference cycle."""
    with serving(respond_over_socket) as server:
        http = driver.httpx_client()
        call(driver, http, server.base_url)
        with without_collections():
            before = responses()
            call(driver, http, server.base_url)
            assert [each for each in responses() if each not in before] == []


def test_response_over_socket_has_elapsed_time(driver: ClientDriver) -> None:
    """`elapsed` is set when the body was read."""
    with serving(respond_over_socket) as server:
        client = driver.client(base_url=server.base_url, http_client=driver.httpx_client())
        response = driver.run(client.with_raw_response.steps.list())
        assert response.http_response.elapsed.total_seconds() > 0

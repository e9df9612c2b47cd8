"""Which failures prove that a request was not sent, on real sockets: only then is a message sent again."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from typing import Any

import httpx
import pytest

from .attempts import (
    ANSWER,
    CALLS,
    CLASSES,
    answered,
    attempt,
    awaitable,
    check_doubt,
    check_noted,
    check_unsent,
    http_client,
)
from .helpers import ClientDriver
from .servers import closed_port, response, serving

# Hooks.


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("cls", CLASSES)
def test_a_response_hook_that_raises_a_transport_error_is_no_evidence(
    driver: ClientDriver, cls: type[httpx.TransportError], call: str
) -> None:
    def fail(_: httpx.Response) -> None:
        raise cls("elsewhere")

    with serving(answered) as server:
        check_noted(*attempt(driver, server.base_url, http_client(driver, hooks={"response": fail}), call))
        assert len(server.requests) == 1


@pytest.mark.parametrize("call", CALLS)
def test_a_response_hook_whose_own_request_is_refused_is_no_evidence(driver: ClientDriver, call: str) -> None:
    elsewhere = f"http://127.0.0.1:{closed_port()}/audit"

    def audit(_: httpx.Response) -> None:
        httpx.post(elsewhere)

    with serving(answered) as server:
        check_noted(*attempt(driver, server.base_url, http_client(driver, hooks={"response": audit}), call))
        assert len(server.requests) == 1


def test_a_response_hook_that_finds_no_free_connection_elsewhere_is_no_evidence(driver: ClientDriver) -> None:
    limits, timeout = httpx.Limits(max_connections=1), httpx.Timeout(5, pool=0.02)

    def audit(_: httpx.Response) -> None:
        other.get(server.base_url)

    def hide(request: httpx.Request) -> None:
        request.extensions.pop("trace", None)

    with serving(answered) as server, httpx.Client(limits=limits, timeout=timeout) as other:
        with other.stream("GET", server.base_url):
            for hooks in ({"response": audit}, {"request": hide, "response": audit}):
                check_noted(*attempt(driver, server.base_url, http_client(driver, hooks=hooks)))
        assert len(server.requests) == 3


@pytest.mark.parametrize("cls", CLASSES)
def test_a_hook_that_hides_the_steps_of_a_request_leaves_doubt(
    driver: ClientDriver, cls: type[httpx.TransportError]
) -> None:
    seen: list[str] = []

    def note(name: str, _: object) -> None:
        seen.append(name)

    def replace(request: httpx.Request) -> None:
        request.extensions["trace"] = awaitable(note) if driver.is_async else note

    def fail(response: httpx.Response) -> None:
        raise cls("elsewhere", request=response.request)

    hooks = {"request": replace, "response": fail}
    with serving(answered) as server:
        check_doubt(*attempt(driver, server.base_url, http_client(driver, hooks=hooks)))
        assert len(server.requests) == 1
    assert "http11.send_request_headers.started" in seen


def test_a_clients_own_trace_is_called_too(driver: ClientDriver) -> None:
    """A client that traces its requests goes on doing so, and what was not sent is still sent again."""
    seen: list[str] = []

    def note(name: str, _: object) -> None:
        seen.append(name)

    trace = awaitable(note) if driver.is_async else note

    def with_trace(build: Callable[..., httpx.Request]) -> Callable[..., httpx.Request]:
        def build_request(self: Any, *arguments: Any, **options: Any) -> httpx.Request:
            request = build(self, *arguments, **options)
            request.extensions["trace"] = trace
            return request

        return build_request

    kind: Any = httpx.AsyncClient if driver.is_async else httpx.Client
    tracing = type("Tracing", (kind,), {"build_request": with_trace(kind.build_request)})
    http = tracing()
    driver._to_close.append(http)
    with serving(answered) as server:
        assert attempt(driver, server.base_url, http)[0] is None
    assert [name for name in seen if name.startswith("http11.send_request_headers")] == [
        "http11.send_request_headers.started",
        "http11.send_request_headers.complete",
    ]
    seen.clear()
    check_unsent(*attempt(driver, f"http://127.0.0.1:{closed_port()}", http))
    assert seen == ["connection.connect_tcp.started", "connection.connect_tcp.failed"] * 3


# Flows of `auth=`.


class Flow(httpx.Auth):
    """A flow that may send the request, or a copy, and then does what it is told to."""

    def __init__(self, copies: int, then: Callable[[httpx.Request], httpx.Request]) -> None:
        self.copies = copies
        self.then = then

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        for _ in range(self.copies):
            yield httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
        yield self.then(request)


def refused(request: httpx.Request) -> httpx.Request:
    request.url = request.url.copy_with(port=closed_port())
    return request


def raising(_: httpx.Request) -> httpx.Request:
    raise httpx.ConnectError("the token service is down")


@pytest.mark.parametrize("then", [refused, raising])
@pytest.mark.parametrize("copies", [1, 2])
def test_a_flow_that_has_sent_the_request_before_leaves_doubt(
    driver: ClientDriver, copies: int, then: Callable[[httpx.Request], httpx.Request]
) -> None:
    with serving(answered) as server:
        check = check_doubt if then is refused else check_noted
        check(*attempt(driver, server.base_url, http_client(driver, auth=Flow(copies, then))))
        assert len(server.requests) == copies


def test_a_flow_that_fails_before_it_sends_anything_leaves_doubt(driver: ClientDriver) -> None:
    with serving(answered) as server:
        check_noted(*attempt(driver, server.base_url, http_client(driver, auth=Flow(0, raising))))
        assert server.requests == []


def test_a_token_that_was_fetched_first_is_no_doubt(driver: ClientDriver) -> None:
    """The request for a token was sent, that of the message was not."""

    class Token(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            yield httpx.Request("POST", f"{tokens.base_url}/token")
            yield request

    with serving(answered) as tokens:
        check_unsent(*attempt(driver, f"http://127.0.0.1:{closed_port()}", http_client(driver, auth=Token())))
        assert len(tokens.requests) == 3


@pytest.mark.parametrize("auth", [("user", "password"), httpx.DigestAuth("user", "password")], ids=["basic", "digest"])
def test_httpx_own_flows_work_and_leave_no_doubt(driver: ClientDriver, auth: Any) -> None:
    challenge = response(b"", "401 Unauthorized", www_authenticate='Digest realm="r", nonce="n", qop="auth"')

    def challenging(connection: socket.socket, request: bytes, _: int) -> None:
        connection.sendall(ANSWER if b"username=" in request or b"Basic" in request else challenge)

    with serving(challenging) as server:
        assert attempt(driver, server.base_url, http_client(driver, auth=auth))[0] is None
    check_unsent(*attempt(driver, f"http://127.0.0.1:{closed_port()}", http_client(driver, auth=auth)))


# Transports.


def delivering(driver: ClientDriver, deliver: Callable[[httpx.Request], None]) -> Any:
    """A transport that delivers a request by other means first, and then sends it as httpx does."""
    if driver.is_async:

        class AsyncDelivering(httpx.AsyncHTTPTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                deliver(request)
                return await super().handle_async_request(refused(request))

        return AsyncDelivering()

    class Delivering(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            deliver(request)
            return super().handle_request(refused(request))

    return Delivering()


def post_copy(request: httpx.Request) -> None:
    httpx.request(request.method, request.url, content=request.content)


def post_and_lose(request: httpx.Request) -> None:
    post_copy(request)
    raise httpx.ConnectTimeout("the answer was lost") from OSError()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("deliver", [post_copy, post_and_lose])
def test_a_transport_of_ones_own_leaves_doubt(
    driver: ClientDriver, deliver: Callable[[httpx.Request], None], call: str
) -> None:
    with serving(answered) as server:
        http = http_client(driver, transport=delivering(driver, deliver))
        check_doubt(*attempt(driver, server.base_url, http, call))
        assert len(server.requests) == 1


def test_aiohttp_as_transport_leaves_doubt() -> None:
    """It maps a lost answer to a timeout while connecting."""
    httpx_aiohttp = pytest.importorskip("httpx_aiohttp")
    driver = ClientDriver(is_async=True)
    try:
        with serving(lambda *_: False) as server:
            http = http_client(driver, transport=httpx_aiohttp.AiohttpTransport())
            error, reports = attempt(driver, server.base_url, http)
            check_doubt(error, reports)
            assert isinstance(reports[0].error, httpx.ConnectTimeout)
            assert len(server.requests) == 1
    finally:
        driver.close()


def test_a_client_that_sends_in_its_own_way_leaves_doubt(driver: ClientDriver) -> None:
    def send(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        post_copy(request)
        return httpx.Client.send(self, refused(request), **options)

    async def send_async(self: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        post_copy(request)
        return await httpx.AsyncClient.send(self, refused(request), **options)

    kind: Any = httpx.AsyncClient if driver.is_async else httpx.Client
    http = type("Own", (kind,), {"send": send_async if driver.is_async else send})()
    driver._to_close.append(http)
    with serving(answered) as server:
        check_doubt(*attempt(driver, server.base_url, http))
        assert len(server.requests) == 1


def test_a_connection_that_was_lost_behind_a_retried_one_leaves_doubt(driver: ClientDriver) -> None:
    transport = (httpx.AsyncHTTPTransport if driver.is_async else httpx.HTTPTransport)(retries=2)
    with serving(lambda *_: False) as server:
        check_doubt(*attempt(driver, server.base_url, http_client(driver, transport=transport)))
        assert len(server.requests) == 1

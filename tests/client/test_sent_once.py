"""Which failures prove on real sockets that a request was not sent, and so permit a retry of a message."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from typing import Any

import httpx
import pytest

from .attempts import (
    CALLS,
    CLASSES,
    OK_RESPONSE,
    as_coroutine,
    attempt,
    check_may_have_been_processed,
    check_note_on_callers_error,
    check_retried_as_unsent,
    http_client,
    respond_ok,
)
from .helpers import ClientDriver
from .servers import closed_port, response, serving

# Hooks


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("cls", CLASSES)
def test_transport_error_raised_by_response_hook_is_not_retried(
    driver: ClientDriver, cls: type[httpx.TransportError], call: str
) -> None:
    """A transport error that a response hook raises is not a proof; the message is sent once."""

    def fail(_: httpx.Response) -> None:
        raise cls("elsewhere")

    with serving(respond_ok) as server:
        check_note_on_callers_error(
            *attempt(driver, server.base_url, http_client(driver, hooks={"response": fail}), call)
        )
        assert len(server.requests) == 1


@pytest.mark.parametrize("call", CALLS)
def test_refused_request_of_response_hook_is_not_retried(driver: ClientDriver, call: str) -> None:
    """A failed request that a response hook makes is not a proof."""
    elsewhere = f"http://127.0.0.1:{closed_port()}/audit"

    def audit(_: httpx.Response) -> None:
        httpx.post(elsewhere)

    with serving(respond_ok) as server:
        check_note_on_callers_error(
            *attempt(driver, server.base_url, http_client(driver, hooks={"response": audit}), call)
        )
        assert len(server.requests) == 1


def test_pool_timeout_of_response_hook_is_not_retried(driver: ClientDriver) -> None:
    """A pool timeout of a request that a response hook makes is not a proof."""
    limits, timeout = httpx.Limits(max_connections=1), httpx.Timeout(5, pool=0.02)

    def audit(_: httpx.Response) -> None:
        other.get(server.base_url)

    def hide(request: httpx.Request) -> None:
        request.extensions.pop("trace", None)

    with serving(respond_ok) as server, httpx.Client(limits=limits, timeout=timeout) as other:
        with other.stream("GET", server.base_url):
            for hooks in ({"response": audit}, {"request": hide, "response": audit}):
                check_note_on_callers_error(*attempt(driver, server.base_url, http_client(driver, hooks=hooks)))
        assert len(server.requests) == 3


@pytest.mark.parametrize("cls", CLASSES)
def test_hook_replacing_trace_extension_may_have_been_processed(
    driver: ClientDriver, cls: type[httpx.TransportError]
) -> None:
    """Without the trace of a request, its failure leaves doubt."""
    seen: list[str] = []

    def note(name: str, _: object) -> None:
        seen.append(name)

    def replace(request: httpx.Request) -> None:
        request.extensions["trace"] = as_coroutine(note) if driver.is_async else note

    def fail(response: httpx.Response) -> None:
        raise cls("elsewhere", request=response.request)

    hooks = {"request": replace, "response": fail}
    with serving(respond_ok) as server:
        check_may_have_been_processed(*attempt(driver, server.base_url, http_client(driver, hooks=hooks)))
        assert len(server.requests) == 1
    assert "http11.send_request_headers.started" in seen


def test_trace_of_custom_client_is_called_and_evidence_is_kept(driver: ClientDriver) -> None:
    """The trace function of a custom client is called, and unsent requests are still retried."""
    seen: list[str] = []

    def note(name: str, _: object) -> None:
        seen.append(name)

    trace = as_coroutine(note) if driver.is_async else note

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
    with serving(respond_ok) as server:
        assert attempt(driver, server.base_url, http)[0] is None
    assert [name for name in seen if name.startswith("http11.send_request_headers")] == [
        "http11.send_request_headers.started",
        "http11.send_request_headers.complete",
    ]
    seen.clear()
    check_retried_as_unsent(*attempt(driver, f"http://127.0.0.1:{closed_port()}", http))
    assert seen == ["connection.connect_tcp.started", "connection.connect_tcp.failed"] * 3


# `auth=` flows


class Flow(httpx.Auth):
    """A flow that sends the request, or copies of it, and then calls `then`."""

    def __init__(self, copies: int, then: Callable[[httpx.Request], httpx.Request]) -> None:
        self.copies = copies
        self.then = then

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        for _ in range(self.copies):
            yield httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
        yield self.then(request)


def refuse(request: httpx.Request) -> httpx.Request:
    request.url = request.url.copy_with(port=closed_port())
    return request


def raising(_: httpx.Request) -> httpx.Request:
    raise httpx.ConnectError("the token service is down")


@pytest.mark.parametrize("then", [refuse, raising])
@pytest.mark.parametrize("copies", [1, 2])
def test_auth_flow_failing_after_sending_may_have_been_processed(
    driver: ClientDriver, copies: int, then: Callable[[httpx.Request], httpx.Request]
) -> None:
    """A flow that fails after it has sent the request leaves doubt."""
    with serving(respond_ok) as server:
        check = check_may_have_been_processed if then is refuse else check_note_on_callers_error
        check(*attempt(driver, server.base_url, http_client(driver, auth=Flow(copies, then))))
        assert len(server.requests) == copies


def test_auth_flow_failing_before_sending_is_not_retried(driver: ClientDriver) -> None:
    """A flow that raises before it sends raises its own exception, without a retry."""
    with serving(respond_ok) as server:
        check_note_on_callers_error(*attempt(driver, server.base_url, http_client(driver, auth=Flow(0, raising))))
        assert server.requests == []


def test_auth_flow_token_request_does_not_prevent_retry(driver: ClientDriver) -> None:
    """A token request that succeeded leaves the message unsent, so it is retried."""

    class Token(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            yield httpx.Request("POST", f"{tokens.base_url}/token")
            yield request

    with serving(respond_ok) as tokens:
        check_retried_as_unsent(
            *attempt(driver, f"http://127.0.0.1:{closed_port()}", http_client(driver, auth=Token()))
        )
        assert len(tokens.requests) == 3


@pytest.mark.parametrize("auth", [("user", "password"), httpx.DigestAuth("user", "password")], ids=["basic", "digest"])
def test_basic_and_digest_auth_work_and_retry_unsent_requests(driver: ClientDriver, auth: Any) -> None:
    """The flows of httpx work, and unsent requests are retried."""
    challenge = response(b"", "401 Unauthorized", www_authenticate='Digest realm="r", nonce="n", qop="auth"')

    def challenging(connection: socket.socket, request: bytes, _: int) -> None:
        connection.sendall(OK_RESPONSE if b"username=" in request or b"Basic" in request else challenge)

    with serving(challenging) as server:
        assert attempt(driver, server.base_url, http_client(driver, auth=auth))[0] is None
    check_retried_as_unsent(*attempt(driver, f"http://127.0.0.1:{closed_port()}", http_client(driver, auth=auth)))


# Transports


def delivering(driver: ClientDriver, deliver: Callable[[httpx.Request], None]) -> Any:
    """Return a transport that delivers a request by other means and then fails to connect."""
    if driver.is_async:

        class AsyncDelivering(httpx.AsyncHTTPTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                deliver(request)
                return await super().handle_async_request(refuse(request))

        return AsyncDelivering()

    class Delivering(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            deliver(request)
            return super().handle_request(refuse(request))

    return Delivering()


def post_copy(request: httpx.Request) -> None:
    httpx.request(request.method, request.url, content=request.content)


def post_and_lose(request: httpx.Request) -> None:
    post_copy(request)
    raise httpx.ConnectTimeout("the response was lost") from OSError()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("deliver", [post_copy, post_and_lose])
def test_custom_transport_failure_may_have_been_processed(
    driver: ClientDriver, deliver: Callable[[httpx.Request], None], call: str
) -> None:
    """A connection failure of a custom transport is not a proof."""
    with serving(respond_ok) as server:
        http = http_client(driver, transport=delivering(driver, deliver))
        check_may_have_been_processed(*attempt(driver, server.base_url, http, call))
        assert len(server.requests) == 1


def test_aiohttp_transport_failure_may_have_been_processed() -> None:
    """`httpx_aiohttp` maps a lost response to a connect timeout, which is not a proof."""
    httpx_aiohttp = pytest.importorskip("httpx_aiohttp")
    driver = ClientDriver(is_async=True)
    try:
        with serving(lambda *_: False) as server:
            http = http_client(driver, transport=httpx_aiohttp.AiohttpTransport())
            error, reports = attempt(driver, server.base_url, http)
            check_may_have_been_processed(error, reports)
            assert isinstance(reports[0].error, httpx.ConnectTimeout)
            assert len(server.requests) == 1
    finally:
        driver.close()


def test_client_with_overridden_send_may_have_been_processed(driver: ClientDriver) -> None:
    """The failure of an overridden `send` is not a proof."""

    def send(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        post_copy(request)
        return httpx.Client.send(self, refuse(request), **options)

    async def send_async(self: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        post_copy(request)
        return await httpx.AsyncClient.send(self, refuse(request), **options)

    kind: Any = httpx.AsyncClient if driver.is_async else httpx.Client
    http = type("Own", (kind,), {"send": send_async if driver.is_async else send})()
    driver._to_close.append(http)
    with serving(respond_ok) as server:
        check_may_have_been_processed(*attempt(driver, server.base_url, http))
        assert len(server.requests) == 1


def test_lost_connection_with_transport_retries_may_have_been_processed(driver: ClientDriver) -> None:
    """Transport retries do not hide that the request was sent."""
    transport = (httpx.AsyncHTTPTransport if driver.is_async else httpx.HTTPTransport)(retries=2)
    with serving(lambda *_: False) as server:
        check_may_have_been_processed(*attempt(driver, server.base_url, http_client(driver, transport=transport)))
        assert len(server.requests) == 1

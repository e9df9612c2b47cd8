"""Requests that provably did not reach the server are retried."""

from __future__ import annotations

import gc
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import h2.config
import h2.connection
import h2.events
import httpx
import pytest

from letta_ext import APITimeoutError, Hooks
from letta_ext.hooks import AttemptReport

from .attempts import (
    CALLS,
    OK_RESPONSE,
    attempt,
    check_may_have_been_processed,
    check_note_on_callers_error,
    check_retried_as_unsent,
    http_client,
    respond_ok,
)
from .helpers import CONVERSATION, NO_DELAY, ClientDriver, recording
from .servers import Server, accepting, certificate, chunk, closed_port, free_port, response, serving, socks, tunnel


def test_instrumented_httpx_transport_keeps_evidence(driver: ClientDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instrumentation that wraps the methods of httpx's transports keeps the evidence."""
    seen: list[httpx.Request] = []

    def instrumented(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, request: httpx.Request) -> Any:
            seen.append(request)
            return method(self, request)

        return call

    for kind, name in ((httpx.HTTPTransport, "handle_request"), (httpx.AsyncHTTPTransport, "handle_async_request")):
        monkeypatch.setattr(kind, name, instrumented(getattr(kind, name)))
    check_retried_as_unsent(*attempt(driver, f"http://127.0.0.1:{closed_port()}"))
    assert len(seen) == 3


@contextmanager
def unreachable(driver: ClientDriver, name: str) -> Iterator[tuple[str, Any]]:
    """Yield a URL and an httpx client that cannot reach it."""
    closed = f"127.0.0.1:{closed_port()}"
    kind: Any = httpx.AsyncHTTPTransport if driver.is_async else httpx.HTTPTransport
    with ExitStack() as stack:
        match name:
            case "no server":
                yield f"http://{closed}", None
            case "retries":
                yield f"http://{closed}", http_client(driver, transport=kind(retries=1))
            case "no socket":
                yield "http://letta.test", http_client(driver, transport=kind(uds="/nowhere/letta.sock"))
            case "no proxy":
                yield f"http://{closed}", http_client(driver, proxy=f"http://{closed}")
            case "CONNECT refused" | "CONNECT not answered" | "CONNECT garbled":
                replies = {"refused": b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n", "garbled": b"SSH-2.0\r\n\r\n"}
                proxy = stack.enter_context(tunnel(replies.get(name.split()[1], b"")))
                yield "https://letta.test", http_client(driver, proxy=proxy.base_url)
            case "TLS behind CONNECT":
                server = stack.enter_context(serving(respond_ok, tls=certificate()[0]))
                proxy = stack.enter_context(tunnel(to=server.port))
                yield "https://127.0.0.1", http_client(driver, proxy=proxy.base_url)
            case "TLS":
                yield stack.enter_context(serving(respond_ok, tls=certificate()[0])).base_url, http_client(driver)
            case "SOCKS refused":
                proxy = stack.enter_context(socks(closed_port()))
                yield f"http://{closed}", http_client(driver, proxy=f"socks5://127.0.0.1:{proxy.port}")
            case "illegal header":
                server = stack.enter_context(serving(respond_ok))
                yield server.base_url, http_client(driver, headers={"X-Note": "a\r\nb"})
                assert server.requests == []


@contextmanager
def ignore_httpcore_leaks() -> Iterator[None]:
    """Ignore sockets that httpcore leaves open after a SOCKS failure or a missing Unix socket."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            yield
        finally:
            gc.collect()


UNREACHABLE = ["no server", "retries", "no socket", "no proxy", "CONNECT refused", "CONNECT not answered"]
UNREACHABLE += ["CONNECT garbled", "TLS behind CONNECT", "TLS", "SOCKS refused", "illegal header"]


@pytest.mark.slow
@pytest.mark.parametrize("call", ["foreground", "json", "post"])
@pytest.mark.parametrize("name", UNREACHABLE)
def test_unsent_request_is_retried(driver: ClientDriver, name: str, call: str) -> None:
    """A request that provably was not sent is retried."""
    with ignore_httpcore_leaks(), unreachable(driver, name) as (base_url, http):
        check_retried_as_unsent(*attempt(driver, base_url, http, call))


@pytest.mark.parametrize("call", ["foreground", "json"])
def test_send_with_pool_timeout_is_retried(driver: ClientDriver, call: str) -> None:
    """A send without a free connection is retried."""

    def stream(connection: socket.socket, *_: object) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        connection.sendall(chunk(b"event: ping\ndata: {}\n\n"))

    limits, timeout = httpx.Limits(max_connections=1), httpx.Timeout(5, pool=0.02)
    with serving(stream) as server:
        http = http_client(driver, limits=limits)
        client = driver.client(base_url=server.base_url, http_client=http)
        held = driver.run(client.conversations.messages.create(CONVERSATION, input="first"))
        error, reports = attempt(driver, server.base_url, http, call, timeout=timeout)
        check_retried_as_unsent(error, reports)
        assert isinstance(error, APITimeoutError)
        driver.run(held.close())
        assert len(server.requests) == 1


@pytest.mark.parametrize("hops", [0, 1])
@pytest.mark.parametrize("through", ["nothing", "CONNECT", "SOCKS"])
def test_send_to_late_server_is_processed_once(driver: ClientDriver, through: str, hops: int) -> None:
    """Two attempts fail to connect; the third one sends the message once, also after a redirect."""
    port, (server_tls, client_tls) = free_port(), certificate()
    tls = server_tls if through == "CONNECT" else None
    moved = response(b"", "307 Moved", location="/moved")

    def handler(connection: socket.socket, _: bytes, number: int) -> None:
        connection.sendall(moved if number <= hops else OK_RESPONSE)

    with ignore_httpcore_leaks(), ExitStack() as stack:
        servers: list[Server] = []

        def later(report: AttemptReport) -> None:
            if report.attempt.number == 2:
                servers.append(stack.enter_context(serving(handler, port, tls)))

        settings: dict[str, Any] = {"verify": client_tls}
        if through != "nothing":
            proxy = stack.enter_context(tunnel(to=port) if through == "CONNECT" else socks(port))
            settings["proxy"] = proxy.base_url if through == "CONNECT" else f"socks5://127.0.0.1:{proxy.port}"
        scheme = "https" if tls else "http"
        client = driver.client(
            base_url=f"{scheme}://127.0.0.1:{port}",
            retry=NO_DELAY,
            http_client=http_client(driver, **settings),
            hooks=Hooks(on_attempt=later),
        )
        driver.run(CALLS["json"](client))
        assert len(servers[0].requests) == 1 + hops


# HTTP/2


def h2_server(connection: socket.socket, server: Server, *, respond: bool) -> None:
    state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    state.initiate_connection()
    connection.sendall(state.data_to_send())
    while data := connection.recv(65_536):
        for event in state.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                server.requests.append(b"")
                if not respond:
                    return
                state.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/json")])
                state.send_data(event.stream_id, recording("send_json").content, end_stream=True)
        connection.sendall(state.data_to_send())


@pytest.mark.parametrize("failing", ["lost", "hook", "refused"])
def test_http2_failures_give_same_evidence(driver: ClientDriver, failing: str) -> None:
    """HTTP/2 gives the same evidence as HTTP/1.1."""

    def fail(_: httpx.Response) -> None:
        raise httpx.ConnectError("elsewhere")

    hooks = {"response": fail} if failing == "hook" else {}
    http = http_client(driver, http1=False, http2=True, hooks=hooks)
    if failing == "refused":
        check_retried_as_unsent(*attempt(driver, f"http://127.0.0.1:{closed_port()}", http))
        return
    with accepting(lambda connection, server: h2_server(connection, server, respond=failing == "hook")) as server:
        check = check_note_on_callers_error if failing == "hook" else check_may_have_been_processed
        check(*attempt(driver, server.base_url, http))
        assert len(server.requests) == 1

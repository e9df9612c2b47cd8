"""Which failures prove that a request was not sent, on real sockets: only then is a message sent again."""

from __future__ import annotations

import gc
import socket
import ssl
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import h2.config
import h2.connection
import h2.events
import httpx
import pytest

from letta_ext import APIConnectionError, APITimeoutError, Hooks, LettaError
from letta_ext.calls.refusals import LOST
from letta_ext.hooks import AttemptReport

from .helpers import AT_ONCE, CONVERSATION, Side, recording
from .servers import Server, accepting, certificate, chunk, closed_port, response, serving, socks, tunnel

TRUST: Final = ssl.create_default_context()
ANSWER: Final = response(recording("send_json").content)
PATH: Final = f"/v1/conversations/{CONVERSATION}/messages"
CALLS: dict[str, Callable[[Any], Any]] = {
    "foreground": lambda client: client.conversations.messages.create(CONVERSATION, input="hi"),
    "json": lambda client: client.conversations.messages.create(CONVERSATION, input="hi", streaming=False),
    "compact": lambda client: client.conversations.messages.compact(CONVERSATION),
    "post": lambda client: client.post("/v1/agents/", body={}),
    "patch": lambda client: client.patch("/v1/agents/agent-1", body={}),
}
CLASSES = [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.LocalProtocolError]


def answered(connection: socket.socket, *_: object) -> None:
    connection.sendall(ANSWER)


def http_client(side: Side, **settings: Any) -> Any:
    """An httpx client of that side, which is closed with it."""
    hooks = settings.pop("hooks", {})
    settings.setdefault("verify", TRUST)
    settings["event_hooks"] = {name: [awaitable(hook) if side.is_async else hook] for name, hook in hooks.items()}
    made = httpx.AsyncClient(**settings) if side.is_async else httpx.Client(**settings)
    side._to_close.append(made)
    return made


def awaitable(function: Callable[..., Any]) -> Callable[..., Any]:
    async def wait(*arguments: Any) -> Any:
        return function(*arguments)

    return wait


def attempt(
    side: Side, base_url: str, http: Any = None, call: str = "json", **settings: Any
) -> tuple[Exception | None, list[AttemptReport]]:
    """Makes a call, and returns what it raised and what became of its attempts."""
    reports: list[AttemptReport] = []
    client = side.client(
        base_url=base_url,
        retry=AT_ONCE,
        hooks=Hooks(on_attempt=reports.append),
        **({} if http is None else {"http_client": http}),
        **settings,
    )
    try:
        side.run(CALLS[call](client))
    except (LettaError, httpx.HTTPError) as error:
        return error, reports
    return None, reports


def check_doubt(error: Exception | None, reports: list[AttemptReport]) -> None:
    """It may have been processed: it was not sent again, and the error says so."""
    assert isinstance(error, APIConnectionError)
    assert error.may_have_been_processed
    assert LOST in str(error)
    assert [report.attempt.unsent for report in reports] == [False]


def check_noted(error: Exception | None, reports: list[AttemptReport]) -> None:
    """The same, where the error is that of the caller's own hook or flow: it passes, and a note on it says so."""
    assert isinstance(error, httpx.TransportError)
    assert any(LOST in note for note in error.__notes__)
    assert reports == []


def check_unsent(error: Exception | None, reports: list[AttemptReport]) -> None:
    """It was surely not sent: it was tried again, and the error does not frighten."""
    assert isinstance(error, APIConnectionError)
    assert not error.may_have_been_processed
    assert LOST not in str(error)
    assert [report.attempt.unsent for report in reports] == [True, True, True]


# Hooks.


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("cls", CLASSES)
def test_a_response_hook_that_raises_a_transport_error_is_no_evidence(
    side: Side, cls: type[httpx.TransportError], call: str
) -> None:
    def fail(_: httpx.Response) -> None:
        raise cls("elsewhere")

    with serving(answered) as server:
        check_noted(*attempt(side, server.base_url, http_client(side, hooks={"response": fail}), call))
        assert len(server.requests) == 1


@pytest.mark.parametrize("call", CALLS)
def test_a_response_hook_whose_own_request_is_refused_is_no_evidence(side: Side, call: str) -> None:
    elsewhere = f"http://127.0.0.1:{closed_port()}/audit"

    def audit(_: httpx.Response) -> None:
        httpx.post(elsewhere)

    with serving(answered) as server:
        check_noted(*attempt(side, server.base_url, http_client(side, hooks={"response": audit}), call))
        assert len(server.requests) == 1


def test_a_response_hook_that_finds_no_free_connection_elsewhere_is_no_evidence(side: Side) -> None:
    limits, timeout = httpx.Limits(max_connections=1), httpx.Timeout(5, pool=0.02)

    def audit(_: httpx.Response) -> None:
        other.get(server.base_url)

    def hide(request: httpx.Request) -> None:
        request.extensions.pop("trace", None)

    with serving(answered) as server, httpx.Client(limits=limits, timeout=timeout) as other:
        with other.stream("GET", server.base_url):
            for hooks in ({"response": audit}, {"request": hide, "response": audit}):
                check_noted(*attempt(side, server.base_url, http_client(side, hooks=hooks)))
        assert len(server.requests) == 3


@pytest.mark.parametrize("cls", CLASSES)
def test_a_hook_that_hides_the_steps_of_a_request_leaves_doubt(side: Side, cls: type[httpx.TransportError]) -> None:
    seen: list[str] = []

    def note(name: str, _: object) -> None:
        seen.append(name)

    def replace(request: httpx.Request) -> None:
        request.extensions["trace"] = awaitable(note) if side.is_async else note

    def fail(response: httpx.Response) -> None:
        raise cls("elsewhere", request=response.request)

    hooks = {"request": replace, "response": fail}
    with serving(answered) as server:
        check_doubt(*attempt(side, server.base_url, http_client(side, hooks=hooks)))
        assert len(server.requests) == 1
    assert "http11.send_request_headers.started" in seen


def test_a_clients_own_trace_is_called_too(side: Side) -> None:
    """A client that traces its requests goes on doing so, and what was not sent is still sent again."""
    seen: list[str] = []

    def note(name: str, _: object) -> None:
        seen.append(name)

    trace = awaitable(note) if side.is_async else note

    def with_trace(build: Callable[..., httpx.Request]) -> Callable[..., httpx.Request]:
        def build_request(self: Any, *arguments: Any, **options: Any) -> httpx.Request:
            request = build(self, *arguments, **options)
            request.extensions["trace"] = trace
            return request

        return build_request

    kind: Any = httpx.AsyncClient if side.is_async else httpx.Client
    tracing = type("Tracing", (kind,), {"build_request": with_trace(kind.build_request)})
    http = tracing()
    side._to_close.append(http)
    with serving(answered) as server:
        assert attempt(side, server.base_url, http)[0] is None
    assert [name for name in seen if name.startswith("http11.send_request_headers")] == [
        "http11.send_request_headers.started",
        "http11.send_request_headers.complete",
    ]
    seen.clear()
    check_unsent(*attempt(side, f"http://127.0.0.1:{closed_port()}", http))
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
    side: Side, copies: int, then: Callable[[httpx.Request], httpx.Request]
) -> None:
    with serving(answered) as server:
        check = check_doubt if then is refused else check_noted
        check(*attempt(side, server.base_url, http_client(side, auth=Flow(copies, then))))
        assert len(server.requests) == copies


def test_a_flow_that_fails_before_it_sends_anything_leaves_doubt(side: Side) -> None:
    with serving(answered) as server:
        check_noted(*attempt(side, server.base_url, http_client(side, auth=Flow(0, raising))))
        assert server.requests == []


def test_a_token_that_was_fetched_first_is_no_doubt(side: Side) -> None:
    """The request for a token was sent, that of the message was not."""

    class Token(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            yield httpx.Request("POST", f"{tokens.base_url}/token")
            yield request

    with serving(answered) as tokens:
        check_unsent(*attempt(side, f"http://127.0.0.1:{closed_port()}", http_client(side, auth=Token())))
        assert len(tokens.requests) == 3


@pytest.mark.parametrize("auth", [("user", "password"), httpx.DigestAuth("user", "password")], ids=["basic", "digest"])
def test_httpx_own_flows_work_and_leave_no_doubt(side: Side, auth: Any) -> None:
    challenge = response(b"", "401 Unauthorized", www_authenticate='Digest realm="r", nonce="n", qop="auth"')

    def challenging(connection: socket.socket, request: bytes, _: int) -> None:
        connection.sendall(ANSWER if b"username=" in request or b"Basic" in request else challenge)

    with serving(challenging) as server:
        assert attempt(side, server.base_url, http_client(side, auth=auth))[0] is None
    check_unsent(*attempt(side, f"http://127.0.0.1:{closed_port()}", http_client(side, auth=auth)))


# Transports.


def delivering(side: Side, deliver: Callable[[httpx.Request], None]) -> Any:
    """A transport that delivers a request by other means first, and then sends it as httpx does."""
    if side.is_async:

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
def test_a_transport_of_ones_own_leaves_doubt(side: Side, deliver: Callable[[httpx.Request], None], call: str) -> None:
    with serving(answered) as server:
        http = http_client(side, transport=delivering(side, deliver))
        check_doubt(*attempt(side, server.base_url, http, call))
        assert len(server.requests) == 1


def test_aiohttp_as_transport_leaves_doubt() -> None:
    """It maps a lost answer to a timeout while connecting."""
    httpx_aiohttp = pytest.importorskip("httpx_aiohttp")
    side = Side(is_async=True)
    try:
        with serving(lambda *_: False) as server:
            http = http_client(side, transport=httpx_aiohttp.AiohttpTransport())
            error, reports = attempt(side, server.base_url, http)
            check_doubt(error, reports)
            assert isinstance(reports[0].error, httpx.ConnectTimeout)
            assert len(server.requests) == 1
    finally:
        side.close()


def test_a_client_that_sends_in_its_own_way_leaves_doubt(side: Side) -> None:
    def send(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        post_copy(request)
        return httpx.Client.send(self, refused(request), **options)

    async def send_async(self: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        post_copy(request)
        return await httpx.AsyncClient.send(self, refused(request), **options)

    kind: Any = httpx.AsyncClient if side.is_async else httpx.Client
    http = type("Own", (kind,), {"send": send_async if side.is_async else send})()
    side._to_close.append(http)
    with serving(answered) as server:
        check_doubt(*attempt(side, server.base_url, http))
        assert len(server.requests) == 1


def test_a_connection_that_was_lost_behind_a_retried_one_leaves_doubt(side: Side) -> None:
    transport = (httpx.AsyncHTTPTransport if side.is_async else httpx.HTTPTransport)(retries=2)
    with serving(lambda *_: False) as server:
        check_doubt(*attempt(side, server.base_url, http_client(side, transport=transport)))
        assert len(server.requests) == 1


# What was surely not sent.


def test_instrumentation_of_httpx_is_no_transport_of_ones_own(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """It replaces the methods of httpx's classes by functions that call them."""
    seen: list[httpx.Request] = []

    def instrumented(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, request: httpx.Request) -> Any:
            seen.append(request)
            return method(self, request)

        return call

    for kind, name in ((httpx.HTTPTransport, "handle_request"), (httpx.AsyncHTTPTransport, "handle_async_request")):
        monkeypatch.setattr(kind, name, instrumented(getattr(kind, name)))
    check_unsent(*attempt(side, f"http://127.0.0.1:{closed_port()}"))
    assert len(seen) == 3


@contextmanager
def refusing(side: Side, name: str) -> Iterator[tuple[str, Any]]:
    """An address and an httpx client that cannot get there."""
    closed = f"127.0.0.1:{closed_port()}"
    kind: Any = httpx.AsyncHTTPTransport if side.is_async else httpx.HTTPTransport
    with ExitStack() as stack:
        match name:
            case "no server":
                yield f"http://{closed}", None
            case "retries":
                yield f"http://{closed}", http_client(side, transport=kind(retries=1))
            case "no socket":
                yield "http://letta.test", http_client(side, transport=kind(uds="/nowhere/letta.sock"))
            case "no proxy":
                yield f"http://{closed}", http_client(side, proxy=f"http://{closed}")
            case "CONNECT refused" | "CONNECT not answered" | "CONNECT garbled":
                answers = {"refused": b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n", "garbled": b"SSH-2.0\r\n\r\n"}
                proxy = stack.enter_context(tunnel(answers.get(name.split()[1], b"")))
                yield "https://letta.test", http_client(side, proxy=proxy.base_url)
            case "TLS behind CONNECT":
                server = stack.enter_context(serving(answered, tls=certificate()[0]))
                proxy = stack.enter_context(tunnel(to=server.port))
                yield "https://127.0.0.1", http_client(side, proxy=proxy.base_url)
            case "TLS":
                yield stack.enter_context(serving(answered, tls=certificate()[0])).base_url, http_client(side)
            case "SOCKS refused":
                proxy = stack.enter_context(socks(closed_port()))
                yield f"http://{closed}", http_client(side, proxy=f"socks5://127.0.0.1:{proxy.port}")
            case "illegal header":
                server = stack.enter_context(serving(answered))
                yield server.base_url, http_client(side, headers={"X-Note": "a\r\nb"})
                assert server.requests == []


@contextmanager
def httpcore_leaks() -> Iterator[None]:
    """httpcore leaves the socket open where a SOCKS proxy refuses, or a Unix socket is not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            yield
        finally:
            gc.collect()


REFUSING = ["no server", "retries", "no socket", "no proxy", "CONNECT refused", "CONNECT not answered"]
REFUSING += ["CONNECT garbled", "TLS behind CONNECT", "TLS", "SOCKS refused", "illegal header"]


@pytest.mark.parametrize("call", ["foreground", "json", "post"])
@pytest.mark.parametrize("name", REFUSING)
def test_what_was_surely_not_sent_is_sent_again(side: Side, name: str, call: str) -> None:
    with httpcore_leaks(), refusing(side, name) as (base_url, http):
        check_unsent(*attempt(side, base_url, http, call))


@pytest.mark.parametrize("call", ["foreground", "json"])
def test_a_message_waits_for_a_connection_and_is_sent_again_where_none_is_free(side: Side, call: str) -> None:
    def stream(connection: socket.socket, *_: object) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        connection.sendall(chunk(b"event: ping\ndata: {}\n\n"))

    limits, timeout = httpx.Limits(max_connections=1), httpx.Timeout(5, pool=0.02)
    with serving(stream) as server:
        http = http_client(side, limits=limits)
        client = side.client(base_url=server.base_url, http_client=http)
        held = side.run(client.conversations.messages.create(CONVERSATION, input="first"))
        error, reports = attempt(side, server.base_url, http, call, timeout=timeout)
        check_unsent(error, reports)
        assert isinstance(error, APITimeoutError)
        side.run(held.close())
        assert len(server.requests) == 1


@pytest.mark.parametrize("hops", [0, 1])
@pytest.mark.parametrize("through", ["nothing", "CONNECT", "SOCKS"])
def test_a_message_that_finds_its_server_late_is_there_once(side: Side, through: str, hops: int) -> None:
    """Two attempts find no way; the third does, and perhaps another one after a redirect."""
    port, (server_tls, client_tls) = closed_port(), certificate()
    tls = server_tls if through == "CONNECT" else None
    moved = response(b"", "307 Moved", location="/moved")

    def handler(connection: socket.socket, _: bytes, number: int) -> None:
        connection.sendall(moved if number <= hops else ANSWER)

    with httpcore_leaks(), ExitStack() as stack:
        servers: list[Server] = []

        def later(report: AttemptReport) -> None:
            if report.attempt.number == 2:
                servers.append(stack.enter_context(serving(handler, port, tls)))

        settings: dict[str, Any] = {"verify": client_tls}
        if through != "nothing":
            proxy = stack.enter_context(tunnel(to=port) if through == "CONNECT" else socks(port))
            settings["proxy"] = proxy.base_url if through == "CONNECT" else f"socks5://127.0.0.1:{proxy.port}"
        scheme = "https" if tls else "http"
        client = side.client(
            base_url=f"{scheme}://127.0.0.1:{port}",
            retry=AT_ONCE,
            http_client=http_client(side, **settings),
            hooks=Hooks(on_attempt=later),
        )
        side.run(CALLS["json"](client))
        assert len(servers[0].requests) == 1 + hops


# HTTP/2.


def h2_server(connection: socket.socket, server: Server, *, answer: bool) -> None:
    state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    state.initiate_connection()
    connection.sendall(state.data_to_send())
    while data := connection.recv(65_536):
        for event in state.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                server.requests.append(b"")
                if not answer:
                    return
                state.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/json")])
                state.send_data(event.stream_id, recording("send_json").content, end_stream=True)
        connection.sendall(state.data_to_send())


@pytest.mark.parametrize("failing", ["lost", "hook", "refused"])
def test_http2_is_evidence_like_any_other(side: Side, failing: str) -> None:
    def fail(_: httpx.Response) -> None:
        raise httpx.ConnectError("elsewhere")

    hooks = {"response": fail} if failing == "hook" else {}
    http = http_client(side, http1=False, http2=True, hooks=hooks)
    if failing == "refused":
        check_unsent(*attempt(side, f"http://127.0.0.1:{closed_port()}", http))
        return
    with accepting(lambda connection, server: h2_server(connection, server, answer=failing == "hook")) as server:
        check = check_noted if failing == "hook" else check_doubt
        check(*attempt(side, server.base_url, http))
        assert len(server.requests) == 1

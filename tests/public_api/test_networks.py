"""What stands between a client and its server is httpx's to know: certificates, proxies, clients of one's own."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from letta_ext import APIConnectionError, APITimeoutError, DefaultAsyncHttpxClient, DefaultHttpxClient

from ..client.helpers import KEY, STEP, ClientDriver, loopback, make_response, respond_with

STEP_BODY = json.dumps({"id": STEP}).encode()
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(STEP_BODY),
    STEP_BODY,
)


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(STEP_BODY)))
        self.end_headers()
        self.wfile.write(STEP_BODY)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that trusts no stranger hangs up in the midst of the handshake


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def encrypted(authority: trustme.CA) -> Iterator[str]:
    """The address of a server whose certificate only its own authority vouches for."""
    server = _Quiet(("127.0.0.1", 0), _Answering)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def http_client(side: ClientDriver, **settings: Any) -> Any:
    made = (httpx.AsyncClient if side.is_async else httpx.Client)(**settings)
    side._to_close.append(made)
    return made


def test_a_certificate_of_a_stranger_is_refused_in_one_line(side: ClientDriver, encrypted: str) -> None:
    with pytest.raises(APIConnectionError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        side.run(side.client(base_url=encrypted, max_retries=0).steps.retrieve(STEP))
    assert "\n" not in str(caught.value)


def test_an_authority_of_ones_own(side: ClientDriver, encrypted: str, authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    client = side.client(base_url=encrypted, http_client=http_client(side, verify=context))
    assert side.run(client.steps.retrieve(STEP)).id == STEP


def test_an_authority_that_the_environment_names(
    side: ClientDriver, encrypted: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert side.run(side.client(base_url=encrypted).steps.retrieve(STEP)).id == STEP


def test_a_proxy(side: ClientDriver) -> None:
    with loopback(PLAIN) as proxy:
        client = side.client(
            base_url="http://letta.test", api_key=KEY, http_client=http_client(side, proxy=proxy.base_url)
        )
        assert side.run(client.steps.retrieve(STEP)).id == STEP
        assert proxy.requests[0].startswith(b"GET http://letta.test/v1/steps/%b HTTP/1.1\r\n" % STEP.encode())


def test_a_proxy_that_the_environment_names(side: ClientDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback(PLAIN) as proxy, loopback(PLAIN) as server:
        monkeypatch.setenv("http_proxy", proxy.base_url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert side.run(side.client(base_url="http://letta.test").steps.retrieve(STEP)).id == STEP
        assert side.run(side.client(base_url=server.base_url).steps.retrieve(STEP)).id == STEP
        assert (len(proxy.requests), len(server.requests)) == (1, 1)


def test_a_proxy_that_is_not_there(side: ClientDriver) -> None:
    with loopback(b"") as gone:
        url = gone.base_url
    client = side.client(base_url="http://letta.test", max_retries=0, http_client=http_client(side, proxy=url))
    with pytest.raises(APIConnectionError):
        side.run(client.steps.retrieve(STEP))


def test_limits_and_hooks_of_an_http_client_are_its_own(side: ClientDriver) -> None:
    seen: list[str] = []

    def see(request: httpx.Request) -> None:
        seen.append(request.url.path)

    async def see_async(request: httpx.Request) -> None:
        seen.append(request.url.path)

    transport = httpx.MockTransport(respond_with(make_response(200, json={"id": STEP})))
    hooks: dict[str, Any] = {"request": [see_async if side.is_async else see]}
    http = http_client(side, transport=transport, event_hooks=hooks, headers={"X-Mine": "1"}, timeout=1)
    client = side.client(base_url="http://letta.test", http_client=http)
    side.run(client.steps.retrieve(STEP))
    assert seen == [f"/v1/steps/{STEP}"]
    side.run(client.close())
    assert not http.is_closed


def test_a_timeout_of_the_call_counts_whatever_the_http_client_has(side: ClientDriver) -> None:
    with loopback(b"") as server:
        client = side.client(base_url=server.base_url, max_retries=0, http_client=http_client(side, timeout=60))
        with pytest.raises(APITimeoutError, match="timed out while reading"):
            side.run(client.steps.retrieve(STEP, timeout=httpx.Timeout(5, read=0.05)))
        with pytest.raises(APITimeoutError):
            side.run(client.with_options(timeout=0.05).steps.retrieve(STEP))


def test_an_http_client_with_our_limits(side: ClientDriver) -> None:
    kind = DefaultAsyncHttpxClient if side.is_async else DefaultHttpxClient
    made = kind(headers={"X-Mine": "1"}, timeout=7)
    side._to_close.append(made)
    assert made.timeout == httpx.Timeout(7)
    assert made.headers["x-mine"] == "1"
    pool: Any = getattr(made._transport, "_pool")  # noqa: B009  (neither httpx nor this library shows it)
    assert pool._max_connections == 1000

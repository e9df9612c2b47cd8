"""Certificates, proxies and passed httpx clients."""

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
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(STEP_BODY),
    STEP_BODY,
)


class _StepHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(STEP_BODY)))
        self.end_headers()
        self.wfile.write(STEP_BODY)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients that reject the certificate disconnect during the handshake


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def encrypted(authority: trustme.CA) -> Iterator[str]:
    """The address of a server with a certificate of `authority`."""
    server = _QuietServer(("127.0.0.1", 0), _StepHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def http_client(driver: ClientDriver, **settings: Any) -> Any:
    made = (httpx.AsyncClient if driver.is_async else httpx.Client)(**settings)
    driver._to_close.append(made)
    return made


def test_untrusted_certificate_raises_one_line_error(driver: ClientDriver, encrypted: str) -> None:
    """An untrusted certificate raises APIConnectionError with a message of one line."""
    with pytest.raises(APIConnectionError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        driver.run(driver.client(base_url=encrypted, max_retries=0).steps.retrieve(STEP))
    assert "\n" not in str(caught.value)


def test_custom_certificate_authority_is_trusted(driver: ClientDriver, encrypted: str, authority: trustme.CA) -> None:
    """An httpx client with its own TLS context is supported."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    client = driver.client(base_url=encrypted, http_client=http_client(driver, verify=context))
    assert driver.run(client.steps.retrieve(STEP)).id == STEP


def test_ssl_cert_file_variable_is_trusted(
    driver: ClientDriver, encrypted: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate authority of SSL_CERT_FILE is trusted."""
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert driver.run(driver.client(base_url=encrypted).steps.retrieve(STEP)).id == STEP


def test_proxy_of_http_client_receives_requests(driver: ClientDriver) -> None:
    """Requests are sent through the proxy of the httpx client."""
    with loopback(RESPONSE) as proxy:
        client = driver.client(
            base_url="http://letta.test", api_key=KEY, http_client=http_client(driver, proxy=proxy.base_url)
        )
        assert driver.run(client.steps.retrieve(STEP)).id == STEP
        assert proxy.requests[0].startswith(b"GET http://letta.test/v1/steps/%b HTTP/1.1\r\n" % STEP.encode())


def test_proxy_variables_are_honored(driver: ClientDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables http_proxy and no_proxy are honored."""
    with loopback(RESPONSE) as proxy, loopback(RESPONSE) as server:
        monkeypatch.setenv("http_proxy", proxy.base_url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert driver.run(driver.client(base_url="http://letta.test").steps.retrieve(STEP)).id == STEP
        assert driver.run(driver.client(base_url=server.base_url).steps.retrieve(STEP)).id == STEP
        assert (len(proxy.requests), len(server.requests)) == (1, 1)


def test_unreachable_proxy_raises_connection_error(driver: ClientDriver) -> None:
    """An unreachable proxy raises APIConnectionError."""
    with loopback(b"") as gone:
        url = gone.base_url
    client = driver.client(base_url="http://letta.test", max_retries=0, http_client=http_client(driver, proxy=url))
    with pytest.raises(APIConnectionError):
        driver.run(client.steps.retrieve(STEP))


def test_http_client_keeps_its_hooks_and_stays_open(driver: ClientDriver) -> None:
    """The hooks of a passed httpx client are called, and closing the client does not close it."""
    seen: list[str] = []

    def see(request: httpx.Request) -> None:
        seen.append(request.url.path)

    async def see_async(request: httpx.Request) -> None:
        seen.append(request.url.path)

    transport = httpx.MockTransport(respond_with(make_response(200, json={"id": STEP})))
    hooks: dict[str, Any] = {"request": [see_async if driver.is_async else see]}
    http = http_client(driver, transport=transport, event_hooks=hooks, headers={"X-Mine": "1"}, timeout=1)
    client = driver.client(base_url="http://letta.test", http_client=http)
    driver.run(client.steps.retrieve(STEP))
    assert seen == [f"/v1/steps/{STEP}"]
    driver.run(client.close())
    assert not http.is_closed


def test_call_timeout_overrides_http_client(driver: ClientDriver) -> None:
    """The timeout of a call or client overrides that of the httpx client."""
    with loopback(b"") as server:
        client = driver.client(base_url=server.base_url, max_retries=0, http_client=http_client(driver, timeout=60))
        with pytest.raises(APITimeoutError, match="timed out while reading"):
            driver.run(client.steps.retrieve(STEP, timeout=httpx.Timeout(5, read=0.05)))
        with pytest.raises(APITimeoutError):
            driver.run(client.with_options(timeout=0.05).steps.retrieve(STEP))


def test_default_http_client_has_library_limits(driver: ClientDriver) -> None:
    """The default httpx client has the connection limit of the library, and the passed settings."""
    kind = DefaultAsyncHttpxClient if driver.is_async else DefaultHttpxClient
    made = kind(headers={"X-Mine": "1"}, timeout=7)
    driver._to_close.append(made)
    assert made.timeout == httpx.Timeout(7)
    assert made.headers["x-mine"] == "1"
    pool: Any = getattr(made._transport, "_pool")  # noqa: B009  # not available through a public attribute
    assert pool._max_connections == 1000

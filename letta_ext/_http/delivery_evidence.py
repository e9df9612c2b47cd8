"""Detection of requests that did not reach the server.

The class of an exception proves nothing: a hook, an `auth=` flow or a custom transport may raise `httpx.ConnectError`
after the request was sent. The transport of httpx reports each step to the `trace` extension of the request. A request
counts as unsent only if one of these steps failed before any byte of the request was written.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from typing import Any, Final

import httpcore
import httpx

CONNECTING: Final = frozenset(
    {"connect_tcp", "connect_unix_socket", "start_tls", "setup_socks5_connection", "send_connection_init", "retry"}
)
"""The steps before a request is written."""

CLOSING: Final = "response_closed"
"""The step after a failed step."""

UNREPORTED: Final = (httpcore.PoolTimeout, httpcore.ProxyError, httpcore.UnsupportedProtocol)
"""Failures before a request is written that `trace` does not report."""


class DeliveryEvidence:
    """A recorder of the steps of one request.

    Args:
        http: The client that sends the request.
        request: The request. An existing `trace` extension is still called.

    Attributes:
        auth: The traced `auth=` flow of the client, or None.
    """

    def __init__(self, http: httpx.Client | httpx.AsyncClient, request: httpx.Request) -> None:
        self._http = http
        self._request = request
        self._caller_trace = request.extensions.get("trace")
        self._trace = self._report_async if isinstance(http, httpx.AsyncClient) else self._report
        self._written = 0
        self._tunneling = False
        self._failures: list[BaseException] = []
        self.auth = None if http.auth is None else _TracedAuth(http.auth, self)

    def begin(self, request: httpx.Request) -> None:
        """Begin an attempt or a redirect. The server did not process the previous request."""
        self._request = request
        self._written, self._tunneling = 0, False
        self._failures.clear()
        request.extensions["trace"] = self._trace

    def trace_auth_request(self, request: httpx.Request) -> None:
        """Trace a request of an `auth=` flow if it is the traced request or a copy of it."""
        if (request.method, request.url.path) == (self._request.method, self._request.url.path):
            request.extensions.setdefault("trace", self._trace)

    def unsent(self, error: BaseException) -> bool:
        """Return whether an attempt that ended with this exception certainly sent no data."""
        failures = list(self._failures)
        self._failures.clear()  # tracebacks would keep the request alive
        if self._written or not _is_plain_httpx(self._http, self._request.url):
            return False
        causes = list(_causes(error))
        if any(cause is failure for cause in causes for failure in failures):
            return True
        return self._trace is _trace_of(error) and any(isinstance(cause, UNREPORTED) for cause in causes)

    def _report(self, name: str, info: dict[str, Any]) -> None:
        self._add(name, info)
        if self._caller_trace is not None:
            self._caller_trace(name, info)

    async def _report_async(self, name: str, info: dict[str, Any]) -> None:
        self._add(name, info)
        if self._caller_trace is not None:
            await self._caller_trace(name, info)

    def _add(
        self,
        name: str,
        info: dict[str, Any],
        closing: str = CLOSING,  # bound: the globals are None when the interpreter exits and closes responses
    ) -> None:
        protocol, _, rest = name.partition(".")
        step, _, state = rest.partition(".")
        if step == closing:
            return
        if state == "started":
            if step in CONNECTING:
                self._tunneling = False
            elif "request" in info:
                self._tunneling = info["request"].method == b"CONNECT"
            if step not in CONNECTING and not self._tunneling:
                self._written += 1
        elif state == "failed":
            error = info.get("exception")
            is_invalid = step == "send_request_headers" and isinstance(error, httpcore.LocalProtocolError)
            if is_invalid and protocol == "http11" and not self._tunneling:
                self._written -= 1  # h11 validates the headers before writing
            if error is not None:
                self._failures.append(error)


class _TracedAuth(httpx.Auth):
    """An `auth=` flow whose requests are traced."""

    def __init__(self, auth: httpx.Auth, evidence: DeliveryEvidence) -> None:
        self._auth = auth
        self._evidence = evidence

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        flow = self._auth.sync_auth_flow(request)
        try:
            following = next(flow)
            while True:
                self._evidence.trace_auth_request(following)
                response = yield following
                try:
                    following = flow.send(response)
                except StopIteration:
                    return
        finally:
            flow.close()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        flow = self._auth.async_auth_flow(request)
        try:
            following = await anext(flow)
            while True:
                self._evidence.trace_auth_request(following)
                response = yield following
                try:
                    following = await flow.asend(response)
                except StopAsyncIteration:
                    return
        finally:
            await flow.aclose()


def _is_plain_httpx(http: httpx.Client | httpx.AsyncClient, url: httpx.URL) -> bool:
    """Return whether client and transport are from httpx. Others may send requests without reporting them."""
    # Looked up at each call: instrumentation may replace the methods with wrappers that call them once.
    if type(http).send not in (httpx.Client.send, httpx.AsyncClient.send):
        return False
    own_transports = (httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request)
    # httpx has no public API for the transport of a URL.
    transport: Any = http._transport_for_url(url)  # pyright: ignore[reportPrivateUsage]  # see above
    kind: Any = transport.__class__
    found = getattr(kind, "handle_request", None), getattr(kind, "handle_async_request", None)
    return any(function in own_transports for function in found)


def _trace_of(error: BaseException) -> Any:
    """Return the `trace` extension of the request that httpx attached to an exception, or None."""
    try:
        return error.request.extensions.get("trace") if isinstance(error, httpx.RequestError) else None
    except RuntimeError:  # no request is attached: a hook raised the exception
        return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and not any(error is each for each in seen):
        seen.append(error)
        yield error
        error = error.__cause__

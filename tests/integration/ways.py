"""Send paths through failing hooks, `auth=` flows and transports, and the requests that reach the server."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import httpx
from attrs import define, field, frozen

from letta_ext import APIConnectionError, Hooks, LettaError
from letta_ext._http.errors_from_response import MAY_HAVE_BEEN_PROCESSED
from letta_ext.hooks import AttemptReport

from ..client.helpers import NO_DELAY, ClientDriver
from ..client.servers import closed_port, socks, tunnel
from .proxy import LOST, Fault, Proxy, proxied

TRUST: Final = ssl.create_default_context()

KINDS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "stream": lambda client, where: client.conversations.messages.create(where, input="hello"),
    "json": lambda client, where: client.conversations.messages.create(where, input="hello", streaming=False),
    "post": lambda client, where: client.post(
        f"/v1/conversations/{where}/messages", body={"input": "hello", "streaming": False}
    ),
    "compact": lambda client, where: client.conversations.messages.compact(where),
}
"""Requests that are not idempotent."""


@define
class SendEnvironment:
    """The environment of a send path: the proxy in front of the server, for one of the clients."""

    driver: ClientDriver
    proxy: Proxy
    stack: ExitStack
    base_url: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.base_url = self.proxy.base_url

    @property
    def port(self) -> int:
        return httpx.URL(self.proxy.base_url).port or 80

    def http(self, **settings: Any) -> Any:
        kind: Any = httpx.AsyncClient if self.driver.is_async else httpx.Client
        hooks: dict[str, Callable[[Any], object]] = settings.pop("hooks", {})
        events = {name: [_as_coroutine(hook) if self.driver.is_async else hook] for name, hook in hooks.items()}
        made = kind(verify=TRUST, event_hooks=events, **settings)
        self.driver._to_close.append(made)
        return made


def _as_coroutine(function: Callable[[Any], object]) -> Callable[[Any], Any]:
    async def wait(argument: Any) -> object:
        return function(argument)

    return wait


def _raise(fault: Exception) -> Callable[[Any], object]:
    def fail(_: object) -> None:
        raise fault

    return fail


def _refuse(request: httpx.Request) -> httpx.Request:
    request.url = request.url.copy_with(port=closed_port())
    return request


class _Flow(httpx.Auth):
    """An `auth=` flow that sends the request a number of times and then calls `then`."""

    def __init__(self, times: int, then: Callable[[httpx.Request], httpx.Request], *, copies: bool = False) -> None:
        self._times, self._then, self._copies = times, then, copies

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        for _ in range(self._times):
            copy = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
            yield copy if self._copies else request
        yield self._then(request)


class _Delivering(httpx.HTTPTransport):
    """A transport that delivers a request by other means and then fails to connect."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        httpx.request(request.method, request.url, headers=request.headers, content=request.content, timeout=60)
        return super().handle_request(_refuse(request))


class _AsyncDelivering(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async with httpx.AsyncClient(timeout=60) as other:
            await other.request(request.method, request.url, headers=request.headers, content=request.content)
        return await super().handle_async_request(_refuse(request))


def _transport(place: SendEnvironment, **settings: Any) -> Any:
    kind: Any = httpx.AsyncHTTPTransport if place.driver.is_async else httpx.HTTPTransport
    return kind(verify=TRUST, **settings)


def _aiohttp(place: SendEnvironment) -> Any:
    from httpx_aiohttp import AiohttpTransport

    return place.http(transport=AiohttpTransport())


def _audit(_: object) -> None:
    httpx.get(f"http://127.0.0.1:{closed_port()}")


def _closed(place: SendEnvironment, **settings: Any) -> Any:
    place.base_url = f"http://127.0.0.1:{closed_port()}"
    return place.http(**settings)


def _refusing_proxy(place: SendEnvironment, reply: bytes) -> Any:
    place.base_url = "https://letta.test"
    return place.http(proxy=place.stack.enter_context(tunnel(reply)).base_url)


def _socks(place: SendEnvironment, port: int) -> Any:
    return place.http(proxy=f"socks5://127.0.0.1:{place.stack.enter_context(socks(port)).port}")


@frozen
class SendPath:
    """A send path.

    Attributes:
        build: Makes the httpx client.
        requests: How often the path itself sends a request.
        unsent: Whether it provably sends nothing.
        plan: The network faults.
        asynchronous: Whether it is for async code only.
    """

    build: Callable[[SendEnvironment], Any]
    requests: int = 1
    unsent: bool = False
    plan: list[Fault] = field(factory=list)
    asynchronous: bool = False


FAULTS: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.LocalProtocolError,
)

WAYS: Final[dict[str, SendPath]] = {
    "as it is": SendPath(lambda place: place.http()),
    "response lost": SendPath(lambda place: place.http(), plan=[LOST]),
    "response cut in its headers": SendPath(lambda place: place.http(), plan=[Fault(response=30)]),
    **{
        f"response hook raises {cls.__name__}": SendPath(
            lambda place, cls=cls: place.http(hooks={"response": _raise(cls("elsewhere"))})  # type: ignore[misc]  # inferred from SendPath
        )
        for cls in FAULTS
    },
    "response hook cannot connect": SendPath(lambda place: place.http(hooks={"response": _audit})),
    "response hook raises for status": SendPath(
        lambda place: place.http(hooks={"response": httpx.Response.raise_for_status})
    ),
    "request hook cannot connect": SendPath(lambda place: place.http(hooks={"request": _audit}), requests=0),
    "flow raises ConnectError behind it": SendPath(
        lambda place: place.http(auth=_Flow(1, _raise(httpx.ConnectError("elsewhere"))))  # type: ignore[arg-type]  # it never returns
    ),
    "flow sends it, then cannot connect": SendPath(lambda place: place.http(auth=_Flow(1, _refuse))),
    "flow sends a copy, then cannot connect": SendPath(lambda place: place.http(auth=_Flow(1, _refuse, copies=True))),
    "flow cannot connect at first": SendPath(lambda place: place.http(auth=_Flow(0, _refuse)), unsent=True),
    "transport delivers, then cannot connect": SendPath(
        lambda place: place.http(transport=_AsyncDelivering() if place.driver.is_async else _Delivering())
    ),
    "aiohttp": SendPath(_aiohttp, asynchronous=True),
    "aiohttp, response lost": SendPath(_aiohttp, plan=[LOST], asynchronous=True),
    "retries of the transport": SendPath(lambda place: place.http(transport=_transport(place, retries=2))),
    "retries of the transport, response lost": SendPath(
        lambda place: place.http(transport=_transport(place, retries=2)), plan=[LOST]
    ),
    "SOCKS": SendPath(lambda place: _socks(place, place.port)),
    "SOCKS, response lost": SendPath(lambda place: _socks(place, place.port), plan=[LOST]),
    "HTTP proxy that is not there": SendPath(
        lambda place: place.http(proxy=f"http://127.0.0.1:{closed_port()}"), unsent=True
    ),
    "CONNECT refused": SendPath(
        lambda place: _refusing_proxy(place, b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n"), unsent=True
    ),
    "CONNECT not answered": SendPath(lambda place: _refusing_proxy(place, b""), unsent=True),
    "no server": SendPath(_closed, unsent=True),
    "no server, retries of the transport": SendPath(
        lambda place: _closed(place, transport=_transport(place, retries=1)), unsent=True
    ),
    "illegal header": SendPath(lambda place: place.http(headers={"X-Note": "a\r\nb"}), unsent=True),
}


@frozen
class Outcome:
    """The outcome of one send.

    Attributes:
        requests: How often the server received it.
        stored: The number of stored messages. None if it was not a message.
        attempts: The number of attempts.
        error: The exception.
    """

    requests: int
    stored: int | None
    attempts: int
    error: Exception | None

    @property
    def in_doubt(self) -> bool:
        if isinstance(self.error, LettaError):
            return isinstance(self.error, APIConnectionError) and self.error.may_have_been_processed
        return self.error is not None  # an exception of the caller's own hook or flow

    @property
    def message(self) -> str:
        return "\n".join([str(self.error), *getattr(self.error, "__notes__", ())])

    def __str__(self) -> str:
        if self.error is None:
            return "completed"
        known = "may have been processed" if self.in_doubt else "not sent" if self.requests == 0 else "error response"
        return f"{type(self.error).__name__}: {known}"


def send(
    way: SendPath, kind: str, driver: ClientDriver, address: str, conversation: str, stored: Callable[[str], int] | None
) -> Outcome:
    """Send once through a path."""
    reports: list[AttemptReport] = []
    error: Exception | None = None
    before = 0 if stored is None else stored(conversation)
    with proxied(address) as proxy, ExitStack() as stack:
        proxy.plan.extend(way.plan)
        place = SendEnvironment(driver, proxy, stack)
        http = way.build(place)
        hooks = Hooks(on_attempt=reports.append)
        client = driver.client(base_url=place.base_url, http_client=http, retry=NO_DELAY, hooks=hooks)
        try:
            found = driver.run(KINDS[kind](client, conversation))
            if kind == "stream":
                driver.items(found)
        except (LettaError, httpx.HTTPError) as fault:
            error = fault
        proxy.settle()
        requests = len(proxy.requests)
    found = None if stored is None else stored(conversation) - before
    return Outcome(requests, found, len(reports), error)


def check(name: str, way: SendPath, outcome: Outcome) -> None:
    """Check the guarantee: sent once, or an error that states the doubt."""
    assert outcome.requests == (0 if way.unsent else way.requests), name
    assert outcome.stored is None or outcome.stored <= outcome.requests, name
    if outcome.in_doubt:
        assert outcome.attempts <= 1, name
        assert MAY_HAVE_BEEN_PROCESSED in outcome.message or "list the messages before you send" in outcome.message, (
            name
        )
    elif way.unsent:
        assert outcome.attempts == 3, name
        assert isinstance(outcome.error, APIConnectionError), name
        assert MAY_HAVE_BEEN_PROCESSED not in outcome.message, name
    else:
        assert outcome.error is None, name
        assert outcome.stored in (None, 1), name


@contextmanager
def client_driver(*, is_async: bool) -> Iterator[ClientDriver]:
    driver = ClientDriver(is_async=is_async)
    try:
        yield driver
    finally:
        driver.close()


def table(
    address: str,
    conversation: Callable[[], str],
    stored: Callable[[str], int],
    kinds: list[str],
    ways: dict[str, SendPath],
) -> list[str]:
    """Send each kind through each path, check the outcomes, and return the lines of a table."""
    lines = [f"{'way':42} {'kind':8} {'client':6} requests messages attempts outcome"]
    for name, way in ways.items():
        for kind in kinds:
            for is_async in (True,) if way.asynchronous else (False, True):
                with client_driver(is_async=is_async) as driver:
                    count = None if kind == "compact" else stored
                    outcome = send(way, kind, driver, address, conversation(), count)
                check(f"{name}, {kind}, {'async' if is_async else 'sync'}", way, outcome)
                counts = f"{outcome.requests:8} {outcome.stored if count else '-':>8} {outcome.attempts:8}"
                lines.append(f"{name:42} {kind:8} {'async' if is_async else 'sync':6} {counts} {outcome}")
    return lines

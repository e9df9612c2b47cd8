"""Ways to send a message through hooks, `auth=` flows and transports that fail, and what the server got of each."""

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
"""What is sent only once."""


@define
class Place:
    """Where a way leads: the proxy before the server, for one of the two clients."""

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
        events = {name: [_awaitable(hook) if self.driver.is_async else hook] for name, hook in hooks.items()}
        made = kind(verify=TRUST, event_hooks=events, **settings)
        self.driver._to_close.append(made)
        return made


def _awaitable(function: Callable[[Any], object]) -> Callable[[Any], Any]:
    async def wait(argument: Any) -> object:
        return function(argument)

    return wait


def _raise(fault: Exception) -> Callable[[Any], object]:
    def fail(_: object) -> None:
        raise fault

    return fail


def _refused(request: httpx.Request) -> httpx.Request:
    request.url = request.url.copy_with(port=closed_port())
    return request


class _Flow(httpx.Auth):
    """Sends the request as often as it is told to, and then does something else."""

    def __init__(self, times: int, then: Callable[[httpx.Request], httpx.Request], *, copies: bool = False) -> None:
        self._times, self._then, self._copies = times, then, copies

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        for _ in range(self._times):
            copy = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
            yield copy if self._copies else request
        yield self._then(request)


class _Delivering(httpx.HTTPTransport):
    """Delivers a request in another way, and then fails to connect."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        httpx.request(request.method, request.url, headers=request.headers, content=request.content, timeout=60)
        return super().handle_request(_refused(request))


class _AsyncDelivering(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async with httpx.AsyncClient(timeout=60) as other:
            await other.request(request.method, request.url, headers=request.headers, content=request.content)
        return await super().handle_async_request(_refused(request))


def _transport(place: Place, **settings: Any) -> Any:
    kind: Any = httpx.AsyncHTTPTransport if place.driver.is_async else httpx.HTTPTransport
    return kind(verify=TRUST, **settings)


def _aiohttp(place: Place) -> Any:
    from httpx_aiohttp import AiohttpTransport

    return place.http(transport=AiohttpTransport())


def _audit(_: object) -> None:
    httpx.get(f"http://127.0.0.1:{closed_port()}")


def _closed(place: Place, **settings: Any) -> Any:
    place.base_url = f"http://127.0.0.1:{closed_port()}"
    return place.http(**settings)


def _refusing_proxy(place: Place, answer: bytes) -> Any:
    place.base_url = "https://letta.test"
    return place.http(proxy=place.stack.enter_context(tunnel(answer)).base_url)


def _socks(place: Place, port: int) -> Any:
    return place.http(proxy=f"socks5://127.0.0.1:{place.stack.enter_context(socks(port)).port}")


@frozen
class Way:
    """A way.

    Attributes:
        build: makes the httpx client.
        requests: how often the way itself sends a request.
        unsent: whether it surely sends nothing.
        plan: what happens on the way to the server.
        asynchronous: whether it is for async code only.
    """

    build: Callable[[Place], Any]
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

WAYS: Final[dict[str, Way]] = {
    "as it is": Way(lambda place: place.http()),
    "answer lost": Way(lambda place: place.http(), plan=[LOST]),
    "answer cut in its headers": Way(lambda place: place.http(), plan=[Fault(response=30)]),
    **{
        f"response hook raises {cls.__name__}": Way(
            lambda place, cls=cls: place.http(hooks={"response": _raise(cls("elsewhere"))})  # type: ignore[misc]  # inferred from Way
        )
        for cls in FAULTS
    },
    "response hook cannot connect": Way(lambda place: place.http(hooks={"response": _audit})),
    "response hook raises for status": Way(
        lambda place: place.http(hooks={"response": httpx.Response.raise_for_status})
    ),
    "request hook cannot connect": Way(lambda place: place.http(hooks={"request": _audit}), requests=0),
    "flow raises ConnectError behind it": Way(
        lambda place: place.http(auth=_Flow(1, _raise(httpx.ConnectError("elsewhere"))))  # type: ignore[arg-type]  # it returns nothing
    ),
    "flow sends it, then cannot connect": Way(lambda place: place.http(auth=_Flow(1, _refused))),
    "flow sends a copy, then cannot connect": Way(lambda place: place.http(auth=_Flow(1, _refused, copies=True))),
    "flow cannot connect at first": Way(lambda place: place.http(auth=_Flow(0, _refused)), unsent=True),
    "transport delivers, then cannot connect": Way(
        lambda place: place.http(transport=_AsyncDelivering() if place.driver.is_async else _Delivering())
    ),
    "aiohttp": Way(_aiohttp, asynchronous=True),
    "aiohttp, answer lost": Way(_aiohttp, plan=[LOST], asynchronous=True),
    "retries of the transport": Way(lambda place: place.http(transport=_transport(place, retries=2))),
    "retries of the transport, answer lost": Way(
        lambda place: place.http(transport=_transport(place, retries=2)), plan=[LOST]
    ),
    "SOCKS": Way(lambda place: _socks(place, place.port)),
    "SOCKS, answer lost": Way(lambda place: _socks(place, place.port), plan=[LOST]),
    "HTTP proxy that is not there": Way(
        lambda place: place.http(proxy=f"http://127.0.0.1:{closed_port()}"), unsent=True
    ),
    "CONNECT refused": Way(
        lambda place: _refusing_proxy(place, b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n"), unsent=True
    ),
    "CONNECT not answered": Way(lambda place: _refusing_proxy(place, b""), unsent=True),
    "no server": Way(_closed, unsent=True),
    "no server, retries of the transport": Way(
        lambda place: _closed(place, transport=_transport(place, retries=1)), unsent=True
    ),
    "illegal header": Way(lambda place: place.http(headers={"X-Note": "a\r\nb"}), unsent=True),
}


@frozen
class Outcome:
    """What became of one send.

    Attributes:
        requests: how often the server got it.
        stored: how many messages it has of it; None if it was no message.
        attempts: how often it was tried.
        error: what was raised.
    """

    requests: int
    stored: int | None
    attempts: int
    error: Exception | None

    @property
    def in_doubt(self) -> bool:
        if isinstance(self.error, LettaError):
            return isinstance(self.error, APIConnectionError) and self.error.may_have_been_processed
        return self.error is not None  # that of the caller's own hook or flow

    @property
    def words(self) -> str:
        return "\n".join([str(self.error), *getattr(self.error, "__notes__", ())])

    def __str__(self) -> str:
        if self.error is None:
            return "answered"
        known = "may have been processed" if self.in_doubt else "not sent" if self.requests == 0 else "refused"
        return f"{type(self.error).__name__}: {known}"


def send(
    way: Way, kind: str, driver: ClientDriver, address: str, conversation: str, stored: Callable[[str], int] | None
) -> Outcome:
    """Sends once, that way."""
    reports: list[AttemptReport] = []
    error: Exception | None = None
    before = 0 if stored is None else stored(conversation)
    with proxied(address) as proxy, ExitStack() as stack:
        proxy.plan.extend(way.plan)
        place = Place(driver, proxy, stack)
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


def check(name: str, way: Way, outcome: Outcome) -> None:
    """Holds an outcome to the promise: there once, or a clear word that it may be."""
    assert outcome.requests == (0 if way.unsent else way.requests), name
    assert outcome.stored is None or outcome.stored <= outcome.requests, name
    if outcome.in_doubt:
        assert outcome.attempts <= 1, name
        assert MAY_HAVE_BEEN_PROCESSED in outcome.words or "list the messages before you send" in outcome.words, name
    elif way.unsent:
        assert outcome.attempts == 3, name
        assert isinstance(outcome.error, APIConnectionError), name
        assert MAY_HAVE_BEEN_PROCESSED not in outcome.words, name
    else:
        assert outcome.error is None, name
        assert outcome.stored in (None, 1), name


@contextmanager
def either(*, is_async: bool) -> Iterator[ClientDriver]:
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
    ways: dict[str, Way],
) -> list[str]:
    """Sends every kind every way, checks each, and returns the lines of a table of what became of them."""
    lines = [f"{'way':42} {'kind':8} {'client':6} requests messages attempts outcome"]
    for name, way in ways.items():
        for kind in kinds:
            for is_async in (True,) if way.asynchronous else (False, True):
                with either(is_async=is_async) as driver:
                    count = None if kind == "compact" else stored
                    outcome = send(way, kind, driver, address, conversation(), count)
                check(f"{name}, {kind}, {'async' if is_async else 'sync'}", way, outcome)
                counts = f"{outcome.requests:8} {outcome.stored if count else '-':>8} {outcome.attempts:8}"
                lines.append(f"{name:42} {kind:8} {'async' if is_async else 'sync':6} {counts} {outcome}")
    return lines

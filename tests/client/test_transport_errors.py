"""Exceptions of a transport become `APIConnectionError`; those of the caller's own code are raised unchanged."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from letta_ext import APIConnectionError, APITimeoutError, LettaError, StreamInterrupted

from .helpers import (
    BASE_URL,
    CONVERSATION,
    KEY,
    NO_DELAY,
    NO_RETRIES,
    STEP,
    ClientDriver,
    loopback,
    recording,
    respond_with,
)
from .raising import PHASES, Network, Phase, http_client, instance, pieces, transport_exceptions


def make_exception(kind: type[Exception]) -> Exception:
    fault = instance(kind)
    assert fault is not None
    return fault


CLASSES = [kind for kind in transport_exceptions() if instance(kind) is not None]
EVENTS = "text/event-stream"


def client(driver: ClientDriver, network: Network, **settings: Any) -> Any:
    http = http_client(network, is_async=driver.is_async, **settings)
    driver._to_close.append(http)
    return driver.client(base_url=BASE_URL, api_key=KEY, retry=NO_RETRIES, http_client=http)


def raw(driver: ClientDriver, letta: Any) -> Any:
    return driver.run(driver.run(letta.steps.with_raw_response.retrieve(STEP)).parse())


def unread(driver: ClientDriver, letta: Any) -> Any:
    context = letta.steps.with_streaming_response.retrieve(STEP)
    if not driver.is_async:
        with context as response:
            return list(response.iter_bytes())

    async def read() -> Any:
        async with context as response:
            return [piece async for piece in response.iter_bytes()]

    return driver.run(read())


def events(driver: ClientDriver, letta: Any, **arguments: Any) -> Any:
    return driver.items(driver.run(letta.conversations.messages.create(CONVERSATION, input="hi", **arguments)))


STEP_BODY = recording("step_retrieve").content
CALLS: dict[str, tuple[Callable[[ClientDriver, Any], Any], list[bytes]]] = {
    "json": (lambda driver, letta: driver.run(letta.steps.retrieve(STEP)), pieces(STEP_BODY)),
    "send": (
        lambda driver, letta: driver.run(
            letta.conversations.messages.create(CONVERSATION, input="hi", streaming=False)
        ),
        pieces(recording("send_json").content),
    ),
    "list": (lambda driver, letta: driver.items(letta.steps.list()), pieces(recording("steps_list").content)),
    "raw": (raw, pieces(STEP_BODY)),
    "unread": (unread, pieces(STEP_BODY)),
    "verb": (lambda driver, letta: driver.run(letta.get("/v1/agents/")), pieces(b"[1, 2, 3]")),
    "stream": (events, pieces(recording("send_tokens_stream").content, EVENTS)),
}


def test_transport_exception_list_covers_known_classes() -> None:
    """The list of exception classes contains those of each layer."""
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in CLASSES}
    assert names >= {
        "httpx.ReadError",
        "httpx.InvalidURL",
        "httpx.CookieConflict",
        "httpcore.ReadError",
        "anyio.ClosedResourceError",
        "ssl.SSLError",
        "ssl.SSLCertVerificationError",
        "socket.gaierror",
        "h11.LocalProtocolError",
        "idna.IDNAError",
        "zlib.error",
        "builtins.ConnectionResetError",
        "builtins.RuntimeError",
        "builtins.UnicodeEncodeError",
        "builtins.ExceptionGroup",
    }
    assert len(CLASSES) > 150


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("call", CALLS)
def test_transport_exception_of_any_class_raises_api_connection_error(
    driver: ClientDriver, call: str, phase: Phase
) -> None:
    """Each exception class, in each phase, becomes a printable `APIConnectionError`."""
    make, content = CALLS[call]
    for kind in CLASSES:
        with pytest.raises(LettaError) as caught:
            make(driver, client(driver, Network(phase, partial(make_exception, kind), content)))
        error = caught.value
        assert isinstance(error, APIConnectionError), kind
        assert str(error).isprintable(), kind
        assert issubclass(kind, (TimeoutError, httpx.TimeoutException)) <= (
            isinstance(error, (APITimeoutError, StreamInterrupted))
        ), kind


def test_background_stream_resumes_after_transport_exception_of_any_class(driver: ClientDriver) -> None:
    """A background stream resumes after each exception class."""
    numbered = [
        {"message_type": "assistant_message", "id": "m", "content": f"{n} ", "seq_id": n, "run_id": "run-1"}
        for n in range(1, 6)
    ]
    frames = [b"data: %b\n\n" % json.dumps({**each, "date": "2026-01-01T00:00:00Z"}).encode() for each in numbered]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    content = [head, b"".join(frames[:3]), b"".join(frames[3:]) + b"data: [DONE]\n\n"]
    for kind in CLASSES:
        network = Network("body", partial(make_exception, kind), content, times=1)
        letta = client(driver, network).with_options(retry=NO_DELAY)
        found = events(driver, letta, background=True)
        assert [event.seq_id for event in found] == [1, 2, 3, 4, 5], kind
        assert network.connected == 2


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_base_exceptions_are_raised_unchanged(driver: ClientDriver, phase: Phase, kind: type[BaseException]) -> None:
    """`KeyboardInterrupt`, `SystemExit` and cancellations are raised unchanged."""
    for make, content in CALLS.values():
        with pytest.raises((kind, RuntimeError) if kind is GeneratorExit else kind):
            make(driver, client(driver, Network(phase, kind, content)))


# The caller's own code


class OwnError(Exception):
    """An exception of the caller's code."""


def own_errors() -> list[Exception]:
    request = httpx.Request("GET", "http://elsewhere.test/")
    return [
        OwnError("mine"),
        OSError("mine"),
        TimeoutError("mine"),
        ValueError("mine"),
        httpx.ConnectError("mine"),
        httpx.ConnectTimeout("mine", request=request),
        httpx.PoolTimeout("mine", request=request),
    ]


def hooks(driver: ClientDriver, event: str, fault: Exception) -> dict[str, Any]:
    def fails(_: object) -> None:
        raise fault

    async def fails_async(_: object) -> None:
        raise fault

    return {"event_hooks": {event: [fails_async if driver.is_async else fails]}}


def auth(_: ClientDriver, __: str, fault: Exception) -> dict[str, Any]:
    class Auth(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            yield from ()
            raise fault

    return {"auth": Auth()}


def late_auth(_: ClientDriver, __: str, fault: Exception) -> dict[str, Any]:
    class Auth(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            yield request
            raise fault

    return {"auth": Auth()}


def auth_function(_: ClientDriver, __: str, fault: Exception) -> dict[str, Any]:
    def fails(_: httpx.Request) -> httpx.Request:
        raise fault

    return {"auth": fails}


OWN_CODE = {
    "request hook": (hooks, "request"),
    "response hook": (hooks, "response"),
    "auth": (auth, ""),
    "auth behind the response": (late_auth, ""),
    "auth function": (auth_function, ""),
}


@pytest.mark.parametrize("code", OWN_CODE)
@pytest.mark.parametrize("call", CALLS)
def test_exceptions_of_hooks_and_auth_flows_are_raised_unchanged(driver: ClientDriver, code: str, call: str) -> None:
    """Exceptions of event hooks and `auth=` flows are raised unchanged, without a retry."""
    make, content = CALLS[call]
    settings, argument = OWN_CODE[code]
    for fault in own_errors():
        network = Network("connect", AssertionError, content, times=0)
        letta = client(driver, network, **settings(driver, argument, fault)).with_options(retry=NO_DELAY)
        with pytest.raises(type(fault)) as caught:
            make(driver, letta)
        assert caught.value is fault
        assert network.connected <= 1, "the request was retried"


def test_exception_of_overridden_send_is_raised_unchanged() -> None:
    """An exception of an overridden `send` is raised unchanged."""

    class Client(httpx.Client):
        def send(self, *_: Any, **__: Any) -> httpx.Response:
            raise OwnError

    driver = ClientDriver(is_async=False)
    with Client() as http, pytest.raises(OwnError):
        driver.run(driver.client(base_url=BASE_URL, retry=NO_RETRIES, http_client=http).steps.retrieve(STEP))


def test_connection_error_in_reading_hook_raises_api_connection_error(driver: ClientDriver) -> None:
    """A connection error while a hook reads the body is a connection error."""

    def read(response: httpx.Response) -> None:
        response.read()

    async def read_async(response: httpx.Response) -> None:
        await response.aread()

    network = Network("body", lambda: httpx.ReadError("cut"), pieces(STEP_BODY))
    letta = client(driver, network, event_hooks={"response": [read_async if driver.is_async else read]})
    with pytest.raises(APIConnectionError, match="failed: cut"):
        driver.run(letta.steps.retrieve(STEP))


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="Windows has no signals of threads")
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("kind", [OwnError, TimeoutError, OSError])
def test_exception_of_signal_handler_is_raised_unchanged(phase: Phase, kind: type[Exception]) -> None:
    """An exception of a signal handler is raised unchanged, in each phase."""
    driver = ClientDriver(is_async=False)

    def ring(*_: object) -> None:
        raise kind("mine")

    def wait() -> BaseException:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        return AssertionError("the signal arrived late")

    before = signal.signal(signal.SIGUSR1, ring)
    try:
        for name, (make, content) in CALLS.items():
            with pytest.raises(kind, match="mine"):
                make(driver, client(driver, Network(phase, wait, content)))
            assert name
    finally:
        signal.signal(signal.SIGUSR1, before)
        driver.close()


def test_timeout_error_of_signal_handler_is_raised_unchanged() -> None:
    """A `TimeoutError` of a signal handler is not mapped, although httpcore wraps it."""
    driver = ClientDriver(is_async=False)

    def ring(*_: object) -> None:
        raise TimeoutError("mine")

    def hang(_: httpx.Request) -> httpx.Response:
        try:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        except TimeoutError as fault:  # httpcore wraps it in the same way
            raise httpx.ReadTimeout("timed out") from fault
        raise AssertionError

    before = signal.signal(signal.SIGUSR1, ring)
    try:
        with pytest.raises(TimeoutError, match="mine"):
            driver.run(driver.client(hang).steps.retrieve(STEP))
    finally:
        signal.signal(signal.SIGUSR1, before)
        driver.close()


def test_exception_of_library_hook_is_raised_unchanged(driver: ClientDriver) -> None:
    """An exception of a hook in `Hooks` is raised unchanged."""
    from letta_ext import Hooks

    def fails(_: object) -> None:
        raise OSError("mine")

    with pytest.raises(OSError, match="mine"):
        driver.run(driver.client(respond_with(200), hooks=Hooks(on_attempt=fails)).steps.retrieve(STEP))


# Headers and cookies


KINDS = [
    [("content-type", "")],
    [("content-type", "text/event-stream"), ("content-type", "text/event-stream")],
    [("content-type", "text/event-stream, text/event-stream; charset=utf-8")],
    [("content-type", ""), ("content-type", "Text/Event-Stream;charset=utf-8")],
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_stream_with_empty_or_repeated_content_type_is_decoded(
    driver: ClientDriver, kind: list[tuple[str, str]]
) -> None:
    """A stream with an empty or repeated content type is decoded."""
    recorded = recording("send_tokens_stream")
    handler = respond_with(lambda: httpx.Response(200, headers=kind, content=recorded.content))
    assert len(events(driver, driver.client(handler))) == len(recorded.events())


@pytest.mark.parametrize("location", ["http://xn--a/", "http://[::1", "http://a:99999/", "//\udcff", "http://é..é/"])
@pytest.mark.parametrize("status", [301, 307])
def test_redirect_to_invalid_location_raises_letta_error(driver: ClientDriver, status: int, location: str) -> None:
    """A redirect to an invalid location raises `LettaError`."""

    def redirect(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=[(b"location", location.encode("utf-8", "surrogateescape"))])

    with pytest.raises(LettaError):
        driver.run(driver.client(redirect).steps.retrieve(STEP))


COOKIE = b"HTTP/1.1 200 OK\r\nset-cookie: a=\xc3\xa9; Path=/\r\ncontent-length: 2\r\n\r\n[]"


def test_unsendable_cookie_does_not_break_next_call(driver: ClientDriver) -> None:
    """A cookie that is not ASCII does not break later calls."""
    with loopback(COOKIE) as server:
        letta = driver.client(base_url=server.base_url)
        for _ in range(3):
            assert driver.run(letta.get("/v1/agents/")) == []


def test_unsendable_cookie_of_passed_httpx_client_raises_with_remedy(driver: ClientDriver) -> None:
    """With a passed httpx client, the error recommends to clear its cookies."""
    with loopback(COOKIE) as server:
        http = httpx.AsyncClient() if driver.is_async else httpx.Client()
        driver._to_close.append(http)
        letta = driver.client(base_url=server.base_url, http_client=http)
        assert driver.run(letta.get("/v1/agents/")) == []
        for _ in range(2):
            with pytest.raises(LettaError, match="Clear its cookies"):
                driver.run(letta.get("/v1/agents/"))

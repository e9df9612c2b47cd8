"""Limits on the size and duration of response bodies, and statuses that survive a broken body."""

from __future__ import annotations

import json
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Final

import brotli  # type: ignore[import-untyped]  # no types are published
import httpx
import pytest
import zstandard

from letta_ext import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    ConversationBusyError,
    InternalServerError,
    NotFoundError,
    ResponseLimits,
    ResponseTooLargeError,
    UnprocessableEntityError,
)
from letta_ext._http.errors_from_response import MAY_HAVE_BEEN_PROCESSED

from .bodies import ENDLESS, OK, encoded, streamed
from .helpers import CONVERSATION, EVENTS, NO_DELAY, STEP, Body, ClientDriver, make_response, respond_with
from .servers import chunk, response, serving

# Statuses


def client_with_hooks(
    driver: ClientDriver, base_url: str, *hooks: Callable[[httpx.Response], Any], **options: Any
) -> Any:
    """Return a client of a server whose httpx client has these response hooks."""

    def async_hook(hook: Callable[[httpx.Response], Any]) -> Callable[[httpx.Response], Any]:
        async def call(response: httpx.Response) -> None:
            if hook is httpx.Response.read:
                await response.aread()
            else:
                hook(response)

        return call

    kind: Any = httpx.AsyncClient if driver.is_async else httpx.Client
    http = kind(event_hooks={"response": [async_hook(hook) if driver.is_async else hook for hook in hooks]}, **options)
    driver._to_close.append(http)
    return driver.client(base_url=base_url, retry=NO_DELAY, http_client=http)


def respond_with_error(status: str, body: Any, **headers: str) -> Callable[[socket.socket, bytes, int], object]:
    return lambda connection, *_: connection.sendall(response(json.dumps(body).encode(), status, **headers))


@pytest.mark.parametrize("reads", [False, True])
@pytest.mark.parametrize(
    ("status", "cls", "requests"),
    [
        ("404 No", NotFoundError, 1),
        ("409 Busy", APIStatusError, 1),
        ("422 No", UnprocessableEntityError, 1),
        ("503 Later", InternalServerError, 3),
        ("307 Elsewhere", APIStatusError, 1),
        ("418 Tea", APIStatusError, 1),
    ],
)
def test_raise_for_status_hook_keeps_status_and_error_class(
    driver: ClientDriver, status: str, cls: type[APIStatusError], requests: int, reads: bool
) -> None:
    """`raise_for_status` as a hook keeps the error class, and the body if an earlier hook reads it."""
    hooks = [httpx.Response.read] * reads + [httpx.Response.raise_for_status]
    body = {"detail": "currently being processed", "run_id": "run-1"}
    with serving(respond_with_error(status, body, location="http://elsewhere.test/", x_request_id="req-1")) as server:
        client = client_with_hooks(driver, server.base_url, *hooks)
        with pytest.raises(cls) as caught:
            driver.run(client.steps.retrieve(STEP))
        assert len(server.requests) == requests
    assert caught.value.status_code == int(status[:3])
    assert caught.value.request_id == "req-1"
    if reads:
        assert caught.value.body == body
        assert isinstance(caught.value, ConversationBusyError) == (caught.value.status_code == 409)


def test_raise_for_status_hook_on_redirect_still_follows_it(driver: ClientDriver) -> None:
    """A hook that raises for a redirect does not stop the redirect."""

    def handler(connection: socket.socket, request: bytes, _: int) -> None:
        moved = response(b"", "307 Moved", location="/moved")
        connection.sendall(response(OK.content) if b"/moved" in request else moved)

    with serving(handler) as server:
        client = client_with_hooks(driver, server.base_url, httpx.Response.raise_for_status)
        assert driver.run(client.steps.retrieve(STEP)).id.startswith("step-")
        assert len(server.requests) == 2


def test_hook_error_of_another_request_is_raised_with_note(driver: ClientDriver) -> None:
    """The status error of a request that the hook itself makes is raised unchanged, with a note."""

    def audit(_: httpx.Response) -> None:
        httpx.get(elsewhere.base_url).raise_for_status()

    with serving(respond_with_error("404 No", {})) as elsewhere, serving(respond_with_error("200 OK", {})) as server:
        client = client_with_hooks(driver, server.base_url, audit)
        with pytest.raises(httpx.HTTPStatusError) as caught:
            driver.run(client.conversations.messages.create(CONVERSATION, input="hi", streaming=False))
        assert len(server.requests) == 1
    assert any(MAY_HAVE_BEEN_PROCESSED in note for note in caught.value.__notes__)


def test_auth_flow_raising_for_status_keeps_error_class(driver: ClientDriver) -> None:
    """An `auth=` flow that raises for a status keeps the error class."""

    class Strict(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            (yield request).raise_for_status()

    with serving(respond_with_error("422 No", {"detail": "no"})) as server:
        client = client_with_hooks(driver, server.base_url, auth=Strict())
        for call in (client.steps.retrieve, client.conversations.messages.compact):
            with pytest.raises(UnprocessableEntityError):
                driver.run(call(STEP if call == client.steps.retrieve else CONVERSATION))
        assert len(server.requests) == 2


def drip(connection: socket.socket, piece: bytes = b" ", pause: float = 0.02, seconds: float = 5) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        connection.sendall(chunk(piece))
        time.sleep(pause)
    return False


def cut(connection: socket.socket, *_: object) -> bool:
    connection.sendall(b'HTTP/1.1 422 No\r\ncontent-length: 500\r\n\r\n{"detail": "bad inp')
    return False


def dripping(connection: socket.socket, *_: object) -> bool:
    connection.sendall(b"HTTP/1.1 422 No\r\n" + ENDLESS + chunk(b'{"detail": "bad inp'))
    return drip(connection)


def silent(connection: socket.socket, *_: object) -> bool:
    connection.sendall(b'HTTP/1.1 422 No\r\ncontent-length: 500\r\n\r\n{"detail": "bad inp')
    time.sleep(2)
    return False


def huge(connection: socket.socket, *__: object) -> bool:
    connection.sendall(b'HTTP/1.1 422 No\r\ncontent-length: 200000000\r\n\r\n{"detail": "bad inp')
    for _ in range(200):
        connection.sendall(b"x" * 1_000_000)
    return False


def garbled(connection: socket.socket, *_: object) -> bool:
    connection.sendall(b"HTTP/1.1 422 No\r\n" + ENDLESS + chunk(b'{"detail": "bad inp') + b"no length\r\n")
    return False


@pytest.mark.parametrize("handler", [cut, dripping, silent, huge, garbled])
def test_error_with_broken_body_keeps_status_and_partial_body(
    driver: ClientDriver, handler: Callable[..., object]
) -> None:
    """An error response whose body stalls, breaks or is huge raises its class with the partial body."""
    with serving(handler) as server:
        client = driver.client(base_url=server.base_url, retry=NO_DELAY)
        create = client.conversations.messages.create
        calls: list[Callable[[], Any]] = [
            lambda: client.steps.retrieve(STEP, timeout=0.3),
            lambda: create(CONVERSATION, input="hi", timeout=0.3),
            lambda: create(CONVERSATION, input="hi", background=True, timeout=0.3),
        ]
        for call in calls:
            began = time.monotonic()
            with pytest.raises(UnprocessableEntityError) as caught:
                driver.run(call())
            assert time.monotonic() - began < 2
            assert str(caught.value.body).startswith('{"detail": "bad inp')
            assert len(caught.value.body) <= 65_536
        assert len(server.requests) == len(calls)


@pytest.mark.parametrize(
    ("content", "coding"),
    [
        (b"no gzip at all", "gzip"),
        (b"no brotli", "br"),
        (b"no zstd", "zstd"),
        (b"x", "gzip, " * 200 + "gzip"),
        (encoded(b'{"detail": "bad"}', "gzip")[:-12], "gzip"),
        (encoded(b"bad", "zstd")[:-2], "zstd"),
    ],
)
def test_error_with_undecodable_body_keeps_status(driver: ClientDriver, content: bytes, coding: str) -> None:
    """An error response whose content encoding is broken raises its class."""
    fields = {"content-encoding": coding}
    handler = respond_with(lambda: httpx.Response(404, headers=fields, stream=Body([content])))
    with pytest.raises(NotFoundError):
        driver.run(driver.client(handler).steps.retrieve(STEP))
    success = respond_with(lambda: httpx.Response(200, headers=fields, stream=Body([content])))
    with pytest.raises((APIConnectionError, APIResponseValidationError)):
        driver.run(driver.client(success).steps.retrieve(STEP))


# Limits


def zeros(count: int, coding: str) -> Iterator[bytes]:
    """Yield encoded megabytes of zeros."""
    million = bytes(1_048_576)
    if coding == "gzip":
        packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
        yield packer.compress(million) + packer.flush(zlib.Z_FULL_FLUSH)
        again = packer.compress(million) + packer.flush(zlib.Z_FULL_FLUSH)
        yield again * (count - 1)  # after a full flush, the same data compresses to the same bytes
    elif coding == "br":
        made = brotli.Compressor(quality=1)
        yield b"".join(made.process(million) for _ in range(count)) + made.finish()
    else:
        packed = zstandard.ZstdCompressor().compressobj()
        yield b"".join(packed.compress(million) for _ in range(count)) + packed.flush()


BOMBS: Final = {coding: b"".join(zeros(200, coding)) for coding in ("gzip", "br", "zstd")}
BOMBS["gzip, gzip"] = encoded(BOMBS["gzip"], "gzip")
BOMBS["identity"] = b""


@pytest.mark.parametrize("coding", BOMBS)
@pytest.mark.parametrize("status", [200, 404, 307])
def test_decompression_bomb_is_not_decoded_beyond_limit(driver: ClientDriver, status: int, coding: str) -> None:
    """A 200 MB bomb in one chunk stays within a bounded amount of memory."""
    chunks = [BOMBS[coding]] if coding != "identity" else (bytes(1_048_576) for _ in range(200))
    headers = {"content-encoding": coding, "location": "/moved"}

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/moved":
            return OK.response()
        body = Body([])
        body.chunks = chunks  # type: ignore[assignment]  # a generator of chunks
        return httpx.Response(status, headers=headers, stream=body)

    client = driver.client(handler)
    tracemalloc.start()
    try:
        if status == 307:
            assert driver.run(client.steps.retrieve(STEP)).id
        else:
            with pytest.raises(ResponseTooLargeError if status == 200 else NotFoundError):
                driver.run(client.steps.retrieve(STEP))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (100_000_000 if status == 200 else 40_000_000)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_decompression_bomb_in_event_stream_stops_at_event_size_limit(driver: ClientDriver, coding: str) -> None:
    """A bomb in an event stream ends at the maximum size of an event."""
    headers = {**EVENTS, "content-encoding": coding}
    handler = respond_with(lambda: httpx.Response(200, headers=headers, stream=Body([BOMBS[coding]])))
    tracemalloc.start()
    try:
        stream = driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi"))
        _, fault = driver.drain(stream)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(fault, APIError)
    assert peak < 170_000_000


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_iter_bytes_of_bomb_yields_bounded_pieces(driver: ClientDriver, coding: str) -> None:
    """`iter_bytes` yields a compressed body in pieces of bounded size."""
    handler = respond_with(
        lambda: httpx.Response(200, headers={"content-encoding": coding}, stream=Body([BOMBS[coding]]))
    )
    sizes: list[int] = []

    async def read_async() -> None:
        async with driver.client(handler).steps.with_streaming_response.retrieve(STEP) as raw:
            sizes.extend([len(piece) async for piece in raw.iter_bytes()])

    if driver.is_async:
        driver.run(read_async())
    else:
        with driver.client(handler).steps.with_streaming_response.retrieve(STEP) as raw:
            sizes.extend(len(piece) for piece in raw.iter_bytes())
    assert sum(sizes) == 200 * 1_048_576
    assert max(sizes) <= 20_000_000


CALLS: dict[str, Callable[[Any], Any]] = {
    "read": lambda client: client.steps.retrieve(STEP),
    "list": lambda client: client.steps.list(),
    "send": lambda client: client.conversations.messages.create(CONVERSATION, input="hi", streaming=False),
    "get": lambda client: client.get("/v1/x"),
    "raw": lambda client: client.steps.with_raw_response.retrieve(STEP),
}


@pytest.mark.parametrize("call", CALLS)
def test_response_over_max_bytes_raises_response_too_large_error(driver: ClientDriver, call: str) -> None:
    """A response over `max_bytes` raises `ResponseTooLargeError` and is not retried."""
    handler = respond_with(lambda: streamed(b"[" + b" " * 1000 + b"]", x_request_id="req-1"))
    client = driver.client(handler, retry=NO_DELAY, response_limits=ResponseLimits(max_bytes=1001))
    with pytest.raises(ResponseTooLargeError) as caught:
        driver.run(CALLS[call](client))
    assert len(handler.requests) == 1
    assert caught.value.status_code == 200
    assert caught.value.request_id == "req-1"
    assert "larger than 1001 bytes; the server has processed the request. Increase response_limits" in str(caught.value)
    driver.run(client.get("/v1/x", response_limits=ResponseLimits(max_bytes=1002)))
    changed = client.with_options(response_limits=ResponseLimits(max_bytes=1002))
    assert driver.run(changed.get("/v1/x")) == []


def test_streaming_response_parse_over_max_bytes_raises(driver: ClientDriver) -> None:
    """`parse()` of a streaming response applies `max_bytes`."""
    handler = respond_with(lambda: streamed(b"[" + b" " * 1000 + b"]"))
    limits = ResponseLimits(max_bytes=1001)
    client = driver.client(handler, response_limits=limits)

    async def parse_async() -> Any:
        async with client.steps.with_streaming_response.retrieve(STEP) as raw:
            return await raw.parse()

    def parse() -> Any:
        with client.steps.with_streaming_response.retrieve(STEP) as raw:
            return raw.parse()

    with pytest.raises(ResponseTooLargeError):
        driver.run(parse_async() if driver.is_async else parse())


def test_error_body_is_truncated_to_max_error_bytes(driver: ClientDriver) -> None:
    """The body of an error is truncated to `max_error_bytes`."""
    handler = respond_with(lambda: streamed(b"x" * 70_000, status=404))
    client = driver.client(handler)
    for limits, size in ((ResponseLimits(), 65_536), (ResponseLimits(max_error_bytes=10), 10)):
        with pytest.raises(NotFoundError) as caught:
            driver.run(client.steps.retrieve(STEP, response_limits=limits))
        assert caught.value.body == "x" * size


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("timeout", [60, None])
def test_dripping_body_raises_timeout_at_total_deadline(driver: ClientDriver, call: str, timeout: float | None) -> None:
    """A body that arrives byte by byte ends at `ResponseLimits.total`."""

    def dripping(connection: socket.socket, *_: object) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + ENDLESS)
        return drip(connection)

    with serving(dripping) as server:
        limits = ResponseLimits(total=0.2)
        client = driver.client(base_url=server.base_url, retry=NO_DELAY, response_limits=limits, timeout=timeout)
        began = time.monotonic()
        with pytest.raises(APITimeoutError, match=r"did not end within 0.2 s; the server has processed the request"):
            driver.run(CALLS[call](client))
        assert 0.2 <= time.monotonic() - began < 2
        assert len(server.requests) == 1


def test_silent_body_raises_timeout_at_total_deadline(driver: ClientDriver) -> None:
    """A body that stalls ends at `ResponseLimits.total`."""

    def silent(connection: socket.socket, *_: object) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + ENDLESS + chunk(b" "))
        time.sleep(3)
        return False

    with serving(silent) as server:
        client = driver.client(base_url=server.base_url, retry=NO_DELAY, response_limits=ResponseLimits(total=0.2))
        began = time.monotonic()
        with pytest.raises(APITimeoutError, match="did not end"):
            driver.run(client.steps.retrieve(STEP))
        assert time.monotonic() - began < 2


def test_body_deadline_excludes_time_to_first_byte_and_other_attempts(driver: ClientDriver) -> None:
    """`ResponseLimits.total` counts the body of one attempt only."""

    def slow(connection: socket.socket, _: bytes, number: int) -> object:
        if number == 1:
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
            return False
        time.sleep(0.3)
        connection.sendall(response(OK.content))
        return True

    with serving(slow) as server:
        client = driver.client(base_url=server.base_url, retry=NO_DELAY, response_limits=ResponseLimits(total=0.1))
        assert driver.run(client.steps.retrieve(STEP)).id.startswith("step-")
        assert len(server.requests) == 2


def test_event_stream_ignores_response_limits(driver: ClientDriver) -> None:
    """`ResponseLimits` does not apply to event streams."""

    def slow(connection: socket.socket, *_: object) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        drip(connection, b": on its way\n\n", seconds=0.3)
        connection.sendall(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        return False

    with serving(slow) as server:
        client = driver.client(base_url=server.base_url, response_limits=ResponseLimits(total=0.1, max_bytes=1))
        assert driver.items(driver.run(client.conversations.messages.create(CONVERSATION, input="hi"))) == []


def test_redirect_with_endless_body_is_followed(driver: ClientDriver) -> None:
    """A redirect is followed without reading its endless body."""

    def handler(connection: socket.socket, request: bytes, _: int) -> object:
        if b"/moved" in request:
            connection.sendall(response(OK.content))
            return True
        connection.sendall(b"HTTP/1.1 307 Moved\r\nlocation: /moved\r\n" + ENDLESS)
        return drip(connection)

    with serving(handler) as server:
        client = driver.client(base_url=server.base_url, response_limits=ResponseLimits(total=0.2))
        began = time.monotonic()
        assert driver.run(client.steps.retrieve(STEP)).id.startswith("step-")
        assert time.monotonic() - began < 2


def test_connection_is_reused_after_redirect_and_error(driver: ClientDriver) -> None:
    """A redirect and an error response leave the connection reusable."""
    replies = [response(b"x" * 100, "307 Moved", location="/moved"), response(b"{}", "503 Later"), response(OK.content)]
    with serving(lambda connection, _, number: connection.sendall(replies[number - 1])) as server:
        client = driver.client(base_url=server.base_url, retry=NO_DELAY)
        driver.run(client.steps.retrieve(STEP))
        assert (len(server.requests), len(server.connections)) == (3, 1)


@pytest.mark.parametrize("location", ["http://[bad", "http://a..b/", "/\x7f", "http://letta.test:99999/"])
def test_redirect_to_invalid_url_raises_api_error(driver: ClientDriver, location: str) -> None:
    """A redirect to an invalid URL raises `APIError`."""
    handler = respond_with(make_response(307, headers=[(b"location", location.encode())]))
    with pytest.raises(APIError):
        driver.run(driver.client(handler).steps.retrieve(STEP))


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"total": 0}, "total must be a positive number of seconds or None, got 0")]
    + [
        ({name: value}, f"{name} must be 1 or more, got {value}")
        for name in ("max_bytes", "max_error_bytes")
        for value in (0, -1)
    ],
)
def test_invalid_response_limits_raise_value_error(setting: dict[str, Any], message: str) -> None:
    """Limits that are not positive raise `ValueError`."""
    with pytest.raises(ValueError, match=message):
        ResponseLimits(**setting)


def test_response_limits_of_wrong_type_raise_type_error(driver: ClientDriver) -> None:
    """A value that is not a `ResponseLimits` raises `TypeError`."""
    sent: Sequence[Any] = respond_with(200).requests
    calls: tuple[Callable[[], Any], ...] = (
        lambda: driver.client(response_limits=7),
        lambda: driver.run(driver.client(respond_with(200)).steps.retrieve(STEP, response_limits=7)),
    )
    for make in calls:
        with pytest.raises(TypeError, match="response_limits must be a ResponseLimits, got int"):
            make()
    assert sent == []

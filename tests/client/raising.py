"""HTTP clients whose network raises a given exception in a given phase, below the connection pool of httpx."""

from __future__ import annotations

import builtins
import http.client
import http.cookiejar
import inspect
import socket
import ssl
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Literal

import anyio
import httpcore
import httpx

Phase = Literal["connect", "headers", "body"]
PHASES: Final[tuple[Phase, ...]] = ("connect", "headers", "body")

MODULES: Final = (
    "h11",
    "h2.exceptions",
    "hpack.exceptions",
    "idna",
    "socksio.exceptions",
    "brotli",
    "zstandard",
    "trio",
)
"""Modules that a transport may use; those that are installed are searched for exceptions."""


def _subclasses(root: type[BaseException]) -> Iterator[type[BaseException]]:
    yield root
    for each in root.__subclasses__():
        yield from _subclasses(each)


def transport_exceptions() -> list[type[Exception]]:
    """Return every exception class of the layers below a client, and the built-in ones."""
    modules: list[Any] = [builtins, httpx, httpcore, anyio, ssl, socket, zlib, http.client, http.cookiejar]
    modules += [import_module(name) for name in MODULES if find_spec(name.partition(".")[0])]
    found: set[type[BaseException]] = set()
    for module in modules:
        for _, value in inspect.getmembers(module, inspect.isclass):
            if issubclass(value, Exception):
                found |= {each for each in _subclasses(value) if _is_public(each)}
    mine = {each for each in found if issubclass(each, Exception)}
    # httpcore's pool catches this one internally and retries for ever.
    return sorted(
        mine - {StopIteration, httpcore.ConnectionNotAvailable}, key=lambda each: (each.__module__, each.__qualname__)
    )


def _is_public(kind: type[BaseException]) -> bool:
    package = kind.__module__.partition(".")[0]
    known = {"builtins", "httpx", "httpcore", "anyio", "ssl", "_ssl", "socket", "zlib", "http", "asyncio", "concurrent"}
    return package in known | {name.partition(".")[0] for name in MODULES} | {"encodings", "codecs"}


ARGUMENTS: Final[tuple[tuple[Any, ...], ...]] = (
    ("broken",),
    (),
    (1, "broken"),
    ("ascii", "broken", 0, 1, "ordinal not in range"),
    ("ascii", b"broken", 0, 1, "ordinal not in range"),
    ("broken", 0, 1, "ordinal not in range"),
    ("broken", [ValueError("inner")]),
    ("broken", 1),
    ("broken", "broken", "broken"),
)


@cache
def _arguments(kind: type[Exception]) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Return arguments that a class accepts."""
    keywords = {"request": httpx.Request("GET", "http://x/"), "response": httpx.Response(400)}
    for positional in ARGUMENTS:
        for named in ({}, keywords):
            try:
                str(kind(*positional, **named))
            except Exception:  # noqa: BLE001, S112  # it requires other arguments
                continue
            return positional, named
    return None


def instance(kind: type[Exception]) -> Exception | None:
    """Return an exception of a class, or None if no known arguments fit."""
    found = _arguments(kind)  # type: ignore[arg-type]  # a class is hashable: mypy reads __hash__ of its instances
    return None if found is None else kind(*found[0], **found[1])


class Network:
    """One connection whose bytes arrive in pieces and that raises an exception in one phase.

    Args:
        phase: The phase in which it raises.
        fault: Makes the exception.
        pieces: The pieces of the response head and body. A fault in the body comes after the second piece.
        times: How often it raises. Later connections work.
    """

    def __init__(
        self, phase: Phase, fault: Callable[[], BaseException], pieces: Iterable[bytes], times: int = 1_000_000
    ) -> None:
        self.phase, self.fault, self.pieces, self.times = phase, fault, list(pieces), times
        self.connected = 0

    def connect(self) -> Connection:
        self.connected += 1
        self.fail("connect")
        return Connection(self)

    def fail(self, phase: Phase) -> None:
        if phase == self.phase and self.times > 0:
            self.times -= 1
            raise self.fault()


class Connection(httpcore.NetworkStream):
    """A sync connection."""

    def __init__(self, network: Network) -> None:
        self.network, self.reads = network, 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.reads += 1
        if self.reads == 1:
            self.network.fail("headers")
        if self.reads == 3:
            self.network.fail("body")
        pieces = self.network.pieces
        return pieces[self.reads - 1] if self.reads <= len(pieces) else b""

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        pass

    def close(self) -> None:
        pass

    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None


class AsyncConnection(httpcore.AsyncNetworkStream):
    """An async connection."""

    def __init__(self, connection: Connection) -> None:
        self.below = connection

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # the base class has it
        return self.below.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  # as above
        pass

    async def aclose(self) -> None:
        pass

    def get_extra_info(self, info: str) -> Any:
        return self.below.get_extra_info(info)


class Backend(httpcore.NetworkBackend):
    """A sync network backend."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        return self.network.connect()


class AsyncBackend(httpcore.AsyncNetworkBackend):
    """An async network backend."""

    def __init__(self, network: Network) -> None:
        self.network = network

    async def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        return AsyncConnection(self.network.connect())


def http_client(network: Network, *, is_async: bool, **settings: Any) -> Any:
    """Return an httpx client whose connection pool uses this network."""
    if is_async:
        transport: Any = httpx.AsyncHTTPTransport(verify=False)
        transport._pool = httpcore.AsyncConnectionPool(network_backend=AsyncBackend(network))
        return httpx.AsyncClient(transport=transport, **settings)
    transport = httpx.HTTPTransport(verify=False)  # loading certificates takes 20 ms
    transport._pool = httpcore.ConnectionPool(network_backend=Backend(network))
    return httpx.Client(transport=transport, **settings)


def pieces(content: bytes, kind: str = "application/json") -> list[bytes]:
    """Return a response in three pieces: its head, and its body in halves."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n\r\n"
    half = len(content) // 2
    return [head.encode(), content[:half], content[half:]]

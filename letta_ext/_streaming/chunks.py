"""The chunks of async response bodies, read without async generators.

An unfinished async generator is finalized by the event loop. If the loop is closed without `shutdown_asyncgens`, Python
3.13 warns that it was never closed; trio warns of each one. httpx and httpcore read an HTTP/1.1 body through six async
generators. An object whose `__anext__` is a coroutine is garbage-collected like any other object.

httpx and httpcore have no public API for this. This module uses their private attributes, and falls back to their
generators if those attributes are missing.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import anyio
import httpx

from .._http.fork_safety import check_process, current_process

PACKAGES: Final = frozenset({"httpx", "httpcore", "letta_ext"})
"""The packages whose layers return chunks unchanged. A layer of another package may change them."""

INNER: Final = ("_body", "_stream", "_httpcore_stream", "_content")
"""The attributes that lead from a layer of a body to the next one."""


def async_chunks(stream: httpx.AsyncByteStream) -> AsyncIterator[bytes]:
    """Return the chunks of the body of a response."""
    layers = list(_layers(stream))
    own = next((layer for layer in layers if hasattr(layer, "abandon")), None)
    body = own or next((layer for layer in layers if _package(layer) == "httpcore"), None)
    source = layers[-1] if layers else None
    module = sys.modules.get(type(source).__module__)
    if (
        body is None
        or not hasattr(getattr(source, "_connection", None), "_receive_event")
        or not hasattr(module, "Trace")
    ):
        return aiter(stream)
    process = next((layer._process for layer in layers if hasattr(layer, "_process")), current_process())
    return AsyncChunks(body, source, module, process)


def own_body(response: httpx.Response) -> Any:
    """Return the layer of a body that belongs to the library's own pool, or None for another pool."""
    return next((layer for layer in _layers(response.stream) if hasattr(layer, "abandon")), None)


def _layers(stream: object) -> Iterator[Any]:
    layer: Any = stream
    while layer is not None and _package(layer) in PACKAGES:
        yield layer
        layer = next((inner for name in INNER if (inner := getattr(layer, name, None)) is not None), None)


def _package(layer: object) -> str:
    return type(layer).__module__.partition(".")[0]


class AsyncChunks(AsyncIterator[bytes]):
    """The chunks of an HTTP/1.1 response body.

    Args:
        body: The body that the pool returned. It is closed if reading fails.
        source: The layer of httpcore, which belongs to one connection.
        module: The module of `source`.
        process: The process that received the response.
    """

    def __init__(self, body: Any, source: Any, module: Any, process: int) -> None:
        from h11 import PAUSED, Data, EndOfMessage  # a dependency of httpcore

        self._body = body
        self._is_own = hasattr(body, "abandon")
        self._receive = source._connection._receive_event
        self._request = source._request
        self._trace = module.Trace("receive_response_body", module.logger, self._request, {"request": self._request})
        self._data, self._end, self._paused = Data, EndOfMessage, PAUSED
        self._process = process
        self._begun = self._over = False
        self._timeout: float | None = None

    def __aiter__(self) -> AsyncChunks:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        check_process(self._process)
        try:
            if not self._begun:
                await self._begin()
            while True:
                event: Any = await self._receive(timeout=self._timeout)
                if isinstance(event, self._data):
                    return bytes(event.data)
                if event is self._paused or isinstance(event, self._end):
                    break
            self._over = True
            await self._trace.__aexit__(None, None, None)
        except BaseException as error:
            self._over = True
            await self._fail(error)
            substitute = _substitute(error)
            if substitute is None:
                raise
            raise substitute from error
        if self._is_own:
            self._body.end()
        raise StopAsyncIteration

    async def _begin(self) -> None:
        self._begun = True
        self._timeout = self._request.extensions.get("timeout", {}).get("read")
        await self._trace.__aenter__()

    async def _fail(self, error: BaseException) -> None:
        """Close the connection."""
        if self._is_own:
            self._body.abandon()
        if isinstance(error, GeneratorExit):  # a garbage-collected coroutine cannot await
            return
        await self._trace.__aexit__(type(error), error, error.__traceback__)
        if not self._is_own:
            with anyio.CancelScope(shield=True):
                await self._body.aclose()


def _substitute(error: BaseException) -> Exception | None:
    """Return the httpx exception for an httpcore exception, by name. None if the exception is raised unchanged."""
    if isinstance(error, StopAsyncIteration):  # raised by a custom transport: it must not look like the end of the body
        return RuntimeError("the transport raised StopAsyncIteration")
    for kind in type(error).__mro__:
        if kind.__module__.partition(".")[0] == "httpcore" and isinstance(error, Exception):
            found = getattr(httpx, kind.__name__, None)
            if found is not None:
                return found(str(error))  # type: ignore[no-any-return]  # looked up by name
    return None

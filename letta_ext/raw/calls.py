"""How the calls of a resource come to return HTTP answers: the resource is given something else for a transport.

The methods of a resource hand on what their transport returns. On one of these it is an answer rather than a value, so
that no call is written twice; what is written in `resources/raw_*.py` is how the types change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar, cast, overload

import httpx

from ..calls.requests import Answering, Call, Streaming, decode
from ..lists.pages import AsyncPage, SyncPage, make_walk, run, run_async
from ..sending.transport import AsyncTransport, Transport, response_limits

if TYPE_CHECKING:
    from .responses import (
        AsyncRawResponse,
        AsyncResponseContext,
        AsyncStreamingResponse,
        RawResponse,
        ResponseContext,
        StreamingResponse,
    )

P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V")

RESOURCES: Final = "letta_ext.resources"


class View(Generic[V]):
    """An attribute of a resource: its calls, with HTTP answers in place of values.

    Args:
        module: the module in `resources` that has the class.
        name: the class, which takes a resource.
        unread: whether bodies are left unread.
    """

    def __init__(self, module: str, name: str, *, unread: bool = False) -> None:
        self._module = module
        self._class = name
        self._unread = unread

    @overload
    def __get__(self, resource: None, owner: type) -> View[V]: ...

    @overload
    def __get__(self, resource: object, owner: type) -> V: ...

    def __get__(self, resource: Any, owner: type) -> View[V] | V:
        if resource is None:
            return self
        transport: Transport | AsyncTransport = resource._transport
        calls = AsyncRawCalls if isinstance(transport, AsyncTransport) else RawCalls
        view = getattr(import_module(f"{RESOURCES}.{self._module}"), self._class)
        return cast(V, view(type(resource)(calls(cast(Any, transport), unread=self._unread))))


class RawCalls:
    """In place of a `Transport`."""

    def __init__(self, transport: Transport, *, unread: bool) -> None:
        from .responses import RawResponse, StreamingResponse  # what only few programs use is loaded when they do

        self._transport = transport
        self._unread = unread
        self._answer = StreamingResponse[Any] if unread else RawResponse[Any]

    def call(self, endpoint: Answering[T], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Any:
        """Sends one call."""

        def finish(call: Call, response: httpx.Response) -> Any:
            return self._answer(response, lambda: decode(endpoint, call, response), call.limits)

        return self._transport.fetch(endpoint, ids, arguments, finish, unread=self._unread)

    def page(self, endpoint: Answering[list[T]], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Any:
        """Sends the first call of a list."""
        walk = make_walk(endpoint, ids, arguments)
        fetching = walk.begin()
        first = self.call(endpoint, ids, next(fetching))

        def fetch(arguments: Mapping[str, Any]) -> list[T]:
            return self._transport.call(endpoint, ids, arguments)

        def parse() -> SyncPage[T]:
            return SyncPage(run(fetching, fetch, first.parse()) or [], walk, fetch)

        return self._answer(first.http_response, parse, first.limits)

    def stream(self, endpoint: Streaming, resume: Streaming, ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Any:
        """Sends one call that a stream answers."""
        stream = self._transport.stream(endpoint, resume, ids, arguments)
        limits = response_limits(self._transport.config, arguments)
        return self._answer(stream.unlent_response, lambda: stream, limits, stream=stream)


class AsyncRawCalls:
    """In place of an `AsyncTransport`."""

    def __init__(self, transport: AsyncTransport, *, unread: bool) -> None:
        from .responses import AsyncRawResponse, AsyncStreamingResponse

        self._transport = transport
        self._unread = unread
        self._answer = AsyncStreamingResponse[Any] if unread else AsyncRawResponse[Any]

    async def call(self, endpoint: Answering[T], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Any:
        """Sends one call."""

        def finish(call: Call, response: httpx.Response) -> Any:
            async def parse() -> T:
                return decode(endpoint, call, response)

            return self._answer(response, parse, call.limits)

        return await self._transport.fetch(endpoint, ids, arguments, finish, unread=self._unread)

    async def page(self, endpoint: Answering[list[T]], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Any:
        """Sends the first call of a list."""
        walk = make_walk(endpoint, ids, arguments)
        fetching = walk.begin()
        first = await self.call(endpoint, ids, next(fetching))

        async def fetch(arguments: Mapping[str, Any]) -> list[T]:
            return await self._transport.call(endpoint, ids, arguments)

        async def parse() -> AsyncPage[T]:
            return AsyncPage(await run_async(fetching, fetch, await first.parse()) or [], walk, fetch)

        return self._answer(first.http_response, parse, first.limits)

    async def stream(
        self, endpoint: Streaming, resume: Streaming, ids: tuple[Any, ...], arguments: Mapping[str, Any]
    ) -> Any:
        """Sends one call that a stream answers."""
        stream = await self._transport.stream(endpoint, resume, ids, arguments)

        async def parse() -> Any:
            return stream

        limits = response_limits(self._transport.config, arguments)
        return self._answer(stream.unlent_response, parse, limits, stream=stream)


def raw(method: Callable[P, T]) -> Callable[P, RawResponse[T]]:
    """A method of a resource that stands on `RawCalls`, as what it is there."""
    return cast("Callable[P, RawResponse[T]]", method)


def async_raw(method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[AsyncRawResponse[T]]]:
    """A method of a resource that stands on `AsyncRawCalls`, as what it is there."""
    return cast("Callable[P, Awaitable[AsyncRawResponse[T]]]", method)


def unread(method: Callable[P, T]) -> Callable[P, ResponseContext[T]]:
    """A method of a resource that stands on `RawCalls`, for a `with` block."""
    from .responses import ResponseContext

    send: Callable[P, StreamingResponse[T]] = cast(Any, method)

    @wraps(method)
    def later(*args: P.args, **kwargs: P.kwargs) -> ResponseContext[T]:
        return ResponseContext(lambda: send(*args, **kwargs))

    vars(later).pop("__signature__", None)  # that of the function; of the method it is without `self`
    return later


def async_unread(method: Callable[P, Awaitable[T]]) -> Callable[P, AsyncResponseContext[T]]:
    """A method of a resource that stands on `AsyncRawCalls`, for an `async with` block."""
    from .responses import AsyncResponseContext

    send: Callable[P, Awaitable[AsyncStreamingResponse[T]]] = cast(Any, method)

    @wraps(method)
    def later(*args: P.args, **kwargs: P.kwargs) -> AsyncResponseContext[T]:
        return AsyncResponseContext(lambda: send(*args, **kwargs))

    vars(later).pop("__signature__", None)
    return later

"""The methods of a resource that return HTTP responses: the resource gets another transport.

A method of a resource returns the value of its transport. `AsyncRawMethods` returns a response instead, so that each
method is written once. `async_raw` and `async_unread` change the types accordingly.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

import httpx

from .._http.requests import Call, JsonEndpoint, ResponseReader, StreamEndpoint, decode
from .._pagination.pages import items_of, make_list_iterator
from .._streaming.call_options import response_limits
from .pagination import AsyncPage, run
from .transport import AsyncTransport

if TYPE_CHECKING:
    from .raw_response import AsyncRawResponse, AsyncResponseContext, AsyncStreamingResponse

P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V")


class AsyncRawAccessor(Generic[V]):
    """An attribute of a resource with its methods, which return HTTP responses.

    Args:
        make: Makes the methods from a resource.
        unread: Whether to leave bodies unread.
    """

    def __init__(self, make: Callable[[Any], V], *, unread: bool = False) -> None:
        self._make = make
        self._unread = unread

    @overload
    def __get__(self, resource: None, owner: type) -> AsyncRawAccessor[V]: ...

    @overload
    def __get__(self, resource: object, owner: type) -> V: ...

    def __get__(self, resource: Any, owner: type) -> AsyncRawAccessor[V] | V:
        if resource is None:
            return self
        return self._make(type(resource)(AsyncRawMethods(resource._transport, unread=self._unread)))


class AsyncRawMethods:
    """A replacement of `AsyncTransport` that returns HTTP responses."""

    def __init__(self, transport: AsyncTransport, *, unread: bool) -> None:
        # Few programs use these classes, so they are loaded on demand.
        from .raw_response import AsyncRawResponse, AsyncStreamingResponse

        self._transport = transport
        self._unread = unread
        self._make_response = AsyncStreamingResponse[Any] if unread else AsyncRawResponse[Any]

    async def call(self, endpoint: JsonEndpoint[T], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Any:
        """Send a request."""
        return await self._transport.fetch(endpoint, ids, arguments, self.finish(endpoint), unread=self._unread)

    def finish(self, endpoint: ResponseReader[Any]) -> Callable[[Call, httpx.Response], Any]:
        """Return a function that wraps the response of an endpoint."""

        def finish(call: Call, response: httpx.Response) -> Any:
            async def parse() -> Any:
                return decode(endpoint, call, response)

            return self._make_response(response, parse, call.limits)

        return finish

    async def page(self, endpoint: JsonEndpoint[Any], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Any:
        """Send the first request of a list."""
        iterator = make_list_iterator(endpoint, ids, arguments)
        requests = iterator.begin()
        first = await self.call(endpoint, ids, next(requests))

        async def fetch(arguments: Mapping[str, Any]) -> list[Any]:
            return items_of(endpoint, await self._transport.call(endpoint, ids, arguments))

        async def parse() -> AsyncPage[Any]:
            items = items_of(endpoint, await first.parse())
            return AsyncPage(await run(requests, fetch, items) or [], iterator, fetch)

        return self._make_response(first.http_response, parse, first.limits)

    async def stream(self, endpoint: StreamEndpoint, ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Any:
        """Send a request whose response is a stream."""
        stream = await self._transport.stream(endpoint, ids, arguments)

        async def parse() -> Any:
            return stream

        limits = response_limits(self._transport.config, arguments)
        return self._make_response(stream.connection_response, parse, limits, stream=stream)


def async_raw(method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[AsyncRawResponse[T]]]:
    """Return a method of a resource on `AsyncRawMethods`, with its actual type."""
    returned: Callable[P, Awaitable[AsyncRawResponse[T]]] = cast(Any, method)
    return returned


def async_unread(method: Callable[P, Awaitable[T]]) -> Callable[P, AsyncResponseContext[T]]:
    """Return a method of a resource on `AsyncRawMethods`, for an `async with` block."""
    from .raw_response import AsyncResponseContext

    send: Callable[P, Awaitable[AsyncStreamingResponse[T]]] = cast(Any, method)

    @wraps(method)
    def make_context(*args: P.args, **kwargs: P.kwargs) -> AsyncResponseContext[T]:
        return AsyncResponseContext(lambda: send(*args, **kwargs))

    vars(make_context).pop("__signature__", None)  # the one of the function, which includes `self`
    return make_context

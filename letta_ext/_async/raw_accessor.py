"""How the calls of a resource come to return HTTP answers: the resource is given something else for a transport.

The methods of a resource hand on what their transport returns. On one of these it is an answer rather than a value, so
that no call is written twice; `async_raw` and `async_unread` say how the types change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

import httpx

from .._http.requests import Call, JsonEndpoint, StreamEndpoint, decode
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
    """An attribute of a resource: its calls, with HTTP answers in place of values.

    Args:
        make: Makes them of a resource.
        unread: Whether bodies are left unread.
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
    """In place of an `AsyncTransport`."""

    def __init__(self, transport: AsyncTransport, *, unread: bool) -> None:
        # What only few programs use is loaded when they do.
        from .raw_response import AsyncRawResponse, AsyncStreamingResponse

        self._transport = transport
        self._unread = unread
        self._answer = AsyncStreamingResponse[Any] if unread else AsyncRawResponse[Any]

    async def call(self, endpoint: JsonEndpoint[T], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Any:
        """Sends one call."""

        def finish(call: Call, response: httpx.Response) -> Any:
            async def parse() -> T:
                return decode(endpoint, call, response)

            return self._answer(response, parse, call.limits)

        return await self._transport.fetch(endpoint, ids, arguments, finish, unread=self._unread)

    async def page(self, endpoint: JsonEndpoint[Any], ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Any:
        """Sends the first call of a list."""
        walk = make_list_iterator(endpoint, ids, arguments)
        fetching = walk.begin()
        first = await self.call(endpoint, ids, next(fetching))

        async def fetch(arguments: Mapping[str, Any]) -> list[Any]:
            return items_of(endpoint, await self._transport.call(endpoint, ids, arguments))

        async def parse() -> AsyncPage[Any]:
            items = items_of(endpoint, await first.parse())
            return AsyncPage(await run(fetching, fetch, items) or [], walk, fetch)

        return self._answer(first.http_response, parse, first.limits)

    async def stream(self, endpoint: StreamEndpoint, ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Any:
        """Sends one call that a stream answers."""
        stream = await self._transport.stream(endpoint, ids, arguments)

        async def parse() -> Any:
            return stream

        limits = response_limits(self._transport.config, arguments)
        return self._answer(stream.connection_response, parse, limits, stream=stream)


def async_raw(method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[AsyncRawResponse[T]]]:
    """A method of a resource that stands on `AsyncRawMethods`, as what it is there."""
    returned: Callable[P, Awaitable[AsyncRawResponse[T]]] = cast(Any, method)
    return returned


def async_unread(method: Callable[P, Awaitable[T]]) -> Callable[P, AsyncResponseContext[T]]:
    """A method of a resource that stands on `AsyncRawMethods`, for an `async with` block."""
    from .raw_response import AsyncResponseContext

    send: Callable[P, Awaitable[AsyncStreamingResponse[T]]] = cast(Any, method)

    @wraps(method)
    def later(*args: P.args, **kwargs: P.kwargs) -> AsyncResponseContext[T]:
        return AsyncResponseContext(lambda: send(*args, **kwargs))

    vars(later).pop("__signature__", None)  # that of the function; of the method it is without `self`
    return later

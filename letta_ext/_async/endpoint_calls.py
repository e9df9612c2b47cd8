"""`client.call(endpoint, …)`, also of `client.with_raw_response` and `client.with_streaming_response`.

`_response/endpoint_calls.py` checks the arguments and builds the request. It is loaded by the first call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .._resource import Resource

if TYPE_CHECKING:
    import httpx

    from .._http.requests import Call
    from .._response.endpoint_calls import EndpointModule
    from .raw_response import AsyncRawResponse, AsyncResponseContext
    from .transport import AsyncTransport

P = ParamSpec("P")
T = TypeVar("T")


class AsyncEndpointCalls(Resource):
    """The method `call` of a client."""

    _transport: AsyncTransport

    async def call(self, endpoint: EndpointModule[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call an operation of `letta_api`, or of another package that `python -m codegen generate` wrote.

        The request has the settings, validation and errors of every request of the client. It returns one page of a
        list and no stream. Unless the package describes the operation as idempotent, it is retried only if it cannot
        have been processed.

        Args:
            endpoint: The endpoint module, such as `letta_api.api.agents.agents_list`.
            *args: The arguments in the path, in order.
            **kwargs: The other arguments of `build_request` in the module. For request options such as `timeout`, use
                `client.with_options(timeout=…).call(…)`.

        Returns:
            The decoded response, of the type that `read_response` in the module has, or None if it has no body.

        Raises:
            TypeError: If `endpoint` is not an endpoint module, or an argument is missing, unknown or of the wrong type.
                Nothing is sent.
            ValueError: If an argument has an invalid value. Nothing is sent.
            APIError: If the request fails: see `letta_ext.errors`.
        """
        from .._http.requests import decode

        value: T = await _send(
            self._transport, endpoint, args, kwargs, lambda call, response: decode(endpoint, call, response)
        )
        return value


class AsyncRawEndpointCalls(Resource):
    """The method `call` of `client.with_raw_response`."""

    def __init__(self, client: Any) -> None:
        self._transport: AsyncTransport = client._transport

    async def call(self, endpoint: EndpointModule[P, T], /, *args: P.args, **kwargs: P.kwargs) -> AsyncRawResponse[T]:
        """See `AsyncLetta.call`."""
        from .raw_accessor import AsyncRawMethods

        methods = AsyncRawMethods(self._transport, unread=False)
        response: AsyncRawResponse[T] = await _send(self._transport, endpoint, args, kwargs, methods.finish(endpoint))
        return response


class AsyncUnreadEndpointCalls(Resource):
    """The method `call` of `client.with_streaming_response`."""

    def __init__(self, client: Any) -> None:
        self._transport: AsyncTransport = client._transport

    def call(self, endpoint: EndpointModule[P, T], /, *args: P.args, **kwargs: P.kwargs) -> AsyncResponseContext[T]:
        """See `AsyncLetta.call`."""
        from .raw_accessor import AsyncRawMethods
        from .raw_response import AsyncResponseContext

        transport = self._transport
        methods = AsyncRawMethods(transport, unread=True)
        finish = methods.finish(endpoint)
        return AsyncResponseContext(lambda: _send(transport, endpoint, args, kwargs, finish, unread=True))


async def _send(
    transport: AsyncTransport,
    endpoint: EndpointModule[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    finish: Callable[[Call, httpx.Response], Any],
    *,
    unread: bool = False,
) -> Any:
    """Send the request of an endpoint module, and return the result of `finish` for its response."""
    from .._http.requests import instrumented
    from .._response.endpoint_calls import make_endpoint_call

    prepared, ids = make_endpoint_call(transport.config, endpoint, args, kwargs)
    call = instrumented(prepared)
    with call.instrumentation:
        return finish(call, await transport.send_when_not_busy(call, ids, {}, stream=unread))

"""The untyped HTTP methods of a client, such as `client.get("/v1/agents/")`.

`_response/untyped_calls.py` builds their requests and decodes their responses. It is loaded by the first call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Unpack

    from .._http.requests import RequestOptions
    from .._response.untyped_calls import Method, Query
    from .transport import AsyncTransport


class AsyncBaseClient:
    """The untyped HTTP methods of a client, for endpoints that have no method of their own."""

    _transport: AsyncTransport

    async def _call(self, method: Method, path: str, query: Query | None, body: Any, options: Mapping[str, Any]) -> Any:
        from .._http.requests import instrumented
        from .._response.untyped_calls import decode_json, make_untyped_call

        call = instrumented(make_untyped_call(self._transport.config, method, path, query, body, options))
        with call.instrumentation:
            return decode_json(call, await self._transport.send(call))

    async def get(self, path: str, *, query: Query | None = None, **options: Unpack[RequestOptions]) -> Any:
        """Send a GET request to an endpoint without a method. It is retried like every GET request.

        Args:
            path: The path below the server's base URL, such as `"/v1/agents/"`. It is sent as it is.
            query: Query parameters. A list becomes a repeated parameter, and None is omitted.
            **options: See `RequestOptions`. Options of streams and of busy conversations have no effect.

        Returns:
            The decoded JSON, or None if the response has no body.

        Raises:
            TypeError: If an argument is of the wrong type.
            ValueError: If the path is not a path on this server.
            APIError: If the request fails: see `letta_ext.errors`.
        """
        return await self._call("GET", path, query, None, options)

    async def post(
        self, path: str, *, query: Query | None = None, body: Any = None, **options: Unpack[RequestOptions]
    ) -> Any:
        """Send a POST request to an endpoint without a method. It is retried only if it cannot have been processed.

        Args:
            path: The path below the server's base URL, such as `"/v1/agents/"`. It is sent as it is.
            query: Query parameters. A list becomes a repeated parameter, and None is omitted.
            body: The JSON body, which may contain models and TypedDicts. None sends no body.
            **options: See `RequestOptions`. Options of streams and of busy conversations have no effect.

        Returns:
            The decoded JSON, or None if the response has no body.

        Raises:
            TypeError: If an argument is of the wrong type.
            ValueError: If the path is not a path on this server.
            APIError: If the request fails: see `letta_ext.errors`.
        """
        return await self._call("POST", path, query, body, options)

    async def put(
        self, path: str, *, query: Query | None = None, body: Any = None, **options: Unpack[RequestOptions]
    ) -> Any:
        """Send a PUT request to an endpoint without a method. It is retried only if it cannot have been processed.

        Args:
            path: The path below the server's base URL, such as `"/v1/agents/"`. It is sent as it is.
            query: Query parameters. A list becomes a repeated parameter, and None is omitted.
            body: The JSON body, which may contain models and TypedDicts. None sends no body.
            **options: See `RequestOptions`. Options of streams and of busy conversations have no effect.

        Returns:
            The decoded JSON, or None if the response has no body.

        Raises:
            TypeError: If an argument is of the wrong type.
            ValueError: If the path is not a path on this server.
            APIError: If the request fails: see `letta_ext.errors`.
        """
        return await self._call("PUT", path, query, body, options)

    async def patch(
        self, path: str, *, query: Query | None = None, body: Any = None, **options: Unpack[RequestOptions]
    ) -> Any:
        """Send a PATCH request to an endpoint without a method. It is retried only if it cannot have been processed.

        Args:
            path: The path below the server's base URL, such as `"/v1/agents/"`. It is sent as it is.
            query: Query parameters. A list becomes a repeated parameter, and None is omitted.
            body: The JSON body, which may contain models and TypedDicts. None sends no body.
            **options: See `RequestOptions`. Options of streams and of busy conversations have no effect.

        Returns:
            The decoded JSON, or None if the response has no body.

        Raises:
            TypeError: If an argument is of the wrong type.
            ValueError: If the path is not a path on this server.
            APIError: If the request fails: see `letta_ext.errors`.
        """
        return await self._call("PATCH", path, query, body, options)

    async def delete(
        self, path: str, *, query: Query | None = None, body: Any = None, **options: Unpack[RequestOptions]
    ) -> Any:
        """Send a DELETE request to an endpoint without a method. It is retried only if it cannot have been processed.

        Args:
            path: The path below the server's base URL, such as `"/v1/agents/"`. It is sent as it is.
            query: Query parameters. A list becomes a repeated parameter, and None is omitted.
            body: The JSON body, which may contain models and TypedDicts. None sends no body.
            **options: See `RequestOptions`. Options of streams and of busy conversations have no effect.

        Returns:
            The decoded JSON, or None if the response has no body.

        Raises:
            TypeError: If an argument is of the wrong type.
            ValueError: If the path is not a path on this server.
            APIError: If the request fails: see `letta_ext.errors`.
        """
        return await self._call("DELETE", path, query, body, options)

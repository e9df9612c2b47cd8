"""Calls of what this library has no method for: `client.get("/v1/agents/")` and the like.

What they send and how it is read is in `_response/untyped_calls.py`, which is loaded by the first of them.
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
    """The verbs of a client."""

    _transport: AsyncTransport

    async def _call(self, method: Method, path: str, query: Query | None, body: Any, options: Mapping[str, Any]) -> Any:
        from .._http.requests import instrumented
        from .._response.untyped_calls import decode_json, verb_call

        call = instrumented(verb_call(self._transport.config, method, path, query, body, options))
        with call.instrumentation:
            return decode_json(call, await self._transport.send(call))

    async def get(self, path: str, *, query: Query | None = None, **options: Unpack[RequestOptions]) -> Any:
        """Reads something that this library has no method for. It may be sent again like every read.

        Args:
            path: the path below the server's address, such as `"/v1/agents/"`. Nothing in it is encoded or resolved.
            query: query parameters; a list is a repeated one, and None is left out.
            **options: see `RequestOptions`; those of streams and of waiting have no meaning here.

        Returns:
            The decoded JSON, or None where the answer has no body.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: the path is an address of its own, or leads elsewhere.
            APIError: see `letta_ext.errors`.
        """
        return await self._call("GET", path, query, None, options)

    async def post(
        self, path: str, *, query: Query | None = None, body: Any = None, **options: Unpack[RequestOptions]
    ) -> Any:
        """Posts to something that this library has no method for. It is sent again only where it cannot have arrived.

        Args:
            path: the path below the server's address, such as `"/v1/agents/"`. Nothing in it is encoded or resolved.
            query: query parameters; a list is a repeated one, and None is left out.
            body: what is sent as JSON; models and TypedDicts in it too. None sends none.
            **options: see `RequestOptions`; those of streams and of waiting have no meaning here.

        Returns:
            The decoded JSON, or None where the answer has no body.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: the path is an address of its own, or leads elsewhere.
            APIError: see `letta_ext.errors`.
        """
        return await self._call("POST", path, query, body, options)

    async def put(
        self, path: str, *, query: Query | None = None, body: Any = None, **options: Unpack[RequestOptions]
    ) -> Any:
        """Puts something that this library has no method for. It is sent again only where it cannot have arrived.

        Args:
            path: the path below the server's address, such as `"/v1/agents/"`. Nothing in it is encoded or resolved.
            query: query parameters; a list is a repeated one, and None is left out.
            body: what is sent as JSON; models and TypedDicts in it too. None sends none.
            **options: see `RequestOptions`; those of streams and of waiting have no meaning here.

        Returns:
            The decoded JSON, or None where the answer has no body.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: the path is an address of its own, or leads elsewhere.
            APIError: see `letta_ext.errors`.
        """
        return await self._call("PUT", path, query, body, options)

    async def patch(
        self, path: str, *, query: Query | None = None, body: Any = None, **options: Unpack[RequestOptions]
    ) -> Any:
        """Changes something that this library has no method for. It is sent again only where it cannot have arrived.

        Args:
            path: the path below the server's address, such as `"/v1/agents/"`. Nothing in it is encoded or resolved.
            query: query parameters; a list is a repeated one, and None is left out.
            body: what is sent as JSON; models and TypedDicts in it too. None sends none.
            **options: see `RequestOptions`; those of streams and of waiting have no meaning here.

        Returns:
            The decoded JSON, or None where the answer has no body.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: the path is an address of its own, or leads elsewhere.
            APIError: see `letta_ext.errors`.
        """
        return await self._call("PATCH", path, query, body, options)

    async def delete(
        self, path: str, *, query: Query | None = None, body: Any = None, **options: Unpack[RequestOptions]
    ) -> Any:
        """Deletes something that this library has no method for. It is sent again only where it cannot have arrived.

        Args:
            path: the path below the server's address, such as `"/v1/agents/"`. Nothing in it is encoded or resolved.
            query: query parameters; a list is a repeated one, and None is left out.
            body: what is sent as JSON; models and TypedDicts in it too. None sends none.
            **options: see `RequestOptions`; those of streams and of waiting have no meaning here.

        Returns:
            The decoded JSON, or None where the answer has no body.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: the path is an address of its own, or leads elsewhere.
            APIError: see `letta_ext.errors`.
        """
        return await self._call("DELETE", path, query, body, options)

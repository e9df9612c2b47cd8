"""Sending of requests by an httpx client, or by its transport if `_http/direct_send.py` permits it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from time import perf_counter
from typing import Any

import httpx

from .._http.direct_send import complete_response, direct_transport


async def send_request(http: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
    """Return the response to a request, with an unread body.

    Args:
        http: The client that sends the request.
        request: The request.
        **options: The arguments of `http.send` that depend on the request.
    """
    transport = None if options else direct_transport(http, request)
    if transport is None:
        return await http.send(request, stream=True, follow_redirects=False, **options)
    started = perf_counter()
    try:
        response: httpx.Response = await transport.handle_async_request(request)
    except httpx.RequestError as error:
        error.request = request
        raise
    if not response.is_closed:  # a body in memory is read and closed
        response.stream = AsyncTimedStream(response, started)
    try:
        complete_response(http, request, response)
    except BaseException:
        await response.aclose()
        raise
    return response


class AsyncTimedStream(httpx.AsyncByteStream):
    """The body of a response, which sets `response.elapsed` when it is closed."""

    def __init__(self, response: httpx.Response, started: float) -> None:
        self._stream: Any = response.stream
        self._response: httpx.Response | None = response
        self._started = started

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()  # type: ignore[no-any-return]  # a stream of httpx

    async def aclose(self) -> None:
        """Close the body."""
        response, self._response = self._response, None  # otherwise only the garbage collector would free them
        if response is not None:
            response.elapsed = timedelta(seconds=perf_counter() - self._started)
        await self._stream.aclose()

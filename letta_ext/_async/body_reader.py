"""Reading of bodies within the bounds of `ResponseLimits`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

import httpx

from .._http.body_limits import (
    BOUNDS,
    BodyTooSlowError,
    BoundedBody,
    check_size,
    content_or_empty,
    restore_timeouts,
    set_content,
    shorten_read_timeout,
)
from .._http.transport_errors import suppress_transport_errors
from ..async_primitives import chunks
from ..limits import ResponseLimits


async def read_whole(response: httpx.Response, limits: ResponseLimits) -> None:
    """Read the body of a successful response; `response.content` is it then.

    Raises:
        BodyTooLargeError: If the body has more than `max_bytes`.
        BodyTooSlowError: If the body takes longer than `total`.
        httpx.HTTPError: If reading failed.
        httpx.StreamError: If the body was read in pieces, or closed, by another.
    """
    if response.is_stream_consumed or response.is_closed:
        check_size(await response.aread(), limits)
        return
    body = BoundedBody(response, limits, limits.max_bytes, limits.total)
    timeouts = shorten_read_timeout(response, limits.total)
    try:
        async for chunk in chunks_of(response):
            body.add(chunk)
        content = body.end()
    except httpx.ReadTimeout:
        if body.is_late():
            raise BodyTooSlowError from None
        raise
    finally:
        restore_timeouts(response, timeouts)
        await response.aclose()
    set_content(response, content)


async def read_error(response: httpx.Response, limits: ResponseLimits) -> None:
    """Read the body of an error response, or of a redirect, as far as it comes within its bounds; never fail."""
    if response.is_stream_consumed or response.is_closed:
        set_content(response, content_or_empty(response))
        return
    seconds = limits.error_seconds(response.request.extensions)
    body = BoundedBody(response, limits, limits.max_error_bytes, seconds)
    timeouts = shorten_read_timeout(response, seconds)
    try:
        with suppress(*BOUNDS), suppress_transport_errors(response.request):
            async for chunk in chunks_of(response):
                body.add(chunk)
            body.end()
    finally:
        restore_timeouts(response, timeouts)
        with suppress_transport_errors(response.request):
            await response.aclose()
    set_content(response, body.content())


def chunks_of(response: httpx.Response) -> AsyncIterator[bytes]:
    """Return the chunks of a body that was not read. httpx's own iterators take several times as long."""
    response.is_stream_consumed = True  # as httpx would note itself
    return chunks(cast(httpx.AsyncByteStream, response.stream))

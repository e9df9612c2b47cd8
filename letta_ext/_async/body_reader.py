"""The reading of response bodies within `ResponseLimits`."""

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
    """Read the body of a successful response into `response.content`.

    Raises:
        BodyTooLargeError: If the body has more than `max_bytes`.
        BodyTooSlowError: If the body takes longer than `total`.
        httpx.HTTPError: If reading failed.
        httpx.StreamError: If the body was read in chunks or closed before.
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
    """Read the body of an error response or redirect up to its limits. Errors are ignored."""
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
    """Return the chunks of an unread body. The iterators of httpx are several times slower."""
    response.is_stream_consumed = True  # as httpx sets it
    return chunks(cast(httpx.AsyncByteStream, response.stream))

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
    content_of,
    keep,
    restore_timeouts,
    shorten_read_timeout,
)
from .._http.transport_errors import faults_ignored
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
        if body.late():
            raise BodyTooSlowError from None
        raise
    finally:
        restore_timeouts(response, timeouts)
        await response.aclose()
    keep(response, content)


async def read_error(response: httpx.Response, limits: ResponseLimits) -> None:
    """Read the body of an error response, or of a redirect, as far as it comes within its bounds; never fail."""
    if response.is_stream_consumed or response.is_closed:
        keep(response, content_of(response))
        return
    seconds = limits.error_seconds(response.request.extensions)
    body = BoundedBody(response, limits, limits.max_error_bytes, seconds)
    timeouts = shorten_read_timeout(response, seconds)
    try:
        with suppress(*BOUNDS), faults_ignored(response.request):
            async for chunk in chunks_of(response):
                body.add(chunk)
            body.end()
    finally:
        restore_timeouts(response, timeouts)
        with faults_ignored(response.request):
            await response.aclose()
    keep(response, body.so_far())


def chunks_of(response: httpx.Response) -> AsyncIterator[bytes]:
    """Return the chunks of a body that was not read. httpx's own iterators take several times as long."""
    response.is_stream_consumed = True  # as httpx would note itself
    return chunks(cast(httpx.AsyncByteStream, response.stream))

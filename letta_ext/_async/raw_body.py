"""Iteration over response bodies. The iterators of httpx take as long per chunk as decoding an event."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx

from .._http.content_encoding import content_decoder
from ..async_primitives import chunks, decoded


def iter_body(response: httpx.Response) -> AsyncIterator[bytes]:
    """Return the decompressed chunks of a body.

    Raises (during iteration):
        httpx.HTTPError: If reading fails.
        httpx.StreamError: If the body was read before.
    """
    # httpx raises the error for a body that was read or closed.
    was_read = response.is_stream_consumed or response.is_closed
    if was_read or not isinstance(response.stream, httpx.AsyncByteStream):
        return response.aiter_bytes()
    response.is_stream_consumed = True  # as httpx sets it
    decoder = content_decoder(response)
    found = chunks(response.stream)
    return found if decoder is None else decoded(found, decoder)

"""Bodies as they come. httpx's iterators take as long for a chunk as it takes to decode the event in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx

from .._http.content_encoding import content_decoder
from ..async_primitives import chunks, decoded


def iter_body(response: httpx.Response) -> AsyncIterator[bytes]:
    """The chunks of a body that was not read, decompressed where it is compressed.

    Raises (while it is iterated):
        httpx.HTTPError: reading failed.
        httpx.StreamError: it was read before.
    """
    # A body that has been read already, or closed, is httpx's to answer for.
    was_read = response.is_stream_consumed or response.is_closed
    if was_read or not isinstance(response.stream, httpx.AsyncByteStream):
        return response.aiter_bytes()
    response.is_stream_consumed = True  # as httpx would say itself
    decoder = content_decoder(response)
    found = chunks(response.stream)
    return found if decoder is None else decoded(found, decoder)

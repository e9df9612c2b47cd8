"""Bodies as they come. httpx's iterators take as long for a chunk as it takes to decode the event in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx

from ..calls.encodings import ContentDecoder, content_decoder
from .chunks import AsyncDecodedChunks, async_chunks


def as_they_come(response: httpx.Response) -> Iterator[bytes]:
    """The chunks of a body that was not read, decompressed where it is compressed.

    Raises (while it is iterated):
        httpx.HTTPError: reading failed.
        httpx.StreamError: it was read before.
    """
    if not _is_fresh(response) or not isinstance(response.stream, httpx.SyncByteStream):
        return response.iter_bytes()
    response.is_stream_consumed = True  # as httpx would say itself
    decoder = content_decoder(response)
    return iter(response.stream) if decoder is None else _decoded(response.stream, decoder)


def _decoded(chunks: httpx.SyncByteStream, decoder: ContentDecoder) -> Iterator[bytes]:
    for chunk in chunks:
        yield from decoder.decode(chunk)
    yield from decoder.flush()


def async_as_they_come(response: httpx.Response) -> AsyncIterator[bytes]:
    """What `as_they_come` is, for async code."""
    if not _is_fresh(response) or not isinstance(response.stream, httpx.AsyncByteStream):
        return response.aiter_bytes()
    response.is_stream_consumed = True
    decoder = content_decoder(response)
    chunks = async_chunks(response.stream)
    return chunks if decoder is None else AsyncDecodedChunks(chunks, decoder)


def _is_fresh(response: httpx.Response) -> bool:
    # A body that has been read already, or closed, is httpx's to answer for.
    return not (response.is_stream_consumed or response.is_closed)

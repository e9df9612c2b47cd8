"""Bodies as they come. httpx's iterators take as long for a chunk as it takes to decode the event in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Self

import httpx

from ..async_primitives import chunks
from ..calls.encodings import ContentDecoder, content_decoder


def as_they_come(response: httpx.Response) -> AsyncIterator[bytes]:
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
    return found if decoder is None else AsyncDecodedChunks(found, decoder)


class AsyncDecodedChunks(AsyncIterator[bytes]):
    """Chunks, decompressed.

    Args:
        found: The chunks as they come.
        decoder: Decompresses them.
    """

    def __init__(self, found: AsyncIterator[bytes], decoder: ContentDecoder) -> None:
        self._chunks = found
        self._decoder = decoder
        self._pieces: Iterator[bytes] = iter(())
        self._flushed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while True:
            for piece in self._pieces:
                return piece
            if self._flushed:
                raise StopAsyncIteration
            async for chunk in self._chunks:
                self._pieces = iter(self._decoder.decode(chunk))
                break
            else:
                self._flushed = True
                self._pieces = iter(self._decoder.flush())

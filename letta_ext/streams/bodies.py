"""Bodies as they come. httpx's iterators take as long for a chunk as it takes to decode the event in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx


def as_they_come(response: httpx.Response) -> Iterator[bytes]:
    """The chunks of a body that was not read, decompressed where it is compressed.

    Raises (while it is iterated):
        httpx.HTTPError: reading failed.
        httpx.StreamError: it was read before.
    """
    if not _is_plain(response) or not isinstance(response.stream, httpx.SyncByteStream):
        return response.iter_bytes()
    response.is_stream_consumed = True  # as httpx would say itself
    return iter(response.stream)


def async_as_they_come(response: httpx.Response) -> AsyncIterator[bytes]:
    """What `as_they_come` is, for async code."""
    if not _is_plain(response) or not isinstance(response.stream, httpx.AsyncByteStream):
        return response.aiter_bytes()
    response.is_stream_consumed = True
    return aiter(response.stream)


def _is_plain(response: httpx.Response) -> bool:
    # A body that has been read already, or closed, is httpx's to answer for.
    fresh = not (response.is_stream_consumed or response.is_closed)
    return fresh and response.headers.get("content-encoding", "identity") == "identity"

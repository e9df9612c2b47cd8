"""Keeps a forked process from reading the responses of its parent.

Our own connections refuse that themselves, in `_http/sync_sockets.py`. Those of an httpx client that was passed do not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx

from .._http import fork_safety
from .._http.fork_safety import check_process, current_process
from ..async_primitives import AsyncNetworkStream


def guard(response: httpx.Response) -> httpx.Response:
    """Return a response whose body only this process reads, if it comes through a socket."""
    network = response.extensions.get("network_stream")
    if response.is_closed or network is None or isinstance(network, AsyncNetworkStream):
        return response
    stream = response.stream
    if isinstance(stream, httpx.AsyncByteStream):
        response.stream = AsyncGuardedStream(stream)
    return response


class AsyncGuardedStream(httpx.AsyncByteStream):
    """A body that only the process which received it reads."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream
        self._process = current_process()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        process = self._process
        check_process(process)
        async for part in self._stream:
            yield part
            if process != fork_safety.forks:
                check_process(process)

    async def aclose(self) -> None:
        """Close the body. A child does not: some transports say goodbye to the server, in the name of the parent."""
        if self._process == current_process():
            await self._stream.aclose()

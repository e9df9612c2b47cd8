"""The protection of responses of an `http_client` against forked processes.

The connections of the library's own pool have this protection in `_http/sync_sockets.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx

from .._http import fork_safety
from .._http.fork_safety import check_process, current_process
from ..async_primitives import AsyncNetworkStream


def guard(response: httpx.Response) -> httpx.Response:
    """Return the response. If it uses a socket, its body can be read only by this process."""
    network = response.extensions.get("network_stream")
    if response.is_closed or network is None or isinstance(network, AsyncNetworkStream):
        return response
    stream = response.stream
    if isinstance(stream, httpx.AsyncByteStream):
        response.stream = AsyncGuardedStream(stream)
    return response


class AsyncGuardedStream(httpx.AsyncByteStream):
    """A body that can be read only by the process that received it."""

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
        """Close the body, except in a forked process: some transports send a message to the server on closing."""
        if self._process == current_process():
            await self._stream.aclose()

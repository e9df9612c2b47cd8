"""The connection pool of the library. `_http/connection_pool.py` assigns connections to requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Self

import httpcore

from .._http.connection_pool import BasePool, Connection, ConnectionStore, Lease, pool_timeout, release_slot_of_stream
from .._http.fork_safety import check_process, current_process
from ..async_primitives import AsyncNetworkBackend, acquire_slot, event_loop_library


class AsyncBody:
    """The body of a response.

    Attributes:
        is_complete: Whether the body was read to its end.
    """

    def __init__(self, lease: Lease, content: Any) -> None:
        self._lease = lease
        self._content = content
        self.is_complete = False
        self._process = current_process()
        lease.bind_to(self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        check_process(self._process)
        try:
            async for part in self._content:
                yield part
        except BaseException:
            self._lease.discard()
            raise
        self.is_complete = True

    def end(self) -> None:
        """Mark the body as read to its end, so that its connection can be reused."""
        self.is_complete = True

    def abandon(self) -> None:
        """Close the connection, from anywhere, unless it was returned to the pool."""
        self._lease.discard()

    async def aclose(self) -> None:
        """Return the connection to the pool, or close it if the body was not read to its end."""
        try:
            if self.is_complete:
                await self._content.aclose()
        finally:
            self._lease.release()


class AsyncPool(BasePool):
    """A connection pool that replaces the pool of an httpx transport."""

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request, and return its response with an unread body."""
        store = self.store
        lease = Lease(store)
        try:
            await acquire_slot(store.limiter, lease.slot, pool_timeout(request))
            while True:
                connection = self._connection(store, request, lease.held)
                try:
                    response = await connection.http.handle_async_request(request)
                    break
                except httpcore.ConnectionNotAvailable:
                    lease.close_connection()
            release_slot_of_stream(lease, response)
            body = AsyncBody(lease, response.stream)
            return httpcore.Response(
                response.status, headers=response.headers, content=body, extensions=response.extensions
            )
        except BaseException:
            lease.discard()
            raise

    def _connection(self, store: ConnectionStore, request: httpcore.Request, held: list[Connection]) -> Connection:
        url = request.url
        key = (url.scheme, url.host, url.port, event_loop_library())
        return store.take(key, held) or self.connect(AsyncNetworkBackend(), key, url.origin, held)

    async def aclose(self) -> None:
        """Close all connections, from any task."""
        self.store.close_all()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

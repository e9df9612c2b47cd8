"""Requests of a report, and their execution with the sync and the async client.

The collection of data is a generator that yields batches of requests and receives their results, so that it is the same
for both clients. The requests of a batch are sent in parallel.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar, cast

import anyio
from attrs import frozen

from ..errors import NotFoundError

if TYPE_CHECKING:
    from .._async.client import AsyncLetta
    from .._async.pagination import AsyncPage
    from .._sync.client import Letta
    from .._sync.pagination import SyncPage
    from ..async_paginator import AsyncPaginator

T = TypeVar("T")

CONCURRENCY: Final = 8
"""Requests in flight."""


@frozen
class Request(Generic[T]):
    """A request.

    Attributes:
        send: Sends it with a client.
        may_be_missing: Whether the result is None if the server does not have the object.
    """

    send: Callable[[Letta | AsyncLetta], T | Awaitable[T]]
    may_be_missing: bool = False


Work: TypeAlias = Generator[Sequence[Request[Any]], list[Any], T]
"""A generator that yields batches of requests, receives their results and returns a value."""


def fetch(requests: Sequence[Request[T]]) -> Work[list[T]]:
    """Send requests and return their results."""
    return (yield requests) if requests else []


def fetch_one(request: Request[T]) -> Work[T]:
    """Send a request and return its result."""
    (result,) = yield [request]
    return cast("T", result)


def first_page(
    open_list: Callable[[Letta | AsyncLetta], SyncPage[T] | AsyncPaginator[T]],
) -> Request[SyncPage[T] | AsyncPage[T]]:
    """Return the request for the first page of a list."""
    return Request(open_list)


def next_page(page: SyncPage[T] | AsyncPage[T]) -> Request[SyncPage[T] | AsyncPage[T]]:
    """Return the request for the next page of a list."""
    return Request(lambda _: page.get_next_page())


def unless_missing(request: Request[T]) -> Request[T | None]:
    """Return a request whose result is None if the server does not have the object."""
    return Request(request.send, may_be_missing=True)


def run_sync(client: Letta, work: Work[T]) -> T:
    """Run a generator with the sync client."""

    def send(request: Request[Any]) -> Any:
        try:
            return request.send(client)
        except NotFoundError:
            if request.may_be_missing:
                return None
            raise

    results: list[Any] | None = None
    with ThreadPoolExecutor(CONCURRENCY, "letta-report") as pool:
        while True:
            try:
                batch = next(work) if results is None else work.send(results)
            except StopIteration as done:
                return cast("T", done.value)
            results = [send(batch[0])] if len(batch) == 1 else list(pool.map(send, batch))


async def run_async(client: AsyncLetta, work: Work[T]) -> T:
    """Async version of `run_sync`."""
    limiter = anyio.CapacityLimiter(CONCURRENCY)

    async def send(request: Request[Any]) -> Any:
        async with limiter:
            try:
                result = request.send(client)
                return await result if isawaitable(result) else result
            except NotFoundError:
                if request.may_be_missing:
                    return None
                raise

    results: list[Any] | None = None
    while True:
        try:
            batch = next(work) if results is None else work.send(results)
        except StopIteration as done:
            return cast("T", done.value)
        results = await _gather(send, batch)


async def _gather(send: Callable[[Request[Any]], Awaitable[Any]], batch: Sequence[Request[Any]]) -> list[Any]:
    if len(batch) == 1:
        return [await send(batch[0])]
    results: list[Any] = [None] * len(batch)
    failures: list[Exception] = []

    async def store(index: int) -> None:
        try:
            results[index] = await send(batch[index])
        except Exception as error:  # noqa: BLE001  # raised below, without the group around it
            failures.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for index in range(len(batch)):
            group.start_soon(store, index)
    if failures:
        raise failures[0]
    return results

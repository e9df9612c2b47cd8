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

from ..errors import (
    APIResponseValidationError,
    BadRequestError,
    InternalServerError,
    LettaError,
    NotFoundError,
    UnprocessableEntityError,
)

if TYPE_CHECKING:
    from .._async.client import AsyncLetta
    from .._async.pagination import AsyncPage
    from .._sync.client import Letta
    from .._sync.pagination import SyncPage
    from ..async_paginator import AsyncPaginator

T = TypeVar("T")

CONCURRENCY: Final = 8
"""Requests in flight."""


OBJECT_ERRORS: Final = (
    APIResponseValidationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    UnprocessableEntityError,
)
"""Errors of one object. Letta 0.16.8 responds with 400 to the list of a run with a damaged message."""


@frozen
class Unavailable:
    """The result of a request for an object that the server cannot return."""

    error: LettaError

    @property
    def is_missing(self) -> bool:
        """Whether the object does not exist."""
        return isinstance(self.error, NotFoundError)


@frozen
class Request(Generic[T]):
    """A request.

    Attributes:
        send: Sends it with a client.
        may_be_unavailable: Whether the result is `Unavailable` if the server cannot return the object.
    """

    send: Callable[[Letta | AsyncLetta], T | Awaitable[T]]
    may_be_unavailable: bool = False


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


def if_available(request: Request[T]) -> Request[T | Unavailable]:
    """Return a request whose result is `Unavailable` if the server cannot return the object."""
    return Request(request.send, may_be_unavailable=True)


def run_sync(client: Letta, work: Work[T]) -> T:
    """Run a generator with the sync client."""

    def send(request: Request[Any]) -> Any:
        try:
            return request.send(client)
        except OBJECT_ERRORS as error:
            if request.may_be_unavailable:
                return Unavailable(error)
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
            except OBJECT_ERRORS as error:
                if request.may_be_unavailable:
                    return Unavailable(error)
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

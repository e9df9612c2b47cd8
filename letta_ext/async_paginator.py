"""The result of an async list call. `sync_paginator.py` has the same names for sync code."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from ._async.pagination import AsyncItemIterator, AsyncPage, AsyncPageIterator, Fetch, first_page
from ._pagination.iterator import ListIterator

T = TypeVar("T")


class AsyncPaginator(Generic[T]):
    """A list. `await` returns the first page, `async for` iterates all items."""

    def __init__(self, start: Callable[[], ListIterator], fetch: Fetch[T]) -> None:
        self._start = start
        self._fetch = fetch

    async def _first(self) -> AsyncPage[T]:
        return await first_page(self._start(), self._fetch)

    def __await__(self) -> Generator[Any, None, AsyncPage[T]]:
        return self._first().__await__()

    def iter_pages(self) -> AsyncPageIterator[T]:
        """Return an iterator over all pages."""
        return AsyncPageIterator(self._first)

    def __aiter__(self) -> AsyncItemIterator[T]:
        return AsyncItemIterator(self.iter_pages())

    async def to_dicts(self) -> list[dict[str, Any]]:
        """Return a row per item of all pages, as `AsyncPage.to_dicts` does."""
        return await (await self._first()).to_dicts()


def open_list(start: Callable[[], ListIterator], fetch: Fetch[T]) -> AsyncPaginator[T]:
    """Return a list, which is fetched when it is awaited or iterated."""
    return AsyncPaginator(start, fetch)

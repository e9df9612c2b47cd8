"""Iterators over the pages and the items of a list, sync and async.

An exception ends none of them: the next call repeats the request that failed or was interrupted. A page and an item are
kept until they are handed over, by assignments alone: a signal handler cannot run between those and the `return`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from .prefetch import Ahead, AsyncAhead

if TYPE_CHECKING:
    from .pages import AsyncPage, SyncPage

T = TypeVar("T")


class PageIterator(Iterator["SyncPage[T]"], Generic[T]):
    """The pages of a list: the first, which may be empty, and those behind it.

    Args:
        first: Returns the first page.
    """

    def __init__(self, first: Callable[[], SyncPage[T]]) -> None:
        self._first = first
        self._last: SyncPage[T] | None = None
        self._next: SyncPage[T] | None = None
        self._ahead: Ahead[SyncPage[T]] | None = None
        self._over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> SyncPage[T]:
        page = self._next
        if page is None:
            page = self._fetch()
            self._next, self._ahead = page, None
        if self._ahead is None and page.is_prefetched:
            self._ahead = Ahead(page.get_next_page)
        self._next, self._last = None, page
        return page

    def _fetch(self) -> SyncPage[T]:
        last, ahead = self._last, self._ahead
        if self._over or (last is not None and not last.items):
            self.close()
            raise StopIteration
        if last is None:
            return self._first()
        try:
            page = last.get_next_page() if ahead is None else ahead.result()
        except BaseException:
            if ahead is not None and ahead.is_done:
                self._ahead = None
            raise
        if not page.items:
            self.close()
            raise StopIteration
        return page

    def close(self) -> None:
        """End the iterator."""
        self._over = True
        self._last = self._next = self._ahead = None


class ItemIterator(Iterator[T], Generic[T]):
    """The items of a list, page after page."""

    def __init__(self, pages: PageIterator[T]) -> None:
        self._pages = pages
        self._items: list[T] = []
        self._index = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        while True:
            items = self._items
            if self._index < len(items):
                self._index += 1
                return items[self._index - 1]
            for page in self._pages:
                self._items, self._index = page.items, 0
                break
            else:
                raise StopIteration

    def close(self) -> None:
        """End the iterator."""
        self._pages.close()
        self._items = []


class AsyncPageIterator(AsyncIterator["AsyncPage[T]"], Generic[T]):
    """Async version of `PageIterator`."""

    def __init__(self, first: Callable[[], Awaitable[AsyncPage[T]]]) -> None:
        self._first = first
        self._last: AsyncPage[T] | None = None
        self._next: AsyncPage[T] | None = None
        self._ahead: AsyncAhead[AsyncPage[T]] | None = None
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AsyncPage[T]:
        page = self._next
        if page is None:
            page = await self._fetch()
            self._next, self._ahead = page, None
        if self._ahead is None and page.is_prefetched:
            self._ahead = AsyncAhead(page.get_next_page)
        self._next, self._last = None, page
        return page

    async def _fetch(self) -> AsyncPage[T]:
        last, ahead = self._last, self._ahead
        if self._over or (last is not None and not last.items):
            await self.aclose()
            raise StopAsyncIteration
        if last is None:
            return await self._first()
        try:
            page = await (last.get_next_page() if ahead is None else ahead.result())
        except BaseException:
            self._ahead = None  # whoever was cancelled has cancelled it too
            raise
        if not page.items:
            await self.aclose()
            raise StopAsyncIteration
        return page

    async def aclose(self) -> None:
        """End the iterator."""
        if self._ahead is not None:
            self._ahead.leave()
        self._over = True
        self._last = self._next = self._ahead = None


class AsyncItemIterator(AsyncIterator[T], Generic[T]):
    """Async version of `ItemIterator`."""

    def __init__(self, pages: AsyncPageIterator[T]) -> None:
        self._pages = pages
        self._items: list[T] = []
        self._index = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            items = self._items
            if self._index < len(items):
                self._index += 1
                return items[self._index - 1]
            async for page in self._pages:
                self._items, self._index = page.items, 0
                break
            else:
                raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iterator."""
        await self._pages.aclose()
        self._items = []

"""Pages of a list, and iterators over pages and items. `_pagination/iterator.py` computes the next request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Generic, Self, TypeAlias, TypeVar

from .._pagination.iterator import Fetching, Walk
from .._pagination.pages import BasePage
from ..async_primitives import AsyncBackgroundWork

T = TypeVar("T")

Fetch: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[list[T]]]
"""Sends the request of a page with these arguments."""


class AsyncPage(BasePage[T]):
    """One page of a list. `async for item in page` goes over this page and all that follow.

    Attributes:
        items: the items of this page, in the order of the walk.
    """

    def __init__(self, items: list[T], walk: Walk, fetch: Fetch[T]) -> None:
        super().__init__(items, walk)
        self._fetch = fetch

    async def get_next_page(self) -> AsyncPage[T]:
        """Fetches the next page, which is empty behind the last one.

        Raises:
            ListChangedError: the list cannot be walked on.
            APIError: the request failed. It may be called again.
        """
        with self._onward() as walk:
            return AsyncPage(await run(walk.next(), self._fetch) or [], walk, self._fetch)

    def iter_pages(self) -> AsyncPageIterator[T]:
        """This page, which may be empty, and all that follow."""

        async def first() -> AsyncPage[T]:
            return self

        return AsyncPageIterator(first)

    def __aiter__(self) -> AsyncItemIterator[T]:
        return AsyncItemIterator(self.iter_pages())


AsyncArrayPage = AsyncPage
"""The name that the published client has for it."""


async def first_page(walk: Walk, fetch: Fetch[T]) -> AsyncPage[T]:
    """The page that a walk begins with."""
    return AsyncPage(await run(walk.begin(), fetch) or [], walk, fetch)


async def run(fetching: Fetching, fetch: Fetch[T], first: list[T] | None = None) -> list[T] | None:
    """Does the requests that a walk asks for; `first` is what the first of them brought, where that was done."""
    try:
        arguments = next(fetching) if first is None else fetching.send(first)
        while True:
            arguments = fetching.send(await fetch(arguments))
    except StopIteration as done:
        result: list[T] | None = done.value
        return result


class AsyncPageIterator(AsyncIterator["AsyncPage[T]"], Generic[T]):
    """The pages of a list: the first, which may be empty, and those behind it.

    Args:
        first: Returns the first page.
    """

    def __init__(self, first: Callable[[], Awaitable[AsyncPage[T]]]) -> None:
        self._first = first
        self._last: AsyncPage[T] | None = None
        self._next: AsyncPage[T] | None = None
        self._ahead: AsyncBackgroundWork[AsyncPage[T]] | None = None
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AsyncPage[T]:
        page = self._next
        if page is None:
            page = await self._fetch()
            self._next, self._ahead = page, None
        if self._ahead is None and page.is_prefetched:
            self._ahead = AsyncBackgroundWork(page.get_next_page)
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
            if ahead is not None and not ahead.is_running:
                self._ahead = None
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
    """The items of a list, page after page."""

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

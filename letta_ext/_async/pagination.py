"""Pages of a list, and iterators over pages and items. `_pagination/iterator.py` computes the requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Generic, Self, TypeAlias, TypeVar

from .._pagination.iterator import ListIterator, PageRequests
from .._pagination.pages import BasePage
from ..async_primitives import AsyncBackgroundWork
from ..errors import NotFoundError

T = TypeVar("T")

Fetch: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[list[T]]]
"""Sends a list request with the given arguments."""


class AsyncPage(BasePage[T]):
    """A page of a list. Iterating it yields the items of this page and of all that follow.

    Attributes:
        items: The items of this page, in list order.
    """

    def __init__(self, items: list[T], iterator: ListIterator, fetch: Fetch[T]) -> None:
        super().__init__(items, iterator)
        self._fetch = fetch

    async def get_next_page(self) -> AsyncPage[T]:
        """Return the next page. The last page is followed by an empty one.

        Raises:
            ListChangedError: If the server does not continue after the last item.
            APIError: If the request fails. The method can be called again.
        """
        with self._iterator_after_this_page() as iterator:
            return AsyncPage(await run(iterator.next(), self._fetch) or [], iterator, self._fetch)

    def iter_pages(self) -> AsyncPageIterator[T]:
        """Return an iterator over this page, which may be empty, and all that follow."""

        async def first() -> AsyncPage[T]:
            return self

        return AsyncPageIterator(first)

    def __aiter__(self) -> AsyncItemIterator[T]:
        return AsyncItemIterator(self.iter_pages())

    async def to_dicts(self) -> list[dict[str, Any]]:
        """Return a row per item of this page and of all that follow, for `pandas.DataFrame` or `polars.DataFrame`.

        All rows have the same keys. Nested values are JSON text, and undocumented fields are JSON text in `extra`.

        Raises:
            ListChangedError: If the server does not continue after the last item.
            APIError: If a request fails.
        """
        from .._pagination.rows import to_dicts  # needed by frames only

        return to_dicts([item async for item in self])


AsyncArrayPage = AsyncPage
"""The name of `AsyncPage` in letta-client."""


async def first_page(iterator: ListIterator, fetch: Fetch[T]) -> AsyncPage[T]:
    """Return the first page of an iteration."""
    return AsyncPage(await run(iterator.begin(), fetch) or [], iterator, fetch)


async def run(requests: PageRequests, fetch: Fetch[T], first: list[T] | None = None) -> list[T] | None:
    """Send the requests for a page, and return its new items.

    Args:
        requests: The requests.
        fetch: Sends one of them.
        first: The response to the first request, if it was sent already.
    """
    try:
        arguments = next(requests) if first is None else requests.send(first)
        while True:
            try:
                items = await fetch(arguments)
            except NotFoundError as fault:
                arguments = requests.throw(fault)  # perhaps the item of the cursor was deleted
            else:
                arguments = requests.send(items)
    except StopIteration as done:
        result: list[T] | None = done.value
        return result


class AsyncPageIterator(AsyncIterator["AsyncPage[T]"], Generic[T]):
    """An iterator over the pages of a list. The first page may be empty.

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
            self._ahead.cancel()
        self._over = True
        self._last = self._next = self._ahead = None


class AsyncItemIterator(AsyncIterator[T], Generic[T]):
    """An iterator over the items of a list."""

    def __init__(self, pages: AsyncPageIterator[T]) -> None:
        self._pages = pages
        self._page: AsyncPage[T] | None = None
        self._items: Iterator[T] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        for item in self._items:
            return item
        return await self._first_of_next_page()

    async def _first_of_next_page(self) -> T:
        while True:
            if self._page is not None:
                self._items, self._page = iter(self._page.items), None
            for item in self._items:
                return item
            # The loop assigns the page itself, so that an interruption loses none.
            async for self._page in self._pages:  # noqa: B020  # an attribute, not `self`
                break
            else:
                raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iterator."""
        await self._pages.aclose()
        self._items, self._page = iter(()), None

"""Pages of a list, sync and async. Iterating one walks on through those that follow; `paging.py` says how."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from typing import Any, Generic, TypeVar

from .paging import Checkpoint, Fetching, Walk

T = TypeVar("T")


class _Page(Generic[T]):
    """What both pages are.

    Attributes:
        items: the items of this page, in the order of the walk.
    """

    items: list[T]

    def __init__(self, items: list[T], walk: Walk) -> None:
        self.items = items
        self._walk = walk
        # The walk moves on with the pages; this one can still say where it stood.
        self._checkpoint = walk.checkpoint()
        self._at = walk.memory.recent[-1:]
        self._ended = walk.ended

    def has_next_page(self) -> bool:
        """Whether there may be another page. The server does not say, so the one behind the last is empty."""
        return bool(self.items) and not self._ended

    def next_page_info(self) -> dict[str, Any] | None:
        """The cursor that the next page lies behind, by the name of its parameter; None behind the last page."""
        if not self.has_next_page():
            return None
        return {self._checkpoint["leading"]: self._at[0]} if self._at else None

    def checkpoint(self) -> Checkpoint:
        """Where the walk stands behind this page: a small JSON value.

        `list(..., checkpoint=…)` goes on from it, in another process too, with the same arguments. It raises
        `ListChangedError` where it cannot prove that nothing is lost.
        """
        return self._checkpoint

    def _onward(self) -> Walk:
        """The walk behind this page: the one that brought it, or where that has gone on, another like it."""
        if self._walk.memory.recent[-1:] == self._at and self._walk.ended == self._ended:
            return self._walk
        return Walk.resumed(self._walk.facts, self._checkpoint)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(items={self.items!r})"


class SyncArrayPage(_Page[T]):
    """One page of a list. `for item in page` goes over this page and all that follow."""

    def __init__(self, items: list[T], walk: Walk, fetch: Callable[[Mapping[str, Any]], list[T]]) -> None:
        super().__init__(items, walk)
        self._fetch = fetch

    def get_next_page(self) -> SyncArrayPage[T]:
        """Fetches the next page, which is empty behind the last one.

        Raises:
            ListChangedError: the list cannot be walked on.
            APIError: the request failed.
        """
        walk = self._onward()
        return SyncArrayPage(run(walk.next(), self._fetch) or [], walk, self._fetch)

    def iter_pages(self) -> Iterator[SyncArrayPage[T]]:
        """This page and all that follow."""
        page = self
        while page.items:
            yield page
            page = page.get_next_page()

    def __iter__(self) -> Iterator[T]:
        for page in self.iter_pages():
            yield from page.items


class AsyncArrayPage(_Page[T]):
    """What `SyncArrayPage` is, for async code."""

    def __init__(self, items: list[T], walk: Walk, fetch: Callable[[Mapping[str, Any]], Awaitable[list[T]]]) -> None:
        super().__init__(items, walk)
        self._fetch = fetch

    async def get_next_page(self) -> AsyncArrayPage[T]:
        """Fetches the next page, which is empty behind the last one.

        Raises:
            ListChangedError: the list cannot be walked on.
            APIError: the request failed.
        """
        walk = self._onward()
        return AsyncArrayPage(await run_async(walk.next(), self._fetch) or [], walk, self._fetch)

    async def iter_pages(self) -> AsyncIterator[AsyncArrayPage[T]]:
        """This page and all that follow."""
        page = self
        while page.items:
            yield page
            page = await page.get_next_page()

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.iter_pages():
            for item in page.items:
                yield item


class AsyncPaginator(Generic[T]):
    """A list that was asked for: `await` it for its first page, or go over all items with `async for`."""

    def __init__(self, start: Callable[[], Walk], fetch: Callable[[Mapping[str, Any]], Awaitable[list[T]]]) -> None:
        self._start = start
        self._fetch = fetch

    async def _first(self) -> AsyncArrayPage[T]:
        walk = self._start()
        items = await run_async(walk.begin(), self._fetch)
        return AsyncArrayPage(items or [], walk, self._fetch)

    def __await__(self) -> Generator[Any, None, AsyncArrayPage[T]]:
        return self._first().__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        async for item in await self._first():
            yield item


def first_page(walk: Walk, fetch: Callable[[Mapping[str, Any]], list[T]]) -> SyncArrayPage[T]:
    """The page that a walk begins with."""
    return SyncArrayPage(run(walk.begin(), fetch) or [], walk, fetch)


def run(
    fetching: Fetching, fetch: Callable[[Mapping[str, Any]], list[T]], first: list[T] | None = None
) -> list[T] | None:
    """Does the requests that a walk asks for; `first` is what the first of them brought, where that was done."""
    try:
        arguments = next(fetching) if first is None else fetching.send(first)
        while True:
            arguments = fetching.send(fetch(arguments))
    except StopIteration as done:
        result: list[T] | None = done.value
        return result


async def run_async(
    fetching: Fetching, fetch: Callable[[Mapping[str, Any]], Awaitable[list[T]]], first: list[T] | None = None
) -> list[T] | None:
    """What `run` does, with an async client."""
    try:
        arguments = next(fetching) if first is None else fetching.send(first)
        while True:
            arguments = fetching.send(await fetch(arguments))
    except StopIteration as done:
        result: list[T] | None = done.value
        return result

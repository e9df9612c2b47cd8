"""Pages of a list, sync and async. Iterating one walks on through those that follow; `walk.py` says how."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from ..calls.requests import OPTIONS, Endpoint
from ..calls.validation import check_arguments, check_bounds, check_id
from ..config import given
from ..shapes import is_object
from .iterators import AsyncItemIterator, AsyncPageIterator, ItemIterator, PageIterator
from .walk import Checkpoint, Fetching, Walk

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
        walk.place += 1
        walk.taken = False
        self._place = walk.place
        self._mark = walk.mark()
        self._ended = walk.ended

    @property
    def is_prefetched(self) -> bool:
        """Whether the next page is fetched while this one is used."""
        return self._walk.prefetch and self.has_next_page()

    def has_next_page(self) -> bool:
        """Whether there may be another page. The server does not say, so the one behind the last is empty."""
        return bool(self.items) and not self._ended

    def next_page_info(self) -> dict[str, Any] | None:
        """The cursor that the next page lies behind, by the name of its parameter; None behind the last page."""
        if not self.has_next_page() or not self._mark.cursors:
            return None
        return {self._mark.leading: self._mark.cursors[-1]}

    def checkpoint(self) -> Checkpoint:
        """Where the walk stands behind this page: a JSON value of a few kilobytes.

        `list(..., checkpoint=…)`, with the same ids, goes on from it, in another process too. It holds the other
        arguments of the list. Going on raises `ListChangedError` where it cannot be proven that nothing is lost.
        """
        return self._mark.checkpoint()

    @contextmanager
    def _onward(self) -> Generator[Walk, None, None]:
        """The walk behind this page: the one that brought it, or where that has gone on, another like it."""
        walk = self._walk
        mine = walk.moving.acquire(blocking=False)
        try:
            if mine and walk.place == self._place and not walk.taken:
                yield walk
            else:
                other = Walk.resumed(walk.facts, self._mark.checkpoint(), walk.of)
                other.arguments |= walk.arguments
                other.prefetch = walk.prefetch
                yield other
        finally:
            if mine:
                walk.moving.release()

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(items={self.items!r})"


class SyncPage(_Page[T]):
    """One page of a list. `for item in page` goes over this page and all that follow.

    Attributes:
        items: the items of this page, in the order of the walk.
    """

    def __init__(self, items: list[T], walk: Walk, fetch: Callable[[Mapping[str, Any]], list[T]]) -> None:
        super().__init__(items, walk)
        self._fetch = fetch

    def get_next_page(self) -> SyncPage[T]:
        """Fetches the next page, which is empty behind the last one.

        Raises:
            ListChangedError: the list cannot be walked on.
            APIError: the request failed. It may be called again.
        """
        with self._onward() as walk:
            return SyncPage(run(walk.next(), self._fetch) or [], walk, self._fetch)

    def iter_pages(self) -> PageIterator[T]:
        """This page, which may be empty, and all that follow."""
        return PageIterator(lambda: self)

    def __iter__(self) -> ItemIterator[T]:
        return ItemIterator(self.iter_pages())


class AsyncPage(_Page[T]):
    """What `SyncPage` is, for async code.

    Attributes:
        items: the items of this page, in the order of the walk.
    """

    def __init__(self, items: list[T], walk: Walk, fetch: Callable[[Mapping[str, Any]], Awaitable[list[T]]]) -> None:
        super().__init__(items, walk)
        self._fetch = fetch

    async def get_next_page(self) -> AsyncPage[T]:
        """Fetches the next page, which is empty behind the last one.

        Raises:
            ListChangedError: the list cannot be walked on.
            APIError: the request failed. It may be called again.
        """
        with self._onward() as walk:
            return AsyncPage(await run_async(walk.next(), self._fetch) or [], walk, self._fetch)

    def iter_pages(self) -> AsyncPageIterator[T]:
        """This page, which may be empty, and all that follow."""

        async def first() -> AsyncPage[T]:
            return self

        return AsyncPageIterator(first)

    def __aiter__(self) -> AsyncItemIterator[T]:
        return AsyncItemIterator(self.iter_pages())


SyncArrayPage = SyncPage
"""The name that the published client has for it."""

AsyncArrayPage = AsyncPage
"""The name that the published client has for it."""


class AsyncPaginator(Generic[T]):
    """A list that was asked for: `await` it for its first page, or go over all items with `async for`."""

    def __init__(self, start: Callable[[], Walk], fetch: Callable[[Mapping[str, Any]], Awaitable[list[T]]]) -> None:
        self._start = start
        self._fetch = fetch

    async def _first(self) -> AsyncPage[T]:
        walk = self._start()
        items = await run_async(walk.begin(), self._fetch)
        return AsyncPage(items or [], walk, self._fetch)

    def __await__(self) -> Generator[Any, None, AsyncPage[T]]:
        return self._first().__await__()

    def iter_pages(self) -> AsyncPageIterator[T]:
        """All pages."""
        return AsyncPageIterator(self._first)

    def __aiter__(self) -> AsyncItemIterator[T]:
        return AsyncItemIterator(self.iter_pages())


def make_walk(endpoint: Endpoint, ids: tuple[Any, ...], arguments: Mapping[str, Any]) -> Walk:
    """The walk through a list that a call begins, or goes on with.

    Raises:
        TypeError: `checkpoint` came with arguments of its own, or an argument is of the wrong type.
        ValueError: `checkpoint` is none, or a filter has an impossible value.
    """
    arguments, facts = dict(given(arguments)), endpoint.OPERATION.page
    if facts is None:
        raise TypeError(f"{endpoint.OPERATION.id} does not page")
    of = (endpoint.OPERATION.id, *map(str, ids))
    # They are not sent, and would not be checked else.
    filters = {name: arguments[name] for name in facts.filters_after_limit if name in arguments}
    check_arguments(endpoint.build_request, (), filters)
    extra = arguments.get("extra_query")
    own = {facts.limit, facts.after, facts.before, facts.order, *facts.filters_after_limit}
    if clash := sorted(own & extra.keys()) if is_object(extra) else []:
        raise ValueError(f"extra_query must not hold {clash[0]!r}, which the list sends itself: pass it as an argument")
    prefetch = arguments.pop("prefetch", False)
    if not isinstance(prefetch, bool):
        raise TypeError(f"prefetch must be True or False, not {prefetch!r}")
    if "checkpoint" in arguments:
        if also := sorted(arguments.keys() - OPTIONS - {"checkpoint"}):
            raise TypeError(f"checkpoint holds the arguments of its list; {also[0]!r} cannot be given besides")
        walk = Walk.resumed(facts, arguments.pop("checkpoint"), of)
        check_checkpoint(endpoint, walk)
        walk.arguments |= arguments
    else:
        # The messages of an agent's own conversation come in ascending order, whatever order a page is of.
        direct = bool(ids) and (ids[0] == "default" or str(ids[0]).startswith("agent-"))
        for name in (facts.after, facts.before):
            if isinstance(cursor := arguments.get(name), str):
                check_id(name, cursor)  # servers take what is none for no cursor, and begin at the top
        walk = Walk(facts, arguments, reversible=direct, of=of)
    walk.prefetch = prefetch
    return walk


def check_checkpoint(endpoint: Endpoint, walk: Walk) -> None:
    """Checks the arguments that a checkpoint holds.

    Raises:
        ValueError: If the list does not take one of them.
    """
    held = {**walk.arguments, **walk.filters}
    if unknown := sorted(held.keys() - endpoint.OPERATION.parameters):
        raise ValueError(f"checkpoint must hold arguments of the list, got {unknown[0]!r:.80}")
    try:
        check_arguments(endpoint.build_request, (), held)
        check_bounds(endpoint.OPERATION.bounds, held)
    except (TypeError, ValueError) as fault:
        raise ValueError(f"checkpoint must hold arguments of the list: {fault}") from fault


def first_page(walk: Walk, fetch: Callable[[Mapping[str, Any]], list[T]]) -> SyncPage[T]:
    """The page that a walk begins with."""
    return SyncPage(run(walk.begin(), fetch) or [], walk, fetch)


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

"""Pages: iteration over pages and items, and prefetching."""

from __future__ import annotations

import asyncio
import sys
import threading
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import aclosing, suppress
from itertools import count
from types import FrameType
from typing import Any

import pytest

import letta_ext
from letta_ext._async.pagination import AsyncPage
from letta_ext._pagination.iterator import ListIterator
from letta_ext._sync.pagination import Fetch, SyncPage, first_page
from letta_ext.async_paginator import AsyncPaginator
from letta_ext.async_primitives import AsyncBackgroundWork
from tests.pagination.servers import MESSAGES, STEPS, Item, Server
from tests.pagination.test_iteration import open_page, records

TIMEOUT = 10.0
"""Seconds to wait for another thread or task before a test fails."""


def async_list(server: Server, *, prefetch: bool = False, **arguments: Any) -> AsyncPaginator[Any]:
    """Return an async list of a server's items."""

    async def fetch(arguments: Mapping[str, Any]) -> list[Any]:
        await asyncio.sleep(0)
        return server(arguments)

    def begin() -> ListIterator:
        iterator = ListIterator(MESSAGES, arguments)
        iterator.prefetch = prefetch
        return iterator

    return AsyncPaginator(begin, fetch)


def prefetched(fetch: Fetch[Any], **arguments: Any) -> SyncPage[Any]:
    """Return the first page of a list that prefetches."""
    iterator = ListIterator(MESSAGES, arguments)
    iterator.prefetch = True
    return first_page(iterator, fetch)


def test_page_classes_have_both_names() -> None:
    """`SyncArrayPage` and `AsyncArrayPage`, the names in letta-client, are the page classes."""
    assert letta_ext.SyncArrayPage is letta_ext.SyncPage is SyncPage
    assert letta_ext.AsyncArrayPage is letta_ext.AsyncPage is AsyncPage


@pytest.mark.parametrize("prefetch", [False, True])
def test_iter_pages_yields_each_page(prefetch: bool) -> None:
    """`iter_pages()` yields the page itself and all that follow."""
    server = Server(records(range(7)))
    page = prefetched(server, order="asc", limit=3) if prefetch else open_page(server, order="asc", limit=3)
    pages = list(page.iter_pages())
    assert [[item.id for item in each.items] for each in pages] == [["m0", "m1", "m2"], ["m3", "m4", "m5"], ["m6"]]
    assert pages[0] is page
    assert [len(each) for each in pages] == [3, 3, 1]
    assert repr(pages[2]).startswith("SyncPage(items=[Item(")


@pytest.mark.parametrize("prefetch", [False, True])
async def test_async_list_is_awaitable_and_iterable(prefetch: bool, anyio_backend: str) -> None:
    """An async list can be awaited for its first page, iterated over items, and iterated over pages."""
    server = Server(records(range(7)))
    page = await async_list(server, prefetch=prefetch, order="asc", limit=3)
    assert [item.id for item in page.items] == ["m0", "m1", "m2"]
    assert page.has_next_page()
    assert page.next_page_info() == {"after": "m2"}
    whole = server.all_items("asc")
    assert [item async for item in page] == whole
    assert [item async for item in page] == whole, "the second iteration"
    assert [item async for item in async_list(server, prefetch=prefetch, order="asc", limit=3)] == whole
    pages = [each async for each in async_list(server, prefetch=prefetch, order="asc", limit=3).iter_pages()]
    assert [len(each) for each in pages] == [3, 3, 1]
    assert repr(pages[2]).startswith("AsyncPage(items=[Item(")
    empty = await pages[2].get_next_page()
    assert empty.items == []
    assert not empty.has_next_page()


def test_prefetch_fetches_the_next_page_in_a_thread() -> None:
    """The next page is fetched while the items of the current one are used."""
    server = Server(records(range(6)))
    fetched = threading.Event()

    def fetch(arguments: Mapping[str, Any]) -> list[Any]:
        if "after" in arguments:
            assert threading.current_thread() is not threading.main_thread()
            fetched.set()
        return server(arguments)

    seen: list[str] = []
    for item in prefetched(fetch, order="asc", limit=3):
        if not seen:
            assert fetched.wait(TIMEOUT)
        seen.append(item.id)
    assert seen == [f"m{n}" for n in range(6)]


async def test_async_prefetch_fetches_the_next_page_in_a_task(anyio_backend: str) -> None:
    """The next page is fetched while the items of the current one are used."""
    server = Server(records(range(6)))
    seen: list[str] = []
    async for item in async_list(server, prefetch=True, order="asc", limit=3):
        if not seen:
            async with asyncio.timeout(TIMEOUT):
                while len(server.requests) < 2:  # noqa: ASYNC110  # the prefetching task has no event to wait for
                    await asyncio.sleep(0)
        seen.append(item.id)
    assert seen == [f"m{n}" for n in range(6)]


def test_prefetch_sends_the_same_requests() -> None:
    """Prefetching costs no additional request."""
    plain, other = Server(records(range(40))), Server(records(range(40)))
    assert list(open_page(plain, order="desc", limit=5)) == list(prefetched(other, order="desc", limit=5))
    assert plain.requests == other.requests


def test_prefetch_error_is_raised_after_the_current_page() -> None:
    """An error of the prefetched page is raised when that page is due, and the page can be iterated again."""
    server = Server(records(range(6)))
    failing = [True]

    def fetch(arguments: Mapping[str, Any]) -> list[Any]:
        if "after" in arguments and failing:
            failing.clear()
            raise letta_ext.APIConnectionError("no connection")
        return server(arguments)

    page = prefetched(fetch, order="asc", limit=3)
    seen: list[Any] = []
    with pytest.raises(letta_ext.APIConnectionError, match="no connection"):
        seen.extend(page)
    assert [item.id for item in seen] == ["m0", "m1", "m2"]
    assert [item.id for item in page] == [f"m{n}" for n in range(6)], "the second iteration"


def test_break_leaves_the_page_unchanged() -> None:
    """After a `break`, the page still has its next page and can be iterated again."""
    server = Server(records(range(9)))
    page = prefetched(server, order="asc", limit=3)
    for _ in page:
        break
    assert [item.id for item in page.get_next_page().items] == ["m3", "m4", "m5"]
    assert list(page) == server.all_items("asc")


async def test_break_cancels_the_prefetching_task(anyio_backend: str) -> None:
    """After a `break`, no task is left, and the page can be iterated again."""
    server = Server(records(range(9)))
    before = asyncio.all_tasks()
    page = await async_list(server, prefetch=True, order="asc", limit=3)
    async with aclosing(page.iter_pages()) as pages:
        async for _ in pages:
            break
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert [item async for item in page] == server.all_items("asc")


async def test_concurrent_get_next_page_returns_equal_pages(anyio_backend: str) -> None:
    """Two tasks that fetch the page after the same page get the same items."""
    page = await async_list(Server(records(range(9))), order="asc", limit=3)
    one, two = await asyncio.gather(page.get_next_page(), page.get_next_page())
    assert [item.id for item in one.items] == [item.id for item in two.items] == ["m3", "m4", "m5"]
    assert [item.id async for item in one] == [item.id async for item in two] == [f"m{n}" for n in range(3, 9)]


def test_second_get_next_page_keeps_the_options_of_the_call() -> None:
    """Every request of a list has the options of its call."""
    server = Server(records(range(9)))
    page = open_page(server, order="asc", limit=3, timeout=7.0)
    page.get_next_page()
    page.get_next_page()
    assert all(request["timeout"] == 7.0 for request in server.requests)


@pytest.mark.parametrize("facts", [MESSAGES, STEPS])
def test_memory_of_an_iteration_is_bounded(facts: Any) -> None:
    """A list with shared positions takes at most 100 bytes per item, any other list a constant amount."""
    count = 11_000  # shortly after a dict has grown, when it is at its largest per item; a set takes 141 bytes

    def fetch(arguments: Mapping[str, Any]) -> list[Any]:
        at = int(arguments.get("after", "message-0")[8:])
        return [Item(f"message-{n + 1}") for n in range(at, min(at + arguments["limit"], count))]

    page = first_page(ListIterator(facts, {"order": "asc", "limit": 100}), fetch)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        assert sum(1 for _ in page) == count
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held < (100 * count if facts.cursor_order == "chronological" else 200_000), held / count


def test_async_prefetch_without_asyncio_fetches_on_demand() -> None:
    """Outside of an asyncio event loop, the work is done when its result is awaited."""
    done: list[int] = []

    async def work() -> int:
        done.append(1)
        return 7

    prefetch = AsyncBackgroundWork(work)  # as under another event loop
    assert done == []
    assert asyncio.run(prefetch.result()) == 7
    prefetch.cancel()


class PlannedError(Exception):
    """The exception of a signal handler."""


class SignalAt:
    """Raises an exception at the n-th place in the prefetching code where CPython may run a signal handler."""

    modules = ("threading", "letta_ext.sync_primitives")

    def __init__(self, place: int) -> None:
        self.remaining = place

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if frame.f_globals.get("__name__") in self.modules and event != "c_exception":
            self.remaining -= 1
            if self.remaining == -1:
                raise PlannedError

    def next(self, items: Iterator[Any]) -> Any:
        sys.setprofile(self)
        try:
            return next(items)
        finally:
            sys.setprofile(None)


def test_signal_handler_exception_during_prefetch_is_raised_once() -> None:
    """The exception of a signal handler is raised at any place, and the iteration continues afterwards."""
    for place in count():
        items = iter(prefetched(Server(records(range(6))), order="asc", limit=3))
        signal, seen = SignalAt(place), list[str]()
        with suppress(StopIteration):
            while True:
                with suppress(PlannedError):
                    seen.append(signal.next(items).id)
        assert seen == [f"m{n}" for n in range(6)]
        if signal.remaining >= 0:
            assert place > 3
            return

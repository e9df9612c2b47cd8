"""Pages: going over them, over what they hold, and fetching the next one ahead."""

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
from letta_ext._pagination.iterator import Walk
from letta_ext._sync.pagination import SyncPage, first_page
from letta_ext.async_paginator import AsyncPaginator
from letta_ext.async_primitives import AsyncBackgroundWork
from tests.pagination.servers import MESSAGES, STEPS, Item, Server
from tests.pagination.test_walks import start, things

PATIENCE = 10.0
"""Seconds that a test waits for something to happen in another thread before it fails."""


def listing(server: Server, *, prefetch: bool = False, **arguments: Any) -> AsyncPaginator[Any]:
    async def fetch(arguments: Mapping[str, Any]) -> list[Any]:
        await asyncio.sleep(0)
        return server(arguments)

    def begin() -> Walk:
        walk = Walk(MESSAGES, arguments)
        walk.prefetch = prefetch
        return walk

    return AsyncPaginator(begin, fetch)


def ahead(server: Server, **arguments: Any) -> SyncPage[Any]:
    walk = Walk(MESSAGES, arguments)
    walk.prefetch = True
    return first_page(walk, server)


def test_both_names_are_to_be_had() -> None:
    assert letta_ext.SyncArrayPage is letta_ext.SyncPage is SyncPage
    assert letta_ext.AsyncArrayPage is letta_ext.AsyncPage is AsyncPage


@pytest.mark.parametrize("prefetch", [False, True])
def test_pages_one_by_one(prefetch: bool) -> None:
    server = Server(things(range(7)))
    page = ahead(server, order="asc", limit=3) if prefetch else start(server, order="asc", limit=3)
    pages = list(page.iter_pages())
    assert [[item.id for item in each.items] for each in pages] == [["m0", "m1", "m2"], ["m3", "m4", "m5"], ["m6"]]
    assert pages[0] is page
    assert [len(each) for each in pages] == [3, 3, 1]
    assert repr(pages[2]).startswith("SyncPage(items=[Item(")


@pytest.mark.parametrize("prefetch", [False, True])
async def test_an_async_list_is_awaited_or_gone_over(prefetch: bool, anyio_backend: str) -> None:
    server = Server(things(range(7)))
    page = await listing(server, prefetch=prefetch, order="asc", limit=3)
    assert [item.id for item in page.items] == ["m0", "m1", "m2"]
    assert page.has_next_page()
    assert page.next_page_info() == {"after": "m2"}
    whole = server.everything("asc")
    assert [item async for item in page] == whole
    assert [item async for item in page] == whole, "a second time too"
    assert [item async for item in listing(server, prefetch=prefetch, order="asc", limit=3)] == whole
    pages = [each async for each in listing(server, prefetch=prefetch, order="asc", limit=3).iter_pages()]
    assert [len(each) for each in pages] == [3, 3, 1]
    assert repr(pages[2]).startswith("AsyncPage(items=[Item(")
    behind = await pages[2].get_next_page()
    assert behind.items == []
    assert not behind.has_next_page()


def test_the_next_page_is_fetched_while_this_one_is_used() -> None:
    server = Server(things(range(6)))
    fetched = threading.Event()
    walk = Walk(MESSAGES, {"order": "asc", "limit": 3})
    walk.prefetch = True

    def fetch(arguments: Mapping[str, Any]) -> list[Any]:
        if "after" in arguments:
            assert threading.current_thread() is not threading.main_thread()
            fetched.set()
        return server(arguments)

    seen: list[str] = []
    for item in first_page(walk, fetch):
        if not seen:
            assert fetched.wait(PATIENCE)
        seen.append(item.id)
    assert seen == [f"m{n}" for n in range(6)]


async def test_a_task_fetches_the_next_page_meanwhile(anyio_backend: str) -> None:
    server = Server(things(range(6)))
    seen: list[str] = []
    async for item in listing(server, prefetch=True, order="asc", limit=3):
        if not seen:
            async with asyncio.timeout(PATIENCE):
                while len(server.requests) < 2:  # noqa: ASYNC110  (the other task says nothing when it begins)
                    await asyncio.sleep(0)
        seen.append(item.id)
    assert seen == [f"m{n}" for n in range(6)]


def test_prefetching_costs_no_request_more() -> None:
    plain, other = Server(things(range(40))), Server(things(range(40)))
    assert list(start(plain, order="desc", limit=5)) == list(ahead(other, order="desc", limit=5))
    assert plain.requests == other.requests


def test_a_fault_of_the_page_ahead_comes_when_its_turn_is() -> None:
    server = Server(things(range(6)))
    walk = Walk(MESSAGES, {"order": "asc", "limit": 3})
    walk.prefetch = True
    failing = [True]

    def fetch(arguments: Mapping[str, Any]) -> list[Any]:
        if "after" in arguments and failing:
            failing.clear()
            raise letta_ext.APIConnectionError("cut")
        return server(arguments)

    page = first_page(walk, fetch)
    seen: list[Any] = []
    with pytest.raises(letta_ext.APIConnectionError, match="cut"):
        seen.extend(page)
    assert [item.id for item in seen] == ["m0", "m1", "m2"]
    assert [item.id for item in page] == [f"m{n}" for n in range(6)], "and the same page goes on when asked again"


def test_a_loop_that_is_left_leaves_the_page_as_it_was() -> None:
    server = Server(things(range(9)))
    page = ahead(server, order="asc", limit=3)
    for _ in page:
        break
    assert [item.id for item in page.get_next_page().items] == ["m3", "m4", "m5"]
    assert list(page) == server.everything("asc")


async def test_an_async_loop_that_is_left_ends_the_task(anyio_backend: str) -> None:
    server = Server(things(range(9)))
    before = asyncio.all_tasks()
    page = await listing(server, prefetch=True, order="asc", limit=3)
    async with aclosing(page.iter_pages()) as pages:
        async for _ in pages:
            break
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert [item async for item in page] == server.everything("asc")


async def test_two_tasks_that_go_on_from_one_page_get_the_same(anyio_backend: str) -> None:
    page = await listing(Server(things(range(9))), order="asc", limit=3)
    one, two = await asyncio.gather(page.get_next_page(), page.get_next_page())
    assert [item.id for item in one.items] == [item.id for item in two.items] == ["m3", "m4", "m5"]
    assert [item.id async for item in one] == [item.id async for item in two] == [f"m{n}" for n in range(3, 9)]


def test_a_page_keeps_the_options_of_its_call_when_it_is_gone_on_from_twice() -> None:
    server = Server(things(range(9)))
    page = start(server, order="asc", limit=3, timeout=7.0)
    page.get_next_page()
    page.get_next_page()
    assert all(request["timeout"] == 7.0 for request in server.requests)


@pytest.mark.parametrize("facts", [MESSAGES, STEPS])
def test_what_a_walk_remembers(facts: Any) -> None:
    count = (
        11_000  # a dict is at its largest, by the item, shortly after it has grown; a set would have taken 141 bytes
    )

    def fetch(arguments: Mapping[str, Any]) -> list[Any]:
        at = int(arguments.get("after", "message-0")[8:])
        return [Item(f"message-{n + 1}") for n in range(at, min(at + arguments["limit"], count))]

    page = first_page(Walk(facts, {"order": "asc", "limit": 100}), fetch)
    walk = page._walk  # the one way to see how much it remembers
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        assert sum(1 for _ in page) == count
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert walk.memory.count == count
    assert held < (100 * count if facts.cursor_order == "chronological" else 200_000), held / count


def test_where_no_loop_of_asyncio_runs_the_next_page_is_fetched_when_it_is_asked_for() -> None:
    done: list[int] = []

    async def work() -> int:
        done.append(1)
        return 7

    ahead = AsyncBackgroundWork(work)  # as under another event loop
    assert done == []
    assert asyncio.run(ahead.result()) == 7
    ahead.leave()


class PlannedError(Exception):
    """What a signal handler raises."""


class Alarm:
    """Raises an exception at one of the places where CPython may run a signal handler while pages are fetched ahead."""

    modules = ("threading", "letta_ext.sync_primitives")

    def __init__(self, place: int) -> None:
        self.left = place

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if frame.f_globals.get("__name__") in self.modules and event != "c_exception":
            self.left -= 1
            if self.left == -1:
                raise PlannedError

    def next(self, items: Iterator[Any]) -> Any:
        sys.setprofile(self)
        try:
            return next(items)
        finally:
            sys.setprofile(None)


def test_a_signal_handler_may_raise_wherever_a_page_is_fetched_ahead() -> None:
    """Its own exception comes out, once, and the list goes on."""
    for place in count():
        items = iter(ahead(Server(things(range(6))), order="asc", limit=3))
        alarm, seen = Alarm(place), list[str]()
        with suppress(StopIteration):
            while True:
                with suppress(PlannedError):
                    seen.append(alarm.next(items).id)
        assert seen == [f"m{n}" for n in range(6)]
        if alarm.left >= 0:
            assert place > 3
            return

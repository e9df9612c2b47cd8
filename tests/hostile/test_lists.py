"""Lists of servers without order: items without ids, changing items, empty pages, broken checkpoints."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letta_ext import ListChangedError
from letta_ext._pagination.iterator import MAX_LIMIT

from ..client.helpers import CONVERSATION, ClientDriver
from .mutating import Mutator, at, places

JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def message(id: object, **fields: object) -> dict[str, Any]:
    return {"id": id, "message_type": "user_message", "date": "2026-01-01T00:00:00+00:00", "content": "hi", **fields}


class Pages:
    """Handles list requests and records their limits.

    Args:
        page: Makes the items of a page from its cursor and limit.
    """

    def __init__(self, page: Callable[[str | None, int], list[Any]]) -> None:
        self.page = page
        self.limits: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        limit = int(request.url.params.get("limit", 100))
        self.limits.append(limit)
        return httpx.Response(200, content=json.dumps(self.page(request.url.params.get("after"), limit)))


def list_pages(driver: ClientDriver, pages: Pages, **arguments: Any) -> Any:
    return driver.client(pages).conversations.messages.list(CONVERSATION, order="asc", **arguments)


# Items without ids


@pytest.mark.slow
@pytest.mark.parametrize(
    ("id", "limit"), [(None, 1), ("", 10), ([], 100), ({}, 10), (7, 10), ("\ud800", 10), ("\0", 10)]
)
def test_list_of_full_pages_without_cursors_raises_list_changed_error(
    driver: ClientDriver, id: object, limit: int
) -> None:
    """A list does not appear complete if no item can be a cursor."""
    pages = Pages(lambda after, limit: [message(id, n=n) for n in range(limit)])
    found, fault = driver.drain(list_pages(driver, pages, limit=limit))
    assert isinstance(fault, ListChangedError)
    assert "can be a cursor" in str(fault)
    assert len(found) >= limit
    assert max(pages.limits) <= MAX_LIMIT


def test_list_with_ids_too_long_for_url_raises_list_changed_error(driver: ClientDriver) -> None:
    """An id that no URL can hold is not used as a cursor."""
    pages = Pages(lambda after, limit: [message(f"{n:05000}") for n in range(10)])
    assert isinstance(driver.drain(list_pages(driver, pages, limit=10))[1], ListChangedError)


@pytest.mark.parametrize("length", [0, 1, 9])
def test_list_shorter_than_page_is_complete_without_ids(driver: ClientDriver, length: int) -> None:
    """A list that is shorter than a page ends."""
    pages = Pages(lambda after, limit: [{"message_type": "newer", "n": n} for n in range(length)])
    assert len(driver.items(list_pages(driver, pages, limit=10))) == length


def test_list_with_some_items_without_ids_yields_each_once(driver: ClientDriver) -> None:
    """Items that cannot be cursors do not end the list, and are yielded once."""
    items = [message(None if n % 3 else f"message-{n}", n=n) for n in range(50)]

    def page(after: str | None, limit: int) -> list[Any]:
        start = next((n + 1 for n, item in enumerate(items) if after is not None and item["id"] == after), 0)
        return items[start : start + limit]

    found = driver.items(list_pages(driver, Pages(page), limit=7))
    assert [item.extra_fields["n"] for item in found] == list(range(50))


# Changing items


@pytest.mark.parametrize("limit", [1, 10, 100])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_list_with_changing_items_raises_after_limited_requests(driver: ClientDriver, limit: int, share: float) -> None:
    """A server that sends other items to each request is given up after a limited number of requests."""
    numbers, chance = count(), random.Random(limit)
    known = [message(f"message-known-{n}") for n in range(limit)]

    def page(after: str | None, limit: int) -> list[Any]:
        fresh = [message(f"message-{next(numbers)}") for _ in range(limit)]
        return [chance.choice(known) if chance.random() < share / 2 else each for each in fresh]

    pages = Pages(page)
    _, fault = driver.drain(list_pages(driver, pages, limit=limit), lambda _: sum(pages.limits) > 1_000_000)
    assert isinstance(fault, ListChangedError)
    assert max(pages.limits) <= 4 * MAX_LIMIT
    assert len(pages.limits) < 60


def test_list_repeating_one_full_page_ends(driver: ClientDriver) -> None:
    """A server that repeats one full page is given up."""
    pages = Pages(lambda after, limit: [message(f"message-{n}") for n in range(10)])
    found, _ = driver.drain(list_pages(driver, pages, limit=10))
    assert len(found) == 10
    assert max(pages.limits) <= 4 * MAX_LIMIT


# Pages


@pytest.mark.parametrize("prefetch", [False, True])
def test_empty_list_has_one_page_with_checkpoint(driver: ClientDriver, prefetch: bool) -> None:
    """The first page is yielded even if it is empty: it holds the checkpoint."""
    page = driver.run(list_pages(driver, Pages(lambda after, limit: []), prefetch=prefetch))
    (only,) = driver.items(page.iter_pages())
    assert only.items == []
    assert driver.run(list_from_checkpoint(driver, [], only.checkpoint())).items == []


def list_from_checkpoint(driver: ClientDriver, items: list[Any], checkpoint: Any) -> Any:
    def page(after: str | None, limit: int) -> list[Any]:
        start = next((n + 1 for n, item in enumerate(items) if item["id"] == after), 0)
        return items[start : start + limit]

    checkpoint = json.loads(json.dumps(checkpoint))
    return driver.client(Pages(page)).conversations.messages.list(CONVERSATION, checkpoint=checkpoint)


@settings(max_examples=50, deadline=None)
@given(exports=st.lists(st.integers(0, 12), max_size=6), limit=st.sampled_from([1, 2, 5, 10]))
def test_exports_from_checkpoints_yield_every_item_once(exports: list[int], limit: int) -> None:
    """Each export continues from the checkpoint of the previous one, which may have been empty."""
    driver = ClientDriver(is_async=len(exports) % 2 == 1)
    try:
        items: list[Any] = []
        exported: list[str] = []

        def page(after: str | None, limit: int) -> list[Any]:
            start = next((n + 1 for n, item in enumerate(items) if item["id"] == after), 0)
            return items[start : start + limit]

        first = driver.run(list_pages(driver, Pages(page), limit=limit))
        for new in [0, *exports]:
            items += [message(f"message-{len(items) + n}") for n in range(new)]
            for each in driver.items(first.iter_pages()):
                exported += [item.id for item in each.items]
                checkpoint = each.checkpoint()
            first = driver.run(list_from_checkpoint(driver, items, checkpoint))
            if not first.items and len(exported) < len(items):
                continue
        exported += [item.id for each in driver.items(first.iter_pages()) for item in each.items]
        assert exported == [item["id"] for item in items]
    finally:
        driver.close()


# Arguments


@pytest.mark.parametrize("name", ["limit", "after", "before", "order", "include_return_message_types"])
def test_extra_query_with_pagination_parameter_raises_value_error(driver: ClientDriver, name: str) -> None:
    """`extra_query` cannot repeat a pagination parameter."""
    pages = Pages(lambda after, limit: [])
    with pytest.raises(ValueError, match=f"extra_query must not hold '{name}'"):
        driver.run(list_pages(driver, pages, extra_query={name: "1"}))
    assert pages.limits == []


def checkpoints() -> list[Any]:
    """Return checkpoints of three pages."""
    driver = ClientDriver(is_async=False)
    items = [message(f"message-{n}") for n in range(9)]
    pages = Pages(lambda after, limit: items[: limit if after is None else 0])
    found = [
        json.loads(json.dumps(driver.run(list_pages(driver, pages, **more)).checkpoint()))
        for more in ({}, {"limit": 4}, {"limit": 4, "include_return_message_types": ["user_message"]})
    ]
    driver.close()
    return found


CHECKPOINTS: Final = checkpoints()


@settings(max_examples=150, deadline=None)
@given(
    whole=st.sampled_from(CHECKPOINTS),
    place=st.integers(0, 10_000),
    value=JSON | st.sampled_from(["..", "\ud800", "x" * 5000, -1, True, 10**400]),
    drop=st.booleans(),
    is_async=st.booleans(),
)
def test_checkpoint_with_changed_value_is_rejected_by_name_or_accepted(
    whole: Any, place: int, value: Any, drop: bool, is_async: bool
) -> None:
    """A checkpoint with a value replaced or dropped is rejected by name, or can be used."""
    checkpoint = copy.deepcopy(whole)
    paths = list(places(checkpoint))
    path = paths[place % len(paths)]
    if drop:
        del at(checkpoint, path[:-1])[path[-1]]
    else:
        at(checkpoint, path[:-1])[path[-1]] = value
    driver = ClientDriver(is_async=is_async)
    pages = Pages(lambda after, limit: [message(f"message-{n}") for n in range(9)][:limit])
    try:
        page = driver.run(driver.client(pages).conversations.messages.list(CONVERSATION, checkpoint=checkpoint))
        driver.items(page)
    except ListChangedError:
        pass  # the cursors belong to other items
    except (TypeError, ValueError) as fault:
        assert "checkpoint" in str(fault)  # noqa: PT017  # some values look valid
        assert pages.limits == []
    finally:
        driver.close()


@pytest.mark.parametrize("seed", range(40))
def test_list_with_mutated_checkpoint_raises_no_other_error(seed: int) -> None:
    """Mutated checkpoints raise the same errors."""
    mutator = Mutator(random.Random(seed))
    driver = ClientDriver(is_async=seed % 2 == 1)
    pages = Pages(lambda after, limit: [message(f"message-{n}") for n in range(9)][:limit])
    try:
        for whole in CHECKPOINTS:
            checkpoint = mutator.value(whole)
            try:
                driver.items(driver.client(pages).conversations.messages.list(CONVERSATION, checkpoint=checkpoint))
            except ListChangedError:
                continue
            except (TypeError, ValueError) as fault:
                assert "checkpoint" in str(fault)  # noqa: PT017  # some values look valid
    finally:
        driver.close()

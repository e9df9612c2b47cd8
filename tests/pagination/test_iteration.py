"""Iteration over lists of every kind of server: no item is lost or repeated, and the server's order is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from attrs import evolve, field, frozen
from hypothesis import assume, given
from hypothesis import strategies as st

from letta_api.models import UserMessage
from letta_api.operations import Pagination
from letta_ext._pagination.iterator import ListIterator
from letta_ext._sync.pagination import SyncArrayPage, first_page
from letta_ext.errors import ListChangedError
from letta_ext.types import UnknownMessage
from tests.pagination.servers import MESSAGES, STEPS, Item, Record, Server

LIMITS = [1, 2, 3, 5, 50, None]


def records(positions: Sequence[int], item_counts: Sequence[int] | None = None) -> tuple[Record, ...]:
    """Return records at these positions, with the given numbers of items. Each has one item by default."""
    kinds = ["user_message", "reasoning_message", "assistant_message"]
    counts = item_counts or [1] * len(positions)
    return tuple(
        Record(f"m{n}", at, tuple(Item(f"m{n}", kinds[(n + k) % 3], f"{n}.{k}", at) for k in range(count)))
        for n, (at, count) in enumerate(zip(positions, counts, strict=True))
    )


def open_page(
    server: Server, facts: Any = MESSAGES, *, reversible: bool = False, **arguments: Any
) -> SyncArrayPage[Any]:
    """Return the first page of a list, without the arguments that are None."""
    passed = {name: value for name, value in arguments.items() if value is not None}
    return first_page(ListIterator(facts, passed, reversible=reversible), server)


@st.composite
def compacted_records(draw: st.DrawFn) -> tuple[Record, ...]:
    """Draw records as compactions leave them: positions start again after each one, so that many are shared."""
    rows = draw(st.lists(st.integers(0, 25), min_size=1, max_size=4))
    positions = [at for length in rows for at in range(length)]
    counts = draw(st.lists(st.integers(1, 3), min_size=len(positions), max_size=len(positions)))
    return records(positions, counts)


@given(
    stored=compacted_records(),
    limit=st.sampled_from(LIMITS),
    order=st.sampled_from(["asc", "desc"]),
    order_relative=st.booleans(),
    kinds=st.none() | st.lists(st.sampled_from(["user_message", "assistant_message"]), min_size=1, max_size=2),
)
def test_list_on_any_server_yields_every_item_once(
    stored: tuple[Record, ...], limit: int | None, order: str, order_relative: bool, kinds: list[str] | None
) -> None:
    """Shared positions, limits, both cursor meanings and filters neither lose nor repeat an item."""
    server = Server(stored, order_relative=order_relative)
    got = list(open_page(server, order=order, limit=limit, include_return_message_types=kinds))
    whole = [item for item in server.all_items(order) if kinds is None or item.message_type in kinds]
    assert sorted(got, key=repr) == sorted(whole, key=repr)
    positions = [row.position for row in stored]
    if len(set(positions)) == len(positions):
        assert got == whole, "distinct positions define an order, which is kept"


@given(
    stored=compacted_records(),
    limit=st.sampled_from(LIMITS),
    order=st.sampled_from(["asc", "desc"]),
    order_relative=st.booleans(),
    max_page=st.integers(2, 12),
)
def test_capped_pages_yield_every_item_or_raise(
    stored: tuple[Record, ...], limit: int | None, order: str, order_relative: bool, max_page: int
) -> None:
    """A server that sends fewer records than the limit never loses one silently."""
    # With a single position and a list at the cap, the server sends the same page for every request.
    assume(len({row.position for row in stored}) > 1 or len(stored) <= max_page)
    server = Server(stored, order_relative=order_relative, max_page=max_page)
    got: list[Any] = []
    try:
        got.extend(open_page(server, order=order, limit=limit))
    except ListChangedError:
        assert len({row.position for row in stored}) < len(stored), "only shared positions may prevent continuation"
        assert len(set(got)) == len(got)
        return
    assert sorted(got, key=repr) == sorted(server.all_items(order), key=repr)


@given(
    count=st.integers(0, 40),
    hidden=st.sets(st.integers(0, 39)),
    limit=st.sampled_from(LIMITS),
    order=st.sampled_from(["asc", "desc"]),
)
def test_hidden_records_do_not_end_the_list(count: int, hidden: set[int], limit: int | None, order: str) -> None:
    """Pages without a visible item are followed by the next page."""
    server = Server(records(range(count), [0 if n in hidden else 1 for n in range(count)]))
    assert list(open_page(server, order=order, limit=limit)) == server.all_items(order)


@given(count=st.integers(0, 30), limit=st.sampled_from(LIMITS), same_second=st.booleans())
def test_ascending_pages_of_a_descending_list_are_reversed(count: int, limit: int | None, same_second: bool) -> None:
    """The direction of a page is detected from its dates, or by one more request if all dates are equal."""
    stored = records(range(count), [1 + n % 2 for n in range(count)])
    if same_second:
        stored = tuple(
            Record(r.id, r.position, tuple(Item(i.id, i.message_type, i.otid) for i in r.items)) for r in stored
        )
    server = Server(stored, ascending_pages=True)
    assert list(open_page(server, order="desc", limit=limit, reversible=True)) == server.all_items("desc")


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", LIMITS)
def test_distinct_positions_cost_at_most_two_extra_requests(order: str, limit: int | None) -> None:
    """The overlap of pages adds no request per page."""
    server = Server(records(range(40)))
    assert len(list(open_page(server, order=order, limit=limit))) == 40
    least = -(-40 // (limit or 100))
    assert len(server.requests) <= least + 2, server.requests


@frozen
class ShufflingServer(Server):
    """A server that sends records at one position in random order, as a database does without a sort key."""

    random: Random = field(factory=Random)

    def __call__(self, arguments: Any) -> list[Any]:
        shuffled = self.random.sample(self.stored, len(self.stored))
        return Server(tuple(shuffled), self.order_relative, requests=self.requests)(arguments)


@given(
    stored=compacted_records(),
    limit=st.sampled_from(LIMITS),
    order=st.sampled_from(["asc", "desc"]),
    order_relative=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_shuffled_shared_positions_yield_every_item_once(
    stored: tuple[Record, ...], limit: int | None, order: str, order_relative: bool, seed: int
) -> None:
    """Records at one position that arrive in random order are neither lost nor repeated."""
    server = ShufflingServer(stored, order_relative=order_relative, random=Random(seed))
    got = list(open_page(server, order=order, limit=limit))
    assert sorted(got, key=repr) == sorted(server.all_items(order), key=repr)


@frozen
class RestartingServer(Server):
    """A server that ignores cursors and restarts the list for every request."""

    max_limit: int = 10_000

    def __call__(self, arguments: Any) -> list[Any]:
        other = {name: value for name, value in arguments.items() if name not in ("after", "before")}
        return Server.__call__(self, {**other, "limit": min(other.get("limit") or 100, self.max_limit)})


@pytest.mark.parametrize("facts", [STEPS, MESSAGES])
def test_restarting_server_yields_every_item_and_raises(facts: Pagination) -> None:
    """A server that ignores cursors cannot prove the end of the list, so that the iteration ends with an error."""
    server = RestartingServer(records(range(300)))
    got: list[Any] = []
    with pytest.raises(ListChangedError):
        got.extend(open_page(server, facts, order="asc", limit=5))
    assert got == server.all_items("asc")


@pytest.mark.parametrize("facts", [STEPS, MESSAGES])
def test_restarting_server_with_capped_pages_raises(facts: Pagination) -> None:
    """A server that ignores cursors and caps its pages raises `ListChangedError`."""
    page = open_page(RestartingServer(records(range(300)), max_limit=20), facts, order="asc", limit=5)
    with pytest.raises(ListChangedError, match="List it from the start"):
        list(page)


def test_page_iterated_twice_yields_the_same_items() -> None:
    """A page can be iterated more than once."""
    server = Server(records(range(20)))
    page = open_page(server, order="asc", limit=3)
    assert list(page) == list(page) == server.all_items("asc")


def test_last_page_is_followed_by_an_empty_page() -> None:
    """The empty page reports that it has no next page."""
    server = Server(records(range(4)))
    page = open_page(server, order="asc", limit=3)
    assert page.has_next_page()
    assert page.next_page_info() == {"after": "m2"}
    second = page.get_next_page()
    assert [item.id for item in second.items] == ["m3"]
    third = second.get_next_page()
    assert third.items == []
    assert not third.has_next_page()
    assert third.next_page_info() is None


def test_empty_filter_keeps_every_item() -> None:
    """An empty list of message types does not filter."""
    server = Server(records(range(6)))
    assert list(open_page(server, order="asc", limit=2, include_return_message_types=[])) == server.all_items("asc")


@frozen
class GrowingServer(Server):
    """A server that stores one more record before each response but the first."""

    added: list[Record] = field(factory=list[Record])

    def __call__(self, arguments: Any) -> list[Any]:
        stored = (*self.stored, *self.added[: len(self.requests)])
        self.requests.append(dict(arguments))
        return Server(stored, order_relative=self.order_relative)(arguments)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 50])
@pytest.mark.parametrize(("facts", "order_relative"), [(MESSAGES, False), (MESSAGES, True), (STEPS, True)])
def test_records_added_during_iteration_are_listed_in_ascending_order(
    facts: Pagination, order_relative: bool, limit: int
) -> None:
    """A descending list has the records of its start; an ascending one also those added before its end."""
    rows = records(range(60))
    newest_first = GrowingServer(rows[:20], order_relative=order_relative, added=list(rows[20:]))
    stored, found = Server(rows[:20]).all_items("desc"), list(open_page(newest_first, facts, order="desc", limit=limit))
    if limit == 1:
        # An overlap needs two records: after a page of one, the list is requested again, with one more record.
        assert found.pop(1).id == "m20"
    assert found == stored
    oldest_first = GrowingServer(rows[:20], order_relative=order_relative, added=list(rows[20:]))
    found = list(open_page(oldest_first, facts, order="asc", limit=limit))
    assert found == Server(rows).all_items("asc")[: len(found)]
    assert len(found) > 20


def test_items_without_identifying_fields_are_distinguished_by_content() -> None:
    """Items without an otid or an id are each yielded once, also if they are equal."""
    rows = (
        Record("m0", 0, (Item("m0", "assistant_message", None, 1), Item("m0", "assistant_message", None, 2))),
        Record("m1", 1, (Item("m1", "assistant_message", None, 3),)),
    )
    assert list(open_page(Server(rows), order="asc", limit=1)) == Server(rows).all_items("asc")
    raw: list[Any] = [{"no": "id"}, {"no": "id"}, {"other": "value"}, 7, None, {"id": "m", "message_type": "new"}]
    unknown = [UnknownMessage(each, "unknown type") for each in raw]
    assert list(open_page(Server(()), order="asc")) == []
    assert list(first_page(ListIterator(MESSAGES, {}), lambda _: unknown)) == unknown


@pytest.mark.parametrize("unknown", [[0], [3], [0, 3], [0, 1, 2, 3]])
@pytest.mark.parametrize("date", ["2026-11-23T07:47:2{}+00:00", "2026-11-23T07:47:2{}", "soon", 5, None])
def test_unknown_messages_do_not_affect_other_items(unknown: list[int], date: Any) -> None:
    """Unknown messages keep their place, also at the ends of a page whose direction has to be detected."""
    known = [
        UserMessage(id=f"m{n}", content="hi", date=datetime(2026, 11, 23, 7, 47, 20 + n, tzinfo=UTC)) for n in range(4)
    ]
    page: list[Any] = [*known]
    for n in unknown:
        raw = {"id": f"m{n}", "message_type": "new", "date": date.format(n) if isinstance(date, str) else date}
        page[n] = UnknownMessage(raw, "unknown type")

    def fetch(arguments: Any) -> list[Any]:
        if "before" in arguments or "after" in arguments:
            at = [each.id for each in known].index(arguments.get("before") or arguments.get("after"))
            return page[:at] if "before" in arguments else page[at + 1 :]
        return page[-arguments.get("limit", 4) :]

    found = list(first_page(ListIterator(MESSAGES, {"order": "desc"}, reversible=True), fetch))
    assert found == page[::-1]


def test_item_changed_during_iteration_is_yielded_once() -> None:
    """The identity of an item does not depend on fields that change."""
    server = Server(records(range(6)))

    def fetch(arguments: Any) -> list[Any]:
        found = server(arguments)
        return [evolve(item, otid=None, date=len(server.requests)) for item in found]

    assert [item.id for item in first_page(ListIterator(MESSAGES, {"order": "asc", "limit": 2}), fetch)] == [
        f"m{n}" for n in range(6)
    ]


def test_limit_zero_yields_no_item() -> None:
    """A limit of zero costs one request and ends the list."""
    server = Server(records(range(6)), default_limit=0)
    page = open_page(server, limit=0)
    assert (page.items, page.has_next_page(), list(page)) == ([], False, [])
    assert len(server.requests) == 1

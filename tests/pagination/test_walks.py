"""Walks over servers of every kind: nothing is lost, nothing comes twice, and the order is the server's own."""

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
from letta_ext._pagination.iterator import Walk
from letta_ext._sync.pagination import SyncArrayPage, first_page
from letta_ext.errors import ListChangedError
from letta_ext.types import UnknownMessage
from tests.pagination.servers import MESSAGES, STEPS, Item, Server, Stored

LIMITS = [1, 2, 3, 5, 50, None]


def things(positions: Sequence[int], parts: Sequence[int] | None = None) -> tuple[Stored, ...]:
    """Stored things at these positions, each showing as so many parts."""
    kinds = ["user_message", "reasoning_message", "assistant_message"]
    counts = parts or [1] * len(positions)
    return tuple(
        Stored(f"m{n}", at, tuple(Item(f"m{n}", kinds[(n + k) % 3], f"{n}.{k}", at) for k in range(count)))
        for n, (at, count) in enumerate(zip(positions, counts, strict=True))
    )


def start(server: Server, facts: Any = MESSAGES, *, reversible: bool = False, **arguments: Any) -> SyncArrayPage[Any]:
    given_ = {name: value for name, value in arguments.items() if value is not None}
    return first_page(Walk(facts, given_, reversible=reversible), server)


@st.composite
def compacted(draw: st.DrawFn) -> tuple[Stored, ...]:
    """Positions as compactions leave them: several rows of numbers that begin anew, so that many are shared."""
    rows = draw(st.lists(st.integers(0, 25), min_size=1, max_size=4))
    positions = [at for length in rows for at in range(length)]
    parts = draw(st.lists(st.integers(1, 3), min_size=len(positions), max_size=len(positions)))
    return things(positions, parts)


@given(
    stored=compacted(),
    limit=st.sampled_from(LIMITS),
    order=st.sampled_from(["asc", "desc"]),
    order_relative=st.booleans(),
    kinds=st.none() | st.lists(st.sampled_from(["user_message", "assistant_message"]), min_size=1, max_size=2),
)
def test_a_walk_yields_everything_once_whatever_the_server_is_like(
    stored: tuple[Stored, ...], limit: int | None, order: str, order_relative: bool, kinds: list[str] | None
) -> None:
    server = Server(stored, order_relative=order_relative)
    got = list(start(server, order=order, limit=limit, include_return_message_types=kinds))
    whole = [item for item in server.everything(order) if kinds is None or item.message_type in kinds]
    assert sorted(got, key=repr) == sorted(whole, key=repr)
    positions = [row.position for row in stored]
    if len(set(positions)) == len(positions):
        assert got == whole, "a server that keeps an order is followed in it"


@given(
    stored=compacted(),
    limit=st.sampled_from(LIMITS),
    order=st.sampled_from(["asc", "desc"]),
    order_relative=st.booleans(),
    most=st.integers(2, 12),
)
def test_a_server_that_caps_its_pages_loses_nothing_silently(
    stored: tuple[Stored, ...], limit: int | None, order: str, order_relative: bool, most: int
) -> None:
    # A list that has one position only, and ends at the cap, answers every request in the same way.
    assume(len({row.position for row in stored}) > 1 or len(stored) <= most)
    server = Server(stored, order_relative=order_relative, most=most)
    got: list[Any] = []
    try:
        got.extend(start(server, order=order, limit=limit))
    except ListChangedError:
        assert len({row.position for row in stored}) < len(stored), "only shared positions keep it from going on"
        assert len(set(got)) == len(got)
        return
    assert sorted(got, key=repr) == sorted(server.everything(order), key=repr)


@given(
    count=st.integers(0, 40),
    hidden=st.sets(st.integers(0, 39)),
    limit=st.sampled_from(LIMITS),
    order=st.sampled_from(["asc", "desc"]),
)
def test_hidden_things_end_no_walk(count: int, hidden: set[int], limit: int | None, order: str) -> None:
    server = Server(things(range(count), [0 if n in hidden else 1 for n in range(count)]))
    assert list(start(server, order=order, limit=limit)) == server.everything(order)


@given(count=st.integers(0, 30), limit=st.sampled_from(LIMITS), same_second=st.booleans())
def test_pages_that_arrive_the_wrong_way_round_are_turned(count: int, limit: int | None, same_second: bool) -> None:
    stored = things(range(count), [1 + n % 2 for n in range(count)])
    if same_second:
        stored = tuple(
            Stored(s.id, s.position, tuple(Item(i.id, i.message_type, i.otid) for i in s.parts)) for s in stored
        )
    server = Server(stored, ascending_pages=True)
    assert list(start(server, order="desc", limit=limit, reversible=True)) == server.everything("desc")


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", LIMITS)
def test_where_no_position_is_shared_a_walk_costs_few_requests_more_than_it_must(order: str, limit: int | None) -> None:
    server = Server(things(range(40)))
    assert len(list(start(server, order=order, limit=limit))) == 40
    least = -(-40 // (limit or 100))
    assert len(server.requests) <= least + 2, server.requests


def test_a_list_of_steps_remembers_only_its_last_things() -> None:
    server = Server(things(range(3000)), order_relative=True)
    page = start(server, STEPS, order="desc", limit=10)
    walk = page._walk  # the one way to see how much it remembers
    assert len(list(page)) == 3000
    assert len(walk.memory._seen) < 300


@frozen
class Restless(Server):
    """A server that hands out things of one position in another order each time, as a database does without a key."""

    chance: Random = field(factory=Random)

    def __call__(self, arguments: Any) -> list[Any]:
        turned = self.chance.sample(self.stored, len(self.stored))
        return Server(tuple(turned), self.order_relative, requests=self.requests)(arguments)


@given(
    stored=compacted(),
    limit=st.sampled_from(LIMITS),
    order=st.sampled_from(["asc", "desc"]),
    order_relative=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_things_of_one_position_in_another_order_each_time(
    stored: tuple[Stored, ...], limit: int | None, order: str, order_relative: bool, seed: int
) -> None:
    server = Restless(stored, order_relative=order_relative, chance=Random(seed))
    got = list(start(server, order=order, limit=limit))
    assert sorted(got, key=repr) == sorted(server.everything(order), key=repr)


@frozen
class Forgetful(Server):
    """A server that knows no cursor, and begins the list again each time."""

    longest: int = 10_000

    def __call__(self, arguments: Any) -> list[Any]:
        known = {name: value for name, value in arguments.items() if name not in ("after", "before")}
        return Server.__call__(self, {**known, "limit": min(known.get("limit") or 100, self.longest)})


@pytest.mark.parametrize("facts", [STEPS, MESSAGES])
def test_a_server_that_begins_again_is_no_silent_stop(facts: Pagination) -> None:
    server = Forgetful(things(range(300)))
    got: list[Any] = []
    with pytest.raises(ListChangedError):  # all of it was there, but such a server cannot show that it was all
        got.extend(start(server, facts, order="asc", limit=5))
    assert got == server.everything("asc")[: len(got)]


@pytest.mark.parametrize("facts", [STEPS, MESSAGES])
def test_a_server_that_begins_again_and_sends_no_more_is_an_error(facts: Pagination) -> None:
    page = start(Forgetful(things(range(300)), longest=20), facts, order="asc", limit=5)
    with pytest.raises(ListChangedError, match="List it from the start"):
        list(page)


def test_a_page_can_be_gone_over_twice() -> None:
    server = Server(things(range(20)))
    page = start(server, order="asc", limit=3)
    assert list(page) == list(page) == server.everything("asc")


def test_the_page_behind_the_last_is_empty_and_says_so() -> None:
    server = Server(things(range(4)))
    page = start(server, order="asc", limit=3)
    assert page.has_next_page()
    assert page.next_page_info() == {"after": "m2"}
    second = page.get_next_page()
    assert [item.id for item in second.items] == ["m3"]
    third = second.get_next_page()
    assert third.items == []
    assert not third.has_next_page()
    assert third.next_page_info() is None


def test_a_filter_that_is_empty_filters_nothing() -> None:
    server = Server(things(range(6)))
    assert list(start(server, order="asc", limit=2, include_return_message_types=[])) == server.everything("asc")


@frozen
class Growing(Server):
    """A server on which one more thing is stored before each answer but the first."""

    coming: list[Stored] = field(factory=list[Stored])

    def __call__(self, arguments: Any) -> list[Any]:
        there = Server(self.stored, order_relative=self.order_relative, ascending_pages=self.ascending_pages)
        grown = Server((*self.stored, *self.coming[: len(self.requests)]), order_relative=self.order_relative)
        self.requests.append(dict(arguments))
        return (there if len(self.requests) == 1 else grown)(arguments)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 50])
@pytest.mark.parametrize(("facts", "order_relative"), [(MESSAGES, False), (MESSAGES, True), (STEPS, True)])
def test_things_that_arrive_during_a_walk(facts: Pagination, order_relative: bool, limit: int) -> None:
    rows = things(range(60))
    newest_first = Growing(rows[:20], order_relative=order_relative, coming=list(rows[20:]))
    # They come before where the walk began: it is of what there was then, whole and in order.
    there, found = Server(rows[:20]).everything("desc"), list(start(newest_first, facts, order="desc", limit=limit))
    if limit == 1:
        # Behind one thing alone no cursor leads: the list is begun once more, and has one more thing then.
        assert found.pop(1).id == "m20"
    assert found == there
    oldest_first = Growing(rows[:20], order_relative=order_relative, coming=list(rows[20:]))
    found = list(start(oldest_first, facts, order="asc", limit=limit))
    # They come behind where the walk is, and are walked too, as far as they were there when it got to the end.
    assert found == Server(rows).everything("asc")[: len(found)]
    assert len(found) > 20


def test_things_without_a_name_are_told_apart_by_all_that_they_are() -> None:
    rows = (
        Stored("m0", 0, (Item("m0", "assistant_message", None, 1), Item("m0", "assistant_message", None, 2))),
        Stored("m1", 1, (Item("m1", "assistant_message", None, 3),)),
    )
    assert list(start(Server(rows), order="asc", limit=1)) == Server(rows).everything("asc")
    raw: list[Any] = [{"no": "id"}, {"no": "id"}, {"nor": "this"}, 7, None, {"id": "m", "message_type": "new"}]
    unknown = [UnknownMessage(each, "it is new") for each in raw]
    assert list(start(Server(()), order="asc")) == []
    assert list(first_page(Walk(MESSAGES, {}), lambda _: unknown)) == unknown


@pytest.mark.parametrize("unknown", [[0], [3], [0, 3], [0, 1, 2, 3]])
@pytest.mark.parametrize("date", ["2026-11-23T07:47:2{}+00:00", "2026-11-23T07:47:2{}", "soon", 5, None])
def test_what_cannot_be_decoded_takes_nothing_else_with_it(unknown: list[int], date: Any) -> None:
    """At either end of a page whose order has to be found out, too."""
    known = [
        UserMessage(id=f"m{n}", content="hi", date=datetime(2026, 11, 23, 7, 47, 20 + n, tzinfo=UTC)) for n in range(4)
    ]
    page: list[Any] = [*known]
    for n in unknown:
        raw = {"id": f"m{n}", "message_type": "new", "date": date.format(n) if isinstance(date, str) else date}
        page[n] = UnknownMessage(raw, "it is new")

    def fetch(arguments: Any) -> list[Any]:
        if "before" in arguments or "after" in arguments:
            at = [each.id for each in known].index(arguments.get("before") or arguments.get("after"))
            return page[:at] if "before" in arguments else page[at + 1 :]
        return page[-arguments.get("limit", 4) :]

    found = list(first_page(Walk(MESSAGES, {"order": "desc"}, reversible=True), fetch))
    assert found == page[::-1]


def test_a_thing_that_changes_while_it_is_walked_over_comes_once() -> None:
    server = Server(things(range(6)))

    def fetch(arguments: Any) -> list[Any]:
        found = server(arguments)
        return [evolve(item, otid=None, date=len(server.requests)) for item in found]

    assert [item.id for item in first_page(Walk(MESSAGES, {"order": "asc", "limit": 2}), fetch)] == [
        f"m{n}" for n in range(6)
    ]


def test_a_page_of_nothing_is_the_whole_walk() -> None:
    server = Server(things(range(6)), default_limit=0)
    page = start(server, limit=0)
    assert (page.items, page.has_next_page(), list(page)) == ([], False, [])
    assert len(server.requests) == 1

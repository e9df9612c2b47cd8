"""Lists with `max_items`: a total for all pages, which no request exceeds and from which a checkpoint continues."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from letta_api.operations import Pagination
from letta_ext._pagination.iterator import ListIterator
from letta_ext._sync.pagination import SyncPage, first_page
from letta_ext.errors import ListChangedError
from tests.pagination.servers import MESSAGES, STEPS, Record, Server
from tests.pagination.test_checkpoints import resumed
from tests.pagination.test_iteration import LIMITS, compacted_records, records


def bounded_page(
    server: Server, max_items: int, facts: Pagination = MESSAGES, *, reversible: bool = False, **arguments: Any
) -> SyncPage[Any]:
    """Return the first page of a list with a total, without the arguments that are None."""
    passed = {name: value for name, value in arguments.items() if value is not None}
    iterator = ListIterator(facts, passed, reversible=reversible)
    iterator.remaining = max_items
    return first_page(iterator, server)


@given(
    stored=compacted_records(),
    limit=st.sampled_from(LIMITS),
    order=st.sampled_from(["asc", "desc"]),
    order_relative=st.booleans(),
    kinds=st.none() | st.lists(st.sampled_from(["user_message", "assistant_message"]), min_size=1, max_size=2),
    max_items=st.integers(1, 60),
)
def test_list_with_max_items_yields_that_many_and_its_checkpoint_the_rest(
    stored: tuple[Record, ...],
    limit: int | None,
    order: str,
    order_relative: bool,
    kinds: list[str] | None,
    max_items: int,
) -> None:
    """The list ends after that many items, within a record too, and its last checkpoint yields all others once."""
    server = Server(stored, order_relative=order_relative)
    whole = [item for item in server.all_items(order) if kinds is None or item.message_type in kinds]
    pages = list(
        bounded_page(server, max_items, order=order, limit=limit, include_return_message_types=kinds).iter_pages()
    )
    got = [item for page in pages for item in page.items]
    assert len(got) == min(max_items, len(whole))
    if len({row.position for row in stored}) == len(stored):
        assert got == whole[:max_items], "distinct positions define an order, which is kept"
    if len(got) == max_items:
        assert not pages[-1].has_next_page()
        count = len(server.requests)
        assert pages[-1].get_next_page().items == []
        assert pages[-1].get_next_page().items == [], "by another iterator"
        assert len(server.requests) == count
    if got:
        assert sorted(got + resumed(server, pages[-1]), key=repr) == sorted(whole, key=repr)
    again = [item for page in pages[0].iter_pages() for item in page.items]
    assert sorted(again, key=repr) == sorted(got, key=repr), "iterated again, from the first page"


@given(
    count=st.integers(0, 40),
    limit=st.sampled_from([1, 2, 3, 5, 50, None]),
    max_items=st.integers(1, 60),
    order=st.sampled_from(["asc", "desc"]),
    facts=st.sampled_from([MESSAGES, STEPS]),
)
def test_no_request_of_a_list_with_max_items_asks_for_more_than_needed(
    count: int, limit: int | None, max_items: int, order: str, facts: Pagination
) -> None:
    """A request asks for the missing items and the overlap, until a short page suggests the end of the list."""
    server = Server(records(range(count)), order_relative=facts is STEPS)
    page = bounded_page(server, max_items, facts, order=order, limit=limit)
    assert list(page) == server.all_items(order)[:max_items]
    if max_items <= count:
        sent = 0
        for request in server.requests:
            answered = len(Server(server.stored, order_relative=server.order_relative)(request))
            if not {"after", "before"} & request.keys() and sent:
                continue  # a list of less than two records has no cursor, so it is requested from its start
            assert request["limit"] <= max_items - sent + bool(sent)
            sent += answered - bool(sent)
        assert len(server.requests) <= -(-max_items // min(limit or 100, max_items)) + 1


@given(count=st.integers(1, 30), limit=st.sampled_from(LIMITS), max_items=st.integers(1, 30))
def test_max_items_of_reversed_pages_keeps_the_newest(count: int, limit: int | None, max_items: int) -> None:
    """Newest-first pages that arrive in ascending order are reversed before they are cut."""
    server = Server(records(range(count), [1 + n % 2 for n in range(count)]), ascending_pages=True)
    page = bounded_page(server, max_items, reversible=True, order="desc", limit=limit)
    assert list(page) == server.all_items("desc")[:max_items]


@given(hidden=st.sets(st.integers(0, 19)), limit=st.sampled_from(LIMITS), max_items=st.integers(1, 20))
def test_max_items_counts_visible_items_only(hidden: set[int], limit: int | None, max_items: int) -> None:
    """Stored records without a visible item do not count."""
    server = Server(records(range(20), [0 if n in hidden else 1 for n in range(20)]))
    assert list(bounded_page(server, max_items, order="asc", limit=limit)) == server.all_items("asc")[:max_items]


@given(
    stored=compacted_records(),
    limit=st.sampled_from(LIMITS),
    max_items=st.integers(1, 30),
    max_page=st.integers(2, 12),
)
def test_max_items_on_a_server_that_caps_its_pages_yields_that_many_or_raises(
    stored: tuple[Record, ...], limit: int | None, max_items: int, max_page: int
) -> None:
    """A server that sends fewer records than asked for does not end the list early without an error."""
    server = Server(stored, max_page=max_page)
    got: list[Any] = []
    try:
        got.extend(bounded_page(server, max_items, order="asc", limit=limit))
    except ListChangedError:
        assert len({row.position for row in stored}) < len(stored), "only shared positions may prevent continuation"
        return
    if len({row.position for row in stored}) > 1 or len(stored) <= max_page:
        assert len(got) == min(max_items, len(server.all_items("asc")))

"""Checkpoints: iterations that stop, and continue in another process from a small JSON value."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_ext import Letta, ListChangedError
from letta_ext._pagination.checkpoints import CHECKPOINT_CURSORS
from letta_ext._pagination.iterator import ListIterator
from letta_ext._sync.pagination import SyncPage, first_page
from letta_ext.testing import EmbeddedServer
from tests.pagination.servers import MESSAGES, STEPS, Record, Server
from tests.pagination.test_iteration import compacted_records, open_page, records

RESUME_SCRIPT = """
import json, sys
from letta_ext import Letta

base_url, kind, id = sys.argv[1:]
with Letta(base_url=base_url) as client:
    lists = {"steps": client.steps.list, "messages": client.conversations.messages.list}
    page = lists[kind](*[id] if id else [], checkpoint=json.load(sys.stdin))
    print(json.dumps([item.to_dict() for item in page], default=str))
"""


def json_round_trip(checkpoint: Any) -> Any:
    """Return a checkpoint after storage by a program whose only numbers are floats, such as JavaScript."""
    return json.loads(json.dumps(checkpoint), parse_int=lambda digits: int(float(digits)))


def resumed(server: Server, page: SyncPage[Any], facts: Any = MESSAGES) -> list[Any]:
    """Return the items after the checkpoint of a page."""
    return list(first_page(ListIterator.resumed(facts, json_round_trip(page.checkpoint())), server))


@given(
    stored=compacted_records(),
    limit=st.sampled_from([1, 2, 3, 5]),
    order=st.sampled_from(["asc", "desc"]),
    pages=st.integers(1, 30),
)
def test_checkpoint_after_any_page_yields_the_remaining_items(
    stored: tuple[Record, ...], limit: int, order: str, pages: int
) -> None:
    """No item is lost or repeated, also with shared positions and after the last page."""
    server = Server(stored)
    page = open_page(server, order=order, limit=limit)
    seen = [*page.items]
    for _ in range(pages - 1):
        page = page.get_next_page()
        seen += page.items
    rest = resumed(server, page)
    assert sorted(seen + rest, key=repr) == sorted(server.all_items(order), key=repr)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("order_relative", [False, True])
@pytest.mark.parametrize("facts", [MESSAGES, STEPS])
def test_checkpoint_with_distinct_positions_continues_in_order(order: str, order_relative: bool, facts: Any) -> None:
    """A checkpoint in a list with distinct positions yields the remaining items, in order."""
    server = Server(records(range(30)), order_relative=order_relative)
    page = open_page(server, facts, order=order, limit=4).get_next_page().get_next_page()
    assert resumed(server, page, facts) == server.all_items(order)[12:]


def test_checkpoint_of_an_earlier_page_continues_after_that_page() -> None:
    """A page keeps its position when the iteration has moved on."""
    server = Server(records(range(30)))
    first = open_page(server, order="asc", limit=4)
    list(first)
    assert resumed(server, first) == server.all_items("asc")[4:]


def test_checkpoint_of_a_long_list_is_below_5_kilobytes() -> None:
    """The size of a checkpoint does not grow with the list."""
    page = open_page(Server(records(range(5000))), order="asc", limit=1000)
    checkpoint = page.get_next_page().checkpoint()
    assert len(checkpoint["cursors"]) == CHECKPOINT_CURSORS
    assert len(json.dumps(checkpoint)) < 5000


def test_records_added_after_a_checkpoint_are_listed() -> None:
    """A continued ascending list has the records that were added in the meantime."""
    rows = records(range(20))
    page = open_page(Server(rows[:10]), order="asc", limit=4)
    assert [item.id for item in resumed(Server(rows), page)] == [f"m{n}" for n in range(4, 20)]


def test_checkpoint_at_a_deleted_record_raises() -> None:
    """A checkpoint whose records were deleted raises `ListChangedError`."""
    rows = records(range(20))
    page = open_page(Server(rows), order="asc", limit=4)
    with pytest.raises(ListChangedError, match="List it from the start"):
        resumed(Server(rows[4:]), page)


@pytest.mark.parametrize(
    ("checkpoint", "kind"),
    [
        (None, TypeError),
        ("m1", TypeError),
        ([], TypeError),
        ({}, ValueError),
        ({"cursor": "m1"}, ValueError),
        ({"version": 2}, ValueError),
        ({"version": 1}, ValueError),
        ({"version": 1, "arguments": []}, ValueError),
        *[
            ({"version": 1, "arguments": {}, "cursors": ["m1"], "seen": ["a"], "leading": "after", **wrong}, ValueError)
            for wrong in (
                {"cursors": 7},
                {"seen": [1.5]},
                {"seen": ["not hexadecimal"]},
                {"leading": "sideways"},
                {"arguments": None},
                {},
            )
        ],
    ],
)
def test_invalid_checkpoint_is_rejected(checkpoint: Any, kind: type[Exception]) -> None:
    """A value that is not a checkpoint raises an error that names the argument."""
    with pytest.raises(kind, match=r"^checkpoint "):
        ListIterator.resumed(MESSAGES, checkpoint)


def send_messages(server: EmbeddedServer, client: Letta) -> None:
    """Send six messages to the conversation."""
    for n in range(6):
        client.conversations.messages.create(server.conversation_id, input=f"REASON {n}", streaming=False)


def resumed_in_another_process(server: EmbeddedServer, kind: str, id: str, checkpoint: Any) -> list[Any]:
    """Return the items after a checkpoint, listed by another process."""
    done = subprocess.run(
        [sys.executable, "-c", RESUME_SCRIPT, server.base_url, kind, id],
        input=json.dumps(checkpoint),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_checkpoint_in_another_process_yields_the_remaining_items(order: Any) -> None:
    """Another process continues a list of steps and a list of messages."""
    with EmbeddedServer() as server, Letta(base_url=server.base_url) as client:
        send_messages(server, client)
        steps = client.steps.list(order=order, limit=2, agent_id=server.agent_id)
        messages = client.conversations.messages.list(server.conversation_id, order=order, limit=2)
        lists: list[tuple[str, str, SyncPage[Any]]] = [
            ("steps", "", steps),
            ("messages", server.conversation_id, messages),
        ]
        for kind, id, page in lists:
            here = json.loads(json.dumps([item.to_dict() for item in page], default=str))
            there = resumed_in_another_process(server, kind, id, page.get_next_page().checkpoint())
            done = len(page.items) + len(page.get_next_page().items)
            assert there == here[done:] != [], kind


def test_checkpoint_of_a_filtered_list_accepts_options_only() -> None:
    """A checkpoint holds the filter. Request options may be passed with it, arguments of the list may not."""
    with EmbeddedServer() as server, Letta(base_url=server.base_url) as client:
        send_messages(server, client)
        wanted: Any = ["assistant_message"]
        list_ = client.conversations.messages.list
        page = list_(server.conversation_id, order="asc", limit=2, include_return_message_types=wanted)
        whole = [item.to_dict()["id"] for item in page]
        assert len(whole) == 6
        rest = list_(server.conversation_id, checkpoint=json_round_trip(page.checkpoint()), timeout=30, prefetch=True)
        assert [item.to_dict()["id"] for item in rest] == whole[len(page.items) :]
        with pytest.raises(TypeError, match="limit must not be passed with checkpoint"):
            list_(server.conversation_id, checkpoint=page.checkpoint(), limit=3)
        with pytest.raises(TypeError, match="prefetch must be True or False, got 1"):
            list_(server.conversation_id, prefetch=1)  # type: ignore[arg-type]  # the wrong type is the subject


def test_checkpoint_of_another_list_is_rejected() -> None:
    """A checkpoint of another conversation or operation is rejected before a request is sent."""
    with EmbeddedServer() as server, Letta(base_url=server.base_url) as client:
        send_messages(server, client)
        checkpoint = client.conversations.messages.list(server.conversation_id, order="asc", limit=2).checkpoint()
        other = client.post("/v1/conversations/", query={"agent_id": server.agent_id}, body={})["id"]
        client.conversations.messages.create(other, input="hi", streaming=False)
        before = len(server.requests)
        with pytest.raises(ValueError, match="checkpoint must be of the list"):
            client.conversations.messages.list(other, checkpoint=checkpoint)
        with pytest.raises(ValueError, match="checkpoint must be of the list"):
            client.steps.list(checkpoint=checkpoint)
        assert len(server.requests) == before

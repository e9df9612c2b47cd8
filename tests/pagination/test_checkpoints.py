"""Checkpoints: a walk that is stopped, and goes on elsewhere from a small JSON value."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_ext import Letta, ListChangedError
from letta_ext._pagination.iterator import KEPT, Walk
from letta_ext._sync.pagination import SyncPage, first_page
from letta_ext.testing import EmbeddedServer
from tests.pagination.servers import MESSAGES, STEPS, Server, Stored
from tests.pagination.test_walks import compacted, start, things

GO_ON = """
import json, sys
from letta_ext import Letta

base_url, kind, id = sys.argv[1:]
with Letta(base_url=base_url) as client:
    lists = {"steps": client.steps.list, "messages": client.conversations.messages.list}
    page = lists[kind](*[id] if id else [], checkpoint=json.load(sys.stdin))
    print(json.dumps([item.to_dict() for item in page], default=str))
"""


def stored(checkpoint: Any) -> Any:
    """As it comes back from a program that has but one kind of number, as JavaScript has."""
    return json.loads(json.dumps(checkpoint), parse_int=lambda digits: int(float(digits)))


def resumed(server: Server, page: SyncPage[Any], facts: Any = MESSAGES) -> list[Any]:
    return list(first_page(Walk.resumed(facts, stored(page.checkpoint())), server))


@given(
    stored_=compacted(),
    limit=st.sampled_from([1, 2, 3, 5]),
    order=st.sampled_from(["asc", "desc"]),
    pages=st.integers(1, 6),
)
def test_a_checkpoint_loses_and_repeats_nothing_or_says_that_it_cannot(
    stored_: tuple[Stored, ...], limit: int, order: str, pages: int
) -> None:
    server = Server(stored_)
    page = start(server, order=order, limit=limit)
    seen = [*page.items]
    for _ in range(pages - 1):
        page = page.get_next_page()
        seen += page.items
    try:
        rest = resumed(server, page)
    except ListChangedError:
        return
    if page.items:
        assert sorted(seen + rest, key=repr) == sorted(server.everything(order), key=repr)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("order_relative", [False, True])
@pytest.mark.parametrize("facts", [MESSAGES, STEPS])
def test_a_checkpoint_of_a_list_in_order_always_goes_on(order: str, order_relative: bool, facts: Any) -> None:
    server = Server(things(range(30)), order_relative=order_relative)
    page = start(server, facts, order=order, limit=4).get_next_page().get_next_page()
    assert resumed(server, page, facts) == server.everything(order)[12:]


def test_a_page_can_still_say_where_it_stood_when_the_walk_has_gone_on() -> None:
    server = Server(things(range(30)))
    first = start(server, order="asc", limit=4)
    list(first)
    assert resumed(server, first) == server.everything("asc")[4:]


def test_a_checkpoint_is_small() -> None:
    page = start(Server(things(range(5000))), order="asc", limit=1000)
    checkpoint = page.get_next_page().checkpoint()
    assert len(checkpoint["cursors"]) == KEPT
    assert len(json.dumps(checkpoint)) < 5000


def test_things_that_arrived_meanwhile_are_walked_too() -> None:
    rows = things(range(20))
    page = start(Server(rows[:10]), order="asc", limit=4)
    assert [item.id for item in resumed(Server(rows), page)] == [f"m{n}" for n in range(4, 20)]


def test_a_thing_that_is_gone_is_no_silent_loss() -> None:
    rows = things(range(20))
    page = start(Server(rows), order="asc", limit=4)
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
def test_what_is_no_checkpoint_is_refused(checkpoint: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^checkpoint "):
        Walk.resumed(MESSAGES, checkpoint)


# On a server, and in another process.


def talk(server: EmbeddedServer, client: Letta) -> None:
    for n in range(6):
        client.conversations.messages.create(server.conversation_id, input=f"REASON {n}", streaming=False)


def elsewhere(server: EmbeddedServer, kind: str, id: str, checkpoint: Any) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-c", GO_ON, server.base_url, kind, id],
        input=json.dumps(checkpoint),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_another_process_goes_on_where_this_one_stopped(order: Any) -> None:
    with EmbeddedServer() as server, Letta(base_url=server.base_url) as client:
        talk(server, client)
        steps = client.steps.list(order=order, limit=2, agent_id=server.agent_id)
        messages = client.conversations.messages.list(server.conversation_id, order=order, limit=2)
        lists: list[tuple[str, str, SyncPage[Any]]] = [
            ("steps", "", steps),
            ("messages", server.conversation_id, messages),
        ]
        for kind, id, page in lists:
            here = json.loads(json.dumps([item.to_dict() for item in page], default=str))
            there = elsewhere(server, kind, id, page.get_next_page().checkpoint())
            done = len(page.items) + len(page.get_next_page().items)
            assert there == here[done:] != [], kind


def test_with_a_filter_and_options() -> None:
    with EmbeddedServer() as server, Letta(base_url=server.base_url) as client:
        talk(server, client)
        wanted: Any = ["assistant_message"]
        list_ = client.conversations.messages.list
        page = list_(server.conversation_id, order="asc", limit=2, include_return_message_types=wanted)
        whole = [item.to_dict()["id"] for item in page]
        assert len(whole) == 6
        rest = list_(server.conversation_id, checkpoint=stored(page.checkpoint()), timeout=30, prefetch=True)
        assert [item.to_dict()["id"] for item in rest] == whole[len(page.items) :]
        with pytest.raises(TypeError, match="checkpoint holds the arguments of its list; 'limit' cannot be given"):
            list_(server.conversation_id, checkpoint=page.checkpoint(), limit=3)
        with pytest.raises(TypeError, match="prefetch must be True or False, not 1"):
            list_(server.conversation_id, prefetch=1)  # type: ignore[arg-type]  # what is refused


def test_a_checkpoint_of_another_conversation_or_list_is_no_silent_loss() -> None:
    with EmbeddedServer() as server, Letta(base_url=server.base_url) as client:
        talk(server, client)
        checkpoint = client.conversations.messages.list(server.conversation_id, order="asc", limit=2).checkpoint()
        other = client.post("/v1/conversations/", query={"agent_id": server.agent_id}, body={})["id"]
        client.conversations.messages.create(other, input="hi", streaming=False)
        before = len(server.requests)
        with pytest.raises(ValueError, match="checkpoint is of another list"):
            client.conversations.messages.list(other, checkpoint=checkpoint)
        with pytest.raises(ValueError, match="checkpoint is of another list"):
            client.steps.list(checkpoint=checkpoint)
        assert len(server.requests) == before

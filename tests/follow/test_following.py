"""Following a conversation: whole messages, each once, whoever wrote them and whatever happens meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from letta_ext import APIConnectionError, NotFoundError
from letta_ext.errors import ListChangedError
from letta_ext.testing import EmbeddedServer, State, TickingClock, build

from ..client.helpers import CONVERSATION
from ..integration.proxy import LOST, Fault, proxied
from ..tools.turns import ClientDriver
from .simulation import FollowSimulation, StopAfter, begin, compact, identity, nothing, text_of, write, write_at_once


@pytest.fixture
def world(server: EmbeddedServer, side: ClientDriver) -> Iterator[FollowSimulation]:
    made = FollowSimulation(server, side)
    yield made
    made.close()


@pytest.fixture(params=[False, True], ids=["conversation", "agent"])
def either(request: pytest.FixtureRequest, server: EmbeddedServer, side: ClientDriver) -> Iterator[FollowSimulation]:
    """In a conversation, or in an agent's own."""
    made = FollowSimulation(server, side, direct=request.param)
    yield made
    made.close()


def check(world: FollowSimulation, found: list[Any], before: set[Any] = frozenset()) -> None:  # type: ignore[assignment]  # a frozen set does for none
    """That everything was found that was not there before, once, and in the order of time."""
    identities = list(map(identity, found))
    assert len(identities) == len(set(identities))
    assert set(identities) == world.said() - before
    dates = [message.date for message in found]
    assert dates == sorted(dates)


def test_from_the_start_and_on(either: FollowSimulation) -> None:
    write("first")(either)
    either.plan = [write("second"), nothing, write("third")]
    found = either.side.items(either.follow(from_start=True))
    check(either, found)
    texts = [text_of(message) for message in found if message.message_type == "user_message"]
    assert texts == ["first", "second", "third"]


def test_only_what_is_new(either: FollowSimulation) -> None:
    write("old")(either)
    before = either.said()
    either.plan = [nothing, write("new"), write_at_once]
    found = either.side.items(either.follow())
    check(either, found, before)
    assert text_of(found[0]) == "new"


def test_a_conversation_that_is_empty_at_first(either: FollowSimulation) -> None:
    before = either.said()
    either.plan = [write("hello")]
    check(either, either.side.items(either.follow()), before)


@pytest.mark.parametrize("compacted", [False, True])
def test_behind_a_message(either: FollowSimulation, *, compacted: bool) -> None:
    for text in ("a", "b", "c"):
        write(text)(either)
    stored = either.everything()
    if compacted:
        compact("all")(either)
    for at, message in enumerate(stored):
        if at + 1 < len(stored) and stored[at + 1].id == message.id:
            continue
        found = either.side.items(either.follow(after=message.id))
        behind = [m for m in found if identity(m) in set(map(identity, stored))]
        assert list(map(identity, behind)) == list(map(identity, stored[at + 1 :]))
        assert len(found) == len(behind) + compacted  # the summary


def test_until(world: FollowSimulation) -> None:
    world.plan = [write("a"), write("stop"), write("never")]
    found = world.side.items(world.follow(until=lambda message: text_of(message) == "stop"))
    assert text_of(found[-1]) == "stop"
    assert len(world.plan) == 1


def test_leaving_and_going_on(either: FollowSimulation) -> None:
    """Each loop takes one message; a new loop over the same follower goes on."""
    either.plan = [write("CALL get_time get_weather"), write("REASON LONG 2"), compact("all"), write("last")]
    before = either.said()
    follow = either.follow()
    found: list[Any] = []
    while True:
        some, fault = either.side.drain(follow, lambda _: True)
        assert fault is None
        if not some:
            break
        found += some
    check(either, found, before)


def test_going_on_from_a_cursor_behind_each_message(either: FollowSimulation) -> None:
    """Each loop takes one message, and the next follower knows the cursor only."""
    write("old")(either)
    either.plan = [write("CALL get_time get_weather"), write("REASON LONG 2"), compact("all"), write("last")]
    before = either.said()
    cursor: Any = None
    found: list[Any] = []
    while True:
        follow = either.follow(after=cursor)
        some, fault = either.side.drain(follow, lambda _: True)
        assert fault is None
        if not some and not either.plan:
            break
        found += some
        cursor = json.loads(json.dumps(follow.cursor))
    check(either, found, before)


GO_ON = """
import json, sys
from letta_ext import Letta
base_url, conversation, cursor = sys.argv[1:]
with Letta(base_url=base_url) as client:
    follow = client.conversations.messages.follow(conversation, after=json.loads(cursor), timeout=0)
    print(json.dumps([message.to_dict()["id"] for message in follow]))
"""


def test_going_on_in_another_process(world: FollowSimulation) -> None:
    world.plan = [write("one")]
    follow = world.follow()
    world.side.items(follow)
    before = world.said()
    write("two")(world)
    compact("all")(world)
    write("three")(world)
    cursor = json.dumps(follow.cursor)
    told = subprocess.run(
        [sys.executable, "-c", GO_ON, world.base_url, world.conversation, cursor],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    expected = {id for id, _, _ in world.said() - before}
    found = json.loads(told)
    assert set(found) == expected
    assert len(found) == len(world.said() - before)


def test_two_writers(either: FollowSimulation) -> None:
    before = either.said()
    either.plan = [
        write("foreground"),
        write("background", background=True),
        write_at_once,
        write("a", stream_tokens=True),
    ]
    check(either, either.side.items(either.follow()), before)


@pytest.mark.parametrize("delay", [0.0, 0.002])
def test_a_run_that_is_active_at_the_start(either: FollowSimulation, delay: float) -> None:
    either.server.state.delay = delay
    before = either.said()
    begin("CALL get_time get_weather", stream_tokens=True)(either)
    found = either.side.items(
        either.follow(until=lambda message: message.message_type == "assistant_message", from_start=True)
    )
    assert set(map(identity, found)) == either.said()
    assert len(found) == len(either.said()) > len(before) + 3


def test_while_a_run_is_active_its_stream_is_read_instead_of_asking(world: FollowSimulation) -> None:
    world.server.state.delay = 0.002
    begin("LONG 60", stream_tokens=True)(world)
    found = world.side.items(
        world.follow(until=lambda message: message.message_type == "assistant_message", from_start=True)
    )
    assert text_of(found[-1]).startswith("word0")
    assert world.requests.count("POST stream") == 1
    assert world.slept == []
    assert len(world.requests) < 10  # and not one for each of the 60 tokens


@pytest.mark.parametrize(
    "faults",
    [
        [LOST],
        [Fault(), LOST, Fault(response=40), LOST],
        [Fault(response=600)] * 4,
        [Fault(), Fault(), Fault(), Fault(response=900), Fault(response=300), LOST],
    ],
)
def test_connections_that_break(server: EmbeddedServer, side: ClientDriver, faults: list[Fault]) -> None:
    server.state.delay = 0.001
    with proxied(server.base_url) as proxy:
        world = FollowSimulation(server, side, base_url=proxy.base_url)
        before = world.said()
        begin("CALL get_time", stream_tokens=True)(world)
        # Where a cut keeps the follower from the run's stream, it sleeps while the run goes on.
        world.plan = [begin("LONG 30", stream_tokens=True, when_busy="wait"), nothing, write("last", when_busy="wait")]
        proxy.plan.extend(faults)
        found = side.items(world.follow(from_start=True))
        check(world, found)
        assert len(found) > len(before)
        world.close()


def test_a_server_that_is_gone_raises_and_the_cursor_goes_on(world: FollowSimulation) -> None:
    world.plan = [write("a")]
    follow = world.follow()
    world.side.items(follow)
    before = world.said()
    cursor, world.base_url = follow.cursor, "http://127.0.0.1:9"
    with pytest.raises(APIConnectionError):
        world.side.items(world.follow(after=cursor))
    world.base_url = world.server.base_url
    write("b")(world)
    check(world, world.side.items(world.follow(after=cursor)), before)


def test_looks_are_few_where_nothing_happens(world: FollowSimulation) -> None:
    world.plan = [nothing] * 20
    assert world.side.items(world.follow(interval=1.0, max_interval=15.0)) == []
    assert world.slept[:4] == [1.0, 1.5, 2.25, 3.375]
    assert max(world.slept) == 15.0
    # A look is one request for the context and one for an active run.
    assert world.requests.count("GET messages") <= 2
    assert len(world.requests) <= 2 * (len(world.slept) + 1) + 2


def test_looks_come_sooner_when_something_happened(world: FollowSimulation) -> None:
    world.plan = [*[nothing] * 6, write("a"), nothing]
    world.side.items(world.follow())
    assert world.slept[6] > world.slept[7] == 1.0


def test_it_ends_in_time(world: FollowSimulation) -> None:
    write("a")(world)
    assert world.side.items(world.follow(timeout=0)) == []
    assert world.slept == []
    found = world.side.items(world.follow(timeout=0, from_start=True))
    check(world, found)
    world.plan = [nothing] * 100
    begun = world.now
    world.side.items(world.follow(timeout=60))
    assert world.now - begun == 60


def test_a_server_that_does_not_tell_the_context(world: FollowSimulation) -> None:
    routes = world.server.app.router.routes
    path = "/v1/conversations/{conversation_id}"
    routes[:] = [route for route in routes if getattr(route, "path", "") != path]
    before = world.said()
    world.plan = [write("a"), write("CALL get_time"), nothing, write("b")]
    check(world, world.side.items(world.follow()), before)


def test_cursors_that_follow_the_order(either: FollowSimulation) -> None:
    either.server.state.order_relative_cursors = True
    write("old")(either)
    either.plan = [write("a"), compact("all"), write("b")]
    check(either, either.side.items(either.follow(from_start=True)))


def test_a_long_history(world: FollowSimulation) -> None:
    for _ in range(70):
        write_at_once(world)
    compact("all")(world)
    for _ in range(70):
        write_at_once(world)
    world.plan = [write("a")]
    found = world.side.items(world.follow(from_start=True))
    assert sorted(map(repr, map(identity, found))) == sorted(map(repr, world.said()))


@pytest.mark.parametrize(
    ("arguments", "fault", "message"),
    [
        ({"after": 3}, TypeError, "after must be a message id or the cursor of a follower, got 3"),
        ({"after": {"version": 9}}, ValueError, "after must be a message id or the cursor of a follower"),
        ({"after": "message-1", "from_start": True}, ValueError, "give after or from_start, not both"),
        ({"interval": 0}, ValueError, "interval must be a positive number of seconds, got 0"),
        ({"interval": None}, TypeError, "interval must be a number of seconds, got None"),
        ({"timeout": "3"}, TypeError, "timeout must be a number of seconds, got '3'"),
        ({"until": 3}, TypeError, "until must be a function or None, got 3"),
        ({"interval": 20}, ValueError, "max_interval must be at least interval, got 15"),
        ({"timeout": -1}, ValueError, "timeout must be 0 or more seconds, or None, got -1"),
        ({"agent_id": 3}, TypeError, "agent_id must be a string"),
    ],
)
def test_what_is_refused_before_anything_is_sent(
    world: FollowSimulation, arguments: dict[str, Any], fault: type[Exception], message: str
) -> None:
    with pytest.raises(fault, match=message):
        world.follow(**arguments)
    assert world.requests == []


def test_what_is_not_there(world: FollowSimulation) -> None:
    with pytest.raises(ListChangedError, match="The conversation does not contain message-"):
        world.side.items(world.follow(after="message-123e4567-e89b-42d3-8456-426614174000"))
    world.conversation = CONVERSATION
    with pytest.raises(NotFoundError):
        world.side.items(world.follow(from_start=True))


def test_it_says_what_it_is(world: FollowSimulation) -> None:
    assert repr(world.follow()) in (f"Follow('{world.conversation}')", f"AsyncFollow('{world.conversation}')")


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_messages_that_a_compaction_put_out_of_order_come_in_the_order_of_time(side: ClientDriver, size: int) -> None:
    """A cursor between two messages that left the context unseen is not later than one that still has to come."""
    state = State(clock=TickingClock(tick=timedelta(seconds=2)))
    with EmbeddedServer(build(state=state)) as server:
        world = FollowSimulation(server, side)
        follow = world.follow(from_start=True)
        found = side.items(follow)
        for action in (write_at_once, compact("all"), write("hi"), compact("all"), write("LONG 3", stream_tokens=True)):
            world.attempt(action)
        while True:
            follow = world.follow(after=json.loads(json.dumps(follow.cursor)))
            world.now = 0.0
            some, fault = side.drain(follow, StopAfter(size))
            assert fault is None
            if not some:
                break
            found += some
        check(world, found)
        world.close()

"""Followers: each message of a conversation is yielded once, in order."""

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
def simulation(server: EmbeddedServer, driver: ClientDriver) -> Iterator[FollowSimulation]:
    made = FollowSimulation(server, driver)
    yield made
    made.close()


@pytest.fixture(params=[False, True], ids=["conversation", "agent"])
def any_simulation(
    request: pytest.FixtureRequest, server: EmbeddedServer, driver: ClientDriver
) -> Iterator[FollowSimulation]:
    """A simulation of a conversation, or of the default conversation of an agent."""
    made = FollowSimulation(server, driver, direct=request.param)
    yield made
    made.close()


def check(simulation: FollowSimulation, found: list[Any], before: set[Any] = frozenset()) -> None:  # type: ignore[assignment]  # an empty default
    """Check that each message that is not in `before` was found once, ordered by date."""
    identities = list(map(identity, found))
    assert len(identities) == len(set(identities))
    assert set(identities) == simulation.stored_identities() - before
    dates = [message.date for message in found]
    assert dates == sorted(dates)


def test_follow_from_start_yields_existing_and_new_messages(any_simulation: FollowSimulation) -> None:
    """With `from_start` a follower yields the existing messages, then the new ones."""
    write("first")(any_simulation)
    any_simulation.plan = [write("second"), nothing, write("third")]
    found = any_simulation.driver.items(any_simulation.follow(from_start=True))
    check(any_simulation, found)
    texts = [text_of(message) for message in found if message.message_type == "user_message"]
    assert texts == ["first", "second", "third"]


def test_follow_by_default_yields_only_new_messages(any_simulation: FollowSimulation) -> None:
    """By default a follower skips the existing messages."""
    write("old")(any_simulation)
    before = any_simulation.stored_identities()
    any_simulation.plan = [nothing, write("new"), write_at_once]
    found = any_simulation.driver.items(any_simulation.follow())
    check(any_simulation, found, before)
    assert text_of(found[0]) == "new"


def test_follow_empty_conversation_yields_first_messages(any_simulation: FollowSimulation) -> None:
    """A follower of an empty conversation yields its first messages."""
    before = any_simulation.stored_identities()
    any_simulation.plan = [write("hello")]
    check(any_simulation, any_simulation.driver.items(any_simulation.follow()), before)


@pytest.mark.parametrize("compacted", [False, True])
def test_follow_after_message_yields_later_messages(any_simulation: FollowSimulation, *, compacted: bool) -> None:
    """With the id of a message a follower yields the later messages, also after a compaction."""
    for text in ("a", "b", "c"):
        write(text)(any_simulation)
    stored = any_simulation.stored_messages()
    if compacted:
        compact("all")(any_simulation)
    for at, message in enumerate(stored):
        if at + 1 < len(stored) and stored[at + 1].id == message.id:
            continue
        found = any_simulation.driver.items(any_simulation.follow(after=message.id))
        later = [m for m in found if identity(m) in set(map(identity, stored))]
        assert list(map(identity, later)) == list(map(identity, stored[at + 1 :]))
        assert len(found) == len(later) + compacted  # the summary


def test_follow_until_true_ends_the_loop(simulation: FollowSimulation) -> None:
    """The loop ends after the message for which `until` returns True."""
    simulation.plan = [write("a"), write("stop"), write("never")]
    found = simulation.driver.items(simulation.follow(until=lambda message: text_of(message) == "stop"))
    assert text_of(found[-1]) == "stop"
    assert len(simulation.plan) == 1


def test_follow_second_loop_continues_after_the_first(any_simulation: FollowSimulation) -> None:
    """A new loop over the same follower continues after the last yielded message."""
    any_simulation.plan = [write("CALL get_time get_weather"), write("REASON LONG 2"), compact("all"), write("last")]
    before = any_simulation.stored_identities()
    follow = any_simulation.follow()
    found: list[Any] = []
    while True:
        some, fault = any_simulation.driver.drain(follow, lambda _: True)
        assert fault is None
        if not some:
            break
        found += some
    check(any_simulation, found, before)


def test_follow_from_cursor_after_each_message_continues(any_simulation: FollowSimulation) -> None:
    """A follower with the cursor of another one continues after the last yielded message."""
    write("old")(any_simulation)
    any_simulation.plan = [write("CALL get_time get_weather"), write("REASON LONG 2"), compact("all"), write("last")]
    before = any_simulation.stored_identities()
    cursor: Any = None
    found: list[Any] = []
    while True:
        follow = any_simulation.follow(after=cursor)
        some, fault = any_simulation.driver.drain(follow, lambda _: True)
        assert fault is None
        if not some and not any_simulation.plan:
            break
        found += some
        cursor = json.loads(json.dumps(follow.cursor))
    check(any_simulation, found, before)


CONTINUE = """
import json, sys
from letta_ext import Letta
base_url, conversation, cursor = sys.argv[1:]
with Letta(base_url=base_url) as client:
    follow = client.conversations.messages.follow(conversation, after=json.loads(cursor), timeout=0)
    print(json.dumps([message.to_dict()["id"] for message in follow]))
"""


def test_follow_from_cursor_in_another_process_continues(simulation: FollowSimulation) -> None:
    """A cursor in JSON text works in another process."""
    simulation.plan = [write("one")]
    follow = simulation.follow()
    simulation.driver.items(follow)
    before = simulation.stored_identities()
    write("two")(simulation)
    compact("all")(simulation)
    write("three")(simulation)
    cursor = json.dumps(follow.cursor)
    output = subprocess.run(
        [sys.executable, "-c", CONTINUE, simulation.base_url, simulation.conversation, cursor],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    expected = {id for id, _, _ in simulation.stored_identities() - before}
    found = json.loads(output)
    assert set(found) == expected
    assert len(found) == len(simulation.stored_identities() - before)


def test_follow_several_writers_yields_each_message_once(any_simulation: FollowSimulation) -> None:
    """Messages of foreground, background and unary sends are each yielded once."""
    before = any_simulation.stored_identities()
    any_simulation.plan = [
        write("foreground"),
        write("background", background=True),
        write_at_once,
        write("a", stream_tokens=True),
    ]
    check(any_simulation, any_simulation.driver.items(any_simulation.follow()), before)


@pytest.mark.parametrize("delay", [0.0, 0.002])
def test_follow_active_run_at_start_yields_its_messages(any_simulation: FollowSimulation, delay: float) -> None:
    """The messages of a run that is already active are yielded."""
    any_simulation.server.state.delay = delay
    before = any_simulation.stored_identities()
    begin("CALL get_time get_weather", stream_tokens=True)(any_simulation)
    found = any_simulation.driver.items(
        any_simulation.follow(until=lambda message: message.message_type == "assistant_message", from_start=True)
    )
    assert set(map(identity, found)) == any_simulation.stored_identities()
    assert len(found) == len(any_simulation.stored_identities()) > len(before) + 3


def test_follow_active_run_streams_instead_of_polling(simulation: FollowSimulation) -> None:
    """During a run one stream is read, and the list is not polled for each token."""
    simulation.server.state.delay = 0.002
    begin("LONG 60", stream_tokens=True)(simulation)
    found = simulation.driver.items(
        simulation.follow(until=lambda message: message.message_type == "assistant_message", from_start=True)
    )
    assert text_of(found[-1]).startswith("word0")
    assert simulation.requests.count("POST stream") == 1
    assert simulation.slept == []
    assert len(simulation.requests) < 10  # fewer than the 60 tokens


@pytest.mark.parametrize(
    "faults",
    [
        [LOST],
        [Fault(), LOST, Fault(response=40), LOST],
        [Fault(response=600)] * 4,
        [Fault(), Fault(), Fault(), Fault(response=900), Fault(response=300), LOST],
    ],
)
def test_follow_broken_connections_lose_no_message(
    server: EmbeddedServer, driver: ClientDriver, faults: list[Fault]
) -> None:
    """Broken connections neither lose nor duplicate a message."""
    server.state.delay = 0.001
    with proxied(server.base_url) as proxy:
        simulation = FollowSimulation(server, driver, base_url=proxy.base_url)
        before = simulation.stored_identities()
        begin("CALL get_time", stream_tokens=True)(simulation)
        # A fault can prevent the follower from opening the stream of the run. It then sleeps during the run.
        simulation.plan = [
            begin("LONG 30", stream_tokens=True, when_busy="wait"),
            nothing,
            write("last", when_busy="wait"),
        ]
        proxy.plan.extend(faults)
        found = driver.items(simulation.follow(from_start=True))
        check(simulation, found)
        assert len(found) > len(before)
        simulation.close()


def test_follow_unreachable_server_raises_and_cursor_stays_valid(simulation: FollowSimulation) -> None:
    """An unreachable server raises, and the cursor can be used later."""
    simulation.plan = [write("a")]
    follow = simulation.follow()
    simulation.driver.items(follow)
    before = simulation.stored_identities()
    cursor, simulation.base_url = follow.cursor, "http://127.0.0.1:9"
    with pytest.raises(APIConnectionError):
        simulation.driver.items(simulation.follow(after=cursor))
    simulation.base_url = simulation.server.base_url
    write("b")(simulation)
    check(simulation, simulation.driver.items(simulation.follow(after=cursor)), before)


def test_follow_idle_conversation_backs_off(simulation: FollowSimulation) -> None:
    """The poll interval of an idle conversation grows to `max_interval`."""
    simulation.plan = [nothing] * 20
    assert simulation.driver.items(simulation.follow(interval=1.0, max_interval=15.0)) == []
    assert simulation.slept[:4] == [1.0, 1.5, 2.25, 3.375]
    assert max(simulation.slept) == 15.0
    # A poll is one request for the context and one for an active run.
    assert simulation.requests.count("GET messages") <= 2
    assert len(simulation.requests) <= 2 * (len(simulation.slept) + 1) + 2


def test_follow_new_message_resets_backoff(simulation: FollowSimulation) -> None:
    """A new message resets the poll interval."""
    simulation.plan = [*[nothing] * 6, write("a"), nothing]
    simulation.driver.items(simulation.follow())
    assert simulation.slept[6] > simulation.slept[7] == 1.0


def test_follow_timeout_ends_the_loop(simulation: FollowSimulation) -> None:
    """The loop ends after `timeout` seconds, without a sleep beyond it."""
    write("a")(simulation)
    assert simulation.driver.items(simulation.follow(timeout=0)) == []
    assert simulation.slept == []
    found = simulation.driver.items(simulation.follow(timeout=0, from_start=True))
    check(simulation, found)
    simulation.plan = [nothing] * 100
    begun = simulation.now
    simulation.driver.items(simulation.follow(timeout=60))
    assert simulation.now - begun == 60


def test_follow_server_without_context_yields_each_message_once(simulation: FollowSimulation) -> None:
    """A follower works with a server that does not provide the context window."""
    routes = simulation.server.app.router.routes
    path = "/v1/conversations/{conversation_id}"
    routes[:] = [route for route in routes if getattr(route, "path", "") != path]
    before = simulation.stored_identities()
    simulation.plan = [write("a"), write("CALL get_time"), nothing, write("b")]
    check(simulation, simulation.driver.items(simulation.follow()), before)


def test_follow_order_relative_cursors_yield_each_message_once(any_simulation: FollowSimulation) -> None:
    """A follower works with cursors that are relative to the requested order."""
    any_simulation.server.state.order_relative_cursors = True
    write("old")(any_simulation)
    any_simulation.plan = [write("a"), compact("all"), write("b")]
    check(any_simulation, any_simulation.driver.items(any_simulation.follow(from_start=True)))


def test_follow_long_history_yields_each_message_once(simulation: FollowSimulation) -> None:
    """A history of several pages and a compaction is yielded completely."""
    for _ in range(70):
        write_at_once(simulation)
    compact("all")(simulation)
    for _ in range(70):
        write_at_once(simulation)
    simulation.plan = [write("a")]
    found = simulation.driver.items(simulation.follow(from_start=True))
    assert sorted(map(repr, map(identity, found))) == sorted(map(repr, simulation.stored_identities()))


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
def test_follow_invalid_argument_raises_before_sending(
    simulation: FollowSimulation, arguments: dict[str, Any], fault: type[Exception], message: str
) -> None:
    """An invalid argument raises before a request is sent."""
    with pytest.raises(fault, match=message):
        simulation.follow(**arguments)
    assert simulation.requests == []


def test_follow_unknown_message_or_conversation_raises(simulation: FollowSimulation) -> None:
    """An unknown message raises ListChangedError, an unknown conversation NotFoundError."""
    with pytest.raises(ListChangedError, match="The conversation does not contain message-"):
        simulation.driver.items(simulation.follow(after="message-123e4567-e89b-42d3-8456-426614174000"))
    simulation.conversation = CONVERSATION
    with pytest.raises(NotFoundError):
        simulation.driver.items(simulation.follow(from_start=True))


def test_follow_repr_shows_the_conversation(simulation: FollowSimulation) -> None:
    """The repr contains the class and the conversation id."""
    assert repr(simulation.follow()) in (
        f"Follow('{simulation.conversation}')",
        f"AsyncFollow('{simulation.conversation}')",
    )


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_follow_messages_reordered_by_compaction_are_yielded_by_date(driver: ClientDriver, size: int) -> None:
    """Messages that a compaction reordered are yielded by date, also with a cursor between two of them."""
    state = State(clock=TickingClock(tick=timedelta(seconds=2)))
    with EmbeddedServer(build(state=state)) as server:
        simulation = FollowSimulation(server, driver)
        follow = simulation.follow(from_start=True)
        found = driver.items(follow)
        for action in (write_at_once, compact("all"), write("hi"), compact("all"), write("LONG 3", stream_tokens=True)):
            simulation.attempt(action)
        while True:
            follow = simulation.follow(after=json.loads(json.dumps(follow.cursor)))
            simulation.now = 0.0
            some, fault = driver.drain(follow, StopAfter(size))
            assert fault is None
            if not some:
                break
            found += some
        check(simulation, found)
        simulation.close()

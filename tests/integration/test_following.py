"""`follow` on a real server: two writers, background runs, compactions, broken connections, a new process."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

import pytest
from attrs import frozen

from letta_ext import NotFoundError

from ..follow.simulation import (
    ACTIONS,
    FollowSimulation,
    StopAfter,
    begin,
    compact,
    identity,
    nothing,
    text_of,
    unless_busy,
    write,
    write_at_once,
)
from ..follow.test_following import CONTINUE
from ..stress.figures import FULL, figure
from ..tools.turns import ClientDriver
from .proxy import LOST, Fault, proxied, random_fault
from .server_resources import Agent, ServerResources

CONVERSATIONS: Final = 40 if FULL else 2
"""Followed conversations with random events."""


@frozen
class ConversationLocation:
    """The location of a conversation."""

    base_url: str
    agent_id: str
    conversation_id: str


@pytest.fixture(params=["sync", "async"])
def driver(request: pytest.FixtureRequest) -> Iterator[ClientDriver]:
    driver = ClientDriver(is_async=request.param == "async")
    yield driver
    driver.close()


@pytest.fixture
def simulation(
    address: str, resources: ServerResources, own_agent: Agent, driver: ClientDriver, model: str
) -> Iterator[FollowSimulation]:
    """Return a simulation in a conversation for sync code, in an agent-direct conversation for async code."""
    place = ConversationLocation(address, own_agent.id, resources.conversation(own_agent.id))
    made = FollowSimulation(place, driver, direct=driver.is_async)
    made.model = model
    yield made
    made.close()


def check(simulation: FollowSimulation, found: list[Any], before: set[Any]) -> None:
    """Check that each message since `before` was yielded once."""
    identities = list(map(identity, found))
    assert len(identities) == len(set(identities))
    assert set(identities) == simulation.stored_identities() - before


def test_follow_yields_messages_of_writers_background_runs_and_compaction(simulation: FollowSimulation) -> None:
    """Messages of two writers, background runs and a compaction are yielded once."""
    write("before")(simulation)
    before = simulation.stored_identities()
    simulation.plan = [
        write("a"),
        write_at_once,
        begin("LONG 40", stream_tokens=True),
        nothing,
        compact("all"),
        write("REASON b", stream_tokens=True, background=True),
        write("c"),
    ]
    found = simulation.driver.items(simulation.follow())
    check(simulation, found, before)
    texts = [text_of(message) for message in found if message.message_type == "user_message"]
    assert [text for text in texts if len(text) < 20] == ["a", "LONG 2", "LONG 40", "REASON b", "c"]


def test_follow_yields_messages_of_run_active_at_start(simulation: FollowSimulation) -> None:
    """The messages of a run that is active at the start are yielded."""
    begin("LONG 60", stream_tokens=True)(simulation)
    found = simulation.driver.items(
        simulation.follow(from_start=True, until=lambda message: message.message_type == "assistant_message")
    )
    assert set(map(identity, found)) == simulation.stored_identities()
    assert text_of(found[-1]).startswith("word0 word1")


def test_follow_from_start_after_compactions_yields_all_messages(simulation: FollowSimulation) -> None:
    """`from_start` yields all messages after two compactions."""
    for _ in range(2):
        write("a")(simulation)
        write("b")(simulation)
        compact("all")(simulation)
    simulation.plan = [write("c")]
    check(simulation, simulation.driver.items(simulation.follow(from_start=True)), set())


def test_follow_from_cursor_after_each_message_yields_each_once(simulation: FollowSimulation) -> None:
    """Continuing from the cursor after each message loses and repeats none."""
    write("old")(simulation)
    before = simulation.stored_identities()
    simulation.plan = [write("REASON a"), compact("all"), write("b"), write("c")]
    cursor: Any = None
    found: list[Any] = []
    while True:
        follow = simulation.follow(after=cursor)
        some, fault = simulation.driver.drain(follow, lambda _: True)
        assert fault is None
        if not some and not simulation.plan:
            break
        found += some
        cursor = json.loads(json.dumps(follow.cursor))
    check(simulation, found, before)


def test_follow_from_cursor_in_other_process_yields_new_messages(
    address: str, resources: ServerResources, own_agent: Agent
) -> None:
    """A cursor can be used in another process."""
    driver = ClientDriver(is_async=False)
    simulation = FollowSimulation(
        ConversationLocation(address, own_agent.id, resources.conversation(own_agent.id)), driver, write("one")
    )
    follow = simulation.follow()
    driver.items(follow)
    before = simulation.stored_identities()
    for action in (write("two"), compact("all"), write("three")):
        action(simulation)
    output = subprocess.run(
        [sys.executable, "-c", CONTINUE, address, simulation.conversation, json.dumps(follow.cursor)],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    expected = sorted(id for id, _, _ in simulation.stored_identities() - before)
    assert sorted(json.loads(output)) == expected
    simulation.close()
    driver.close()


def test_follow_through_broken_connections_yields_each_message_once(
    address: str, resources: ServerResources, own_agent: Agent, driver: ClientDriver
) -> None:
    """Broken connections lose and repeat no message."""
    with proxied(address) as proxy:
        place = ConversationLocation(address, own_agent.id, resources.conversation(own_agent.id))
        plan = [begin("LONG 60", stream_tokens=True), nothing, write("c", when_busy="wait")]
        simulation = FollowSimulation(place, driver, *plan, base_url=proxy.base_url)
        write("a")(simulation)
        proxy.plan.extend([LOST, Fault(response=100), Fault(), LOST, *[Fault(response=1500)] * 3, LOST])
        found = driver.items(simulation.follow(from_start=True))
        check(simulation, found, set())
        assert len(proxy.plan) == 0
        simulation.close()


def test_follow_of_missing_conversation_raises_not_found_error(simulation: FollowSimulation) -> None:
    """A missing conversation raises `NotFoundError`."""
    simulation.conversation = "conv-123e4567-e89b-42d3-8456-426614174000"
    simulation.scope = {}
    with pytest.raises(NotFoundError):
        simulation.driver.items(simulation.follow())


@pytest.mark.stress
def test_follow_with_random_events_and_faults_yields_each_message_once(
    address: str, resources: ServerResources, agent: Agent, driver: ClientDriver, model: str
) -> None:
    """Random writes, compactions, runs, faults and abandoned loops lose and repeat no message."""
    chance = random.Random(20_240_611)
    # Without server-side tools: their sandbox starts in seconds.
    actions = [action for at, action in enumerate(ACTIONS) if at not in (2, 5)]
    count = faults = lost = repeated = 0
    with proxied(address) as proxy:
        for _ in range(CONVERSATIONS):
            place = ConversationLocation(address, agent.id, resources.conversation(agent.id))
            simulation = FollowSimulation(
                place, driver, *map(unless_busy, chance.choices(actions, k=6)), base_url=proxy.base_url
            )
            simulation.model = model
            simulation.between = OccasionalAction(simulation, chance, actions)
            proxy.plan.extend(random_fault(chance, 2000) if chance.random() < 0.3 else Fault() for _ in range(20))
            found: list[Any] = []
            follow = simulation.follow(from_start=True)
            while True:
                some, fault = driver.drain(follow, StopAfter(chance.randrange(9)))
                assert fault is None
                found += some
                if not some and not simulation.plan:
                    break
                follow = simulation.follow(after=json.loads(json.dumps(follow.cursor)))
            faults += 20 - len(proxy.plan)
            proxy.plan.clear()
            simulation.between = lambda: None
            simulation.settle()
            found += driver.items(simulation.follow(after=follow.cursor))
            identities, said = list(map(identity, found)), simulation.stored_identities()
            lost += len(said - set(identities))
            repeated += len(identities) - len(set(identities))
            count += len(said)
            simulation.close()
    figure(
        "followed",
        f"conversations {CONVERSATIONS}, messages {count}, faults {faults}, lost {lost}, repeated {repeated}",
    )
    assert (lost, repeated) == (0, 0)


class OccasionalAction:
    """Runs a random action occasionally, a limited number of times."""

    def __init__(self, simulation: FollowSimulation, chance: random.Random, actions: list[Any]) -> None:
        self.simulation, self.chance, self.actions, self.left = simulation, chance, actions, 4

    def __call__(self) -> None:
        if self.left and self.chance.random() < 0.2:
            self.left -= 1
            self.simulation.attempt(self.chance.choice(self.actions))

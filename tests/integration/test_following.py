"""`follow` on a real server: two writers, runs in the background, compactions, broken connections, a new process."""

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
from .scene import Agent, Scene

TALKS: Final = 40 if FULL else 2
"""How many conversations are followed in which anything happens."""


@frozen
class Place:
    """Where a conversation is."""

    base_url: str
    agent_id: str
    conversation_id: str


@pytest.fixture(params=["sync", "async"])
def driver(request: pytest.FixtureRequest) -> Iterator[ClientDriver]:
    driver = ClientDriver(is_async=request.param == "async")
    yield driver
    driver.close()


@pytest.fixture
def world(address: str, scene: Scene, own_agent: Agent, driver: ClientDriver, model: str) -> Iterator[FollowSimulation]:
    """Sync code in a conversation, async code in an agent's own."""
    place = Place(address, own_agent.id, scene.conversation(own_agent.id))
    made = FollowSimulation(place, driver, direct=driver.is_async)
    made.model = model
    yield made
    made.close()


def check(world: FollowSimulation, found: list[Any], before: set[Any]) -> None:
    """That everything was found that was not there before, once."""
    identities = list(map(identity, found))
    assert len(identities) == len(set(identities))
    assert set(identities) == world.stored_identities() - before


def test_two_writers_runs_in_the_background_and_a_compaction(world: FollowSimulation) -> None:
    write("before")(world)
    before = world.stored_identities()
    world.plan = [
        write("a"),
        write_at_once,
        begin("LONG 40", stream_tokens=True),
        nothing,
        compact("all"),
        write("REASON b", stream_tokens=True, background=True),
        write("c"),
    ]
    found = world.driver.items(world.follow())
    check(world, found, before)
    texts = [text_of(message) for message in found if message.message_type == "user_message"]
    assert [text for text in texts if len(text) < 20] == ["a", "LONG 2", "LONG 40", "REASON b", "c"]


def test_a_run_that_is_active_at_the_start(world: FollowSimulation) -> None:
    begin("LONG 60", stream_tokens=True)(world)
    found = world.driver.items(
        world.follow(from_start=True, until=lambda message: message.message_type == "assistant_message")
    )
    assert set(map(identity, found)) == world.stored_identities()
    assert text_of(found[-1]).startswith("word0 word1")


def test_a_talk_from_its_start_after_two_compactions(world: FollowSimulation) -> None:
    for _ in range(2):
        write("a")(world)
        write("b")(world)
        compact("all")(world)
    world.plan = [write("c")]
    check(world, world.driver.items(world.follow(from_start=True)), set())


def test_going_on_from_a_cursor_behind_each_message(world: FollowSimulation) -> None:
    write("old")(world)
    before = world.stored_identities()
    world.plan = [write("REASON a"), compact("all"), write("b"), write("c")]
    cursor: Any = None
    found: list[Any] = []
    while True:
        follow = world.follow(after=cursor)
        some, fault = world.driver.drain(follow, lambda _: True)
        assert fault is None
        if not some and not world.plan:
            break
        found += some
        cursor = json.loads(json.dumps(follow.cursor))
    check(world, found, before)


def test_going_on_in_another_process(address: str, scene: Scene, own_agent: Agent) -> None:
    driver = ClientDriver(is_async=False)
    world = FollowSimulation(Place(address, own_agent.id, scene.conversation(own_agent.id)), driver, write("one"))
    follow = world.follow()
    driver.items(follow)
    before = world.stored_identities()
    for action in (write("two"), compact("all"), write("three")):
        action(world)
    told = subprocess.run(
        [sys.executable, "-c", CONTINUE, address, world.conversation, json.dumps(follow.cursor)],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    expected = sorted(id for id, _, _ in world.stored_identities() - before)
    assert sorted(json.loads(told)) == expected
    world.close()
    driver.close()


def test_connections_that_break(address: str, scene: Scene, own_agent: Agent, driver: ClientDriver) -> None:
    with proxied(address) as proxy:
        place = Place(address, own_agent.id, scene.conversation(own_agent.id))
        plan = [begin("LONG 60", stream_tokens=True), nothing, write("c", when_busy="wait")]
        world = FollowSimulation(place, driver, *plan, base_url=proxy.base_url)
        write("a")(world)
        proxy.plan.extend([LOST, Fault(response=100), Fault(), LOST, *[Fault(response=1500)] * 3, LOST])
        found = driver.items(world.follow(from_start=True))
        check(world, found, set())
        assert len(proxy.plan) == 0
        world.close()


def test_a_conversation_that_does_not_exist(world: FollowSimulation) -> None:
    world.conversation = "conv-123e4567-e89b-42d3-8456-426614174000"
    world.scope = {}
    with pytest.raises(NotFoundError):
        world.driver.items(world.follow())


@pytest.mark.stress
def test_proof_of_following(address: str, scene: Scene, agent: Agent, driver: ClientDriver, model: str) -> None:
    """Others write, compact and begin runs between any two requests, connections break, loops are left."""
    chance = random.Random(20_240_611)
    # Not the tools of the server: starting their sandbox takes it seconds.
    actions = [action for at, action in enumerate(ACTIONS) if at not in (2, 5)]
    count = faults = lost = twice = 0
    with proxied(address) as proxy:
        for _ in range(TALKS):
            place = Place(address, agent.id, scene.conversation(agent.id))
            world = FollowSimulation(
                place, driver, *map(unless_busy, chance.choices(actions, k=6)), base_url=proxy.base_url
            )
            world.model = model
            world.between = Sometimes(world, chance, actions)
            proxy.plan.extend(random_fault(chance, 2000) if chance.random() < 0.3 else Fault() for _ in range(20))
            found: list[Any] = []
            follow = world.follow(from_start=True)
            while True:
                some, fault = driver.drain(follow, StopAfter(chance.randrange(9)))
                assert fault is None
                found += some
                if not some and not world.plan:
                    break
                follow = world.follow(after=json.loads(json.dumps(follow.cursor)))
            faults += 20 - len(proxy.plan)
            proxy.plan.clear()
            world.between = lambda: None
            world.settle()
            found += driver.items(world.follow(after=follow.cursor))
            identities, said = list(map(identity, found)), world.stored_identities()
            lost += len(said - set(identities))
            twice += len(identities) - len(set(identities))
            count += len(said)
            world.close()
    figure("followed", f"talks {TALKS}, messages {count}, requests past faults {faults}, lost {lost}, repeated {twice}")
    assert (lost, twice) == (0, 0)


class Sometimes:
    """Lets something happen, now and then, and not for ever."""

    def __init__(self, world: FollowSimulation, chance: random.Random, actions: list[Any]) -> None:
        self.world, self.chance, self.actions, self.left = world, chance, actions, 4

    def __call__(self) -> None:
        if self.left and self.chance.random() < 0.2:
            self.left -= 1
            self.world.attempt(self.chance.choice(self.actions))

"""Whatever happens, and whenever: before each request of the follower others may write, compact, begin a run."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any, Final

import pytest

from letta_ext.testing import EmbeddedServer, State, TickingClock, build

from ..stress.figures import FULL
from ..tools.turns import ClientDriver
from .simulation import ACTIONS, FollowSimulation, StopAfter, identity, perhaps

pytestmark = pytest.mark.stress

SEEDS: Final = range(300 if FULL else 5)
TICKS: Final = [timedelta(milliseconds=1), timedelta(milliseconds=300), timedelta(seconds=2)]


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_nothing_comes_twice(side: ClientDriver, seed: int) -> None:
    chance = random.Random(seed)
    state = State(clock=TickingClock(tick=chance.choice(TICKS)), order_relative_cursors=chance.random() < 0.2)
    with EmbeddedServer(build(state=state)) as server:
        world = FollowSimulation(
            server,
            side,
            *map(perhaps, chance.choices(ACTIONS, k=chance.randrange(2, 12))),
            direct=chance.random() < 0.3,
        )
        for _ in range(chance.randrange(4)):
            world.attempt(chance.choice(ACTIONS))
        world.settle()
        from_start = chance.random() < 0.5
        before = set() if from_start else world.said()
        left = chance.randrange(8)

        def between() -> None:
            nonlocal left
            if left and chance.random() < 0.3:
                left -= 1
                world.attempt(chance.choice(ACTIONS))

        follow = world.follow(from_start=from_start)
        if not from_start:
            later, world.plan = world.plan, []
            assert side.items(follow) == []  # from now on it stands at the end
            world.plan, world.now = later, 0.0
        world.between = between
        found: list[Any] = []
        while True:
            some, fault = side.drain(follow, StopAfter(chance.randrange(9)))
            assert fault is None
            found += some
            if not some and not world.plan:
                break
            if chance.random() < 0.5:
                follow = world.follow(after=json.loads(json.dumps(follow.cursor)))
        world.between = lambda: None
        world.settle()
        some, fault = side.drain(world.follow(after=follow.cursor))
        found += some
        assert fault is None
        identities = list(map(identity, found))
        twice = len(identities) - len(set(identities))
        said = world.said()
        world.close()
        assert (said - before - set(identities), twice, set(identities) - said) == (set(), 0, set())

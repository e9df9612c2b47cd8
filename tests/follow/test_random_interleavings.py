"""Random interleavings: before each request of a follower, other clients write, compact or start runs."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any, Final

import pytest

from letta_ext.testing import EmbeddedServer, State, TickingClock, build

from ..stress.figures import FULL
from ..tools.turns import ClientDriver
from .simulation import ACTIONS, FollowSimulation, StopAfter, identity, unless_busy

pytestmark = pytest.mark.stress

SEEDS: Final = range(300 if FULL else 5)
TICKS: Final = [timedelta(milliseconds=1), timedelta(milliseconds=300), timedelta(seconds=2)]


@pytest.mark.parametrize("seed", SEEDS)
def test_follower_random_interleavings_yield_each_message_once(driver: ClientDriver, seed: int) -> None:
    """A follower yields each message once, however writes, runs and compactions interleave with its requests."""
    rng = random.Random(seed)
    state = State(clock=TickingClock(tick=rng.choice(TICKS)), order_relative_cursors=rng.random() < 0.2)
    with EmbeddedServer(build(state=state)) as server:
        simulation = FollowSimulation(
            server,
            driver,
            *map(unless_busy, rng.choices(ACTIONS, k=rng.randrange(2, 12))),
            direct=rng.random() < 0.3,
        )
        for _ in range(rng.randrange(4)):
            simulation.attempt(rng.choice(ACTIONS))
        simulation.settle()
        from_start = rng.random() < 0.5
        before = set() if from_start else simulation.stored_identities()
        left = rng.randrange(8)

        def between() -> None:
            nonlocal left
            if left and rng.random() < 0.3:
                left -= 1
                simulation.attempt(rng.choice(ACTIONS))

        follow = simulation.follow(from_start=from_start)
        if not from_start:
            later, simulation.plan = simulation.plan, []
            assert driver.items(follow) == []  # the follower is at the end
            simulation.plan, simulation.now = later, 0.0
        simulation.between = between
        found: list[Any] = []
        while True:
            some, fault = driver.drain(follow, StopAfter(rng.randrange(9)))
            assert fault is None
            found += some
            if not some and not simulation.plan:
                break
            if rng.random() < 0.5:
                follow = simulation.follow(after=json.loads(json.dumps(follow.cursor)))
        simulation.between = lambda: None
        simulation.settle()
        some, fault = driver.drain(simulation.follow(after=follow.cursor))
        found += some
        assert fault is None
        identities = list(map(identity, found))
        twice = len(identities) - len(set(identities))
        stored = simulation.stored_identities()
        simulation.close()
        assert (stored - before - set(identities), twice, set(identities) - stored) == (set(), 0, set())

"""Mutated recordings through the public calls: every outcome is a value or a `LettaError`."""

from __future__ import annotations

import gc
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import pytest
from attrs import define, field

from letta_ext import LettaError
from letta_ext.testing import EmbeddedServer

from ..stress.figures import FULL, figure
from ..tools.turns import ClientDriver
from .planning import planned_faults
from .playing import MAX_REQUESTS, PublicCalls, ResponseDeck, Time, draw_call, use_error
from .serving import raw_server

SEED: Final = 20_261_128
RAW, EMBEDDED = 35_000, 15_000
"""Cases of the full stress test."""

FRESH: Final = 200
"""Cases after which the embedded server is restarted, because its conversation grows."""

MAX_SECONDS: Final = 20
MAX_MEMORY: Final = 300
"""Growth of the process, in MiB."""


@define
class Outcomes:
    """The outcomes of the cases."""

    name: str
    faults: list[str] = field(factory=list[str])
    kinds: Counter[str] = field(factory=Counter[str])
    longest: tuple[float, str] = (0.0, "")
    busiest: tuple[int, str] = (0, "")
    cases: int = 0
    before: int = field(factory=lambda: peak_memory())

    def play(self, number: int, name: str, call: Callable[[], object]) -> str:
        """Make one call, record its outcome, and return the name of the case."""
        case = f"{self.name} {number} {name}"
        self.cases += 1
        began = time.perf_counter()
        try:
            try:
                call()
                self.kinds["value"] += 1
            except LettaError as fault:
                self.kinds[type(fault).__name__] += 1
                use_error(fault)
        except Exception as fault:  # noqa: BLE001  # the error that this test detects
            self.faults.append(f"{case}: {type(fault).__name__}: {fault!s:.100}")
        self.longest = max(self.longest, (time.perf_counter() - began, case))
        return case

    def count(self, case: str, requests: int) -> None:
        """Record the number of requests of a case."""
        self.busiest = max(self.busiest, (requests, case))
        if requests > MAX_REQUESTS:
            self.faults.append(f"{case}: made {requests} requests")

    def check(self) -> None:
        """Print the figures; fail on raw errors and exceeded limits."""
        gc.collect()
        peak = peak_memory()
        figure(
            f"mutated responses, {self.name}",
            f"cases {self.cases}, values {self.kinds['value']},"
            f" errors of letta_ext {self.kinds.total() - self.kinds['value']} of {len(self.kinds) - 1} classes,"
            f" raw errors {len(self.faults)}, peak memory {peak} MiB ({self.before} before),"
            f" longest case {self.longest[0]:.2f} s ({self.longest[1]}), most requests {self.busiest[0]}"
            f" ({self.busiest[1]})",
        )
        assert self.faults == []
        assert self.longest[0] < MAX_SECONDS
        assert peak - self.before < MAX_MEMORY
        assert len(self.kinds) > 5  # the cases get past the first check


def peak_memory() -> int:
    """Return the peak memory of the process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@pytest.fixture
def drivers() -> Iterator[list[ClientDriver]]:
    drivers = [ClientDriver(is_async=False), ClientDriver(is_async=True)]
    yield drivers
    for driver in drivers:
        driver.close()


def play_raw(cases: int, drivers: list[ClientDriver], virtual: Time) -> None:
    """Run cases against the raw-socket server."""
    found = Outcomes("raw socket")
    with raw_server() as server:
        plays = [PublicCalls(driver, server.base_url, virtual) for driver in drivers]
        for number in range(cases):
            chance = random.Random(SEED + number)
            name, call, first = draw_call(chance)
            deck = ResponseDeck(chance, first)
            server.respond = deck.respond
            case = found.play(number, name, partial(call, plays[number % 2], chance))
            found.count(case, deck.count)
            if name == "create json" and deck.sends > 1 + deck.redirects:
                found.faults.append(f"{case}: sent {deck.sends} times")
    found.check()


def play_embedded(cases: int, drivers: list[ClientDriver], virtual: Time) -> None:
    """Run cases against the embedded server with network faults."""
    found = Outcomes("embedded server")
    for start in range(0, cases, FRESH):
        with EmbeddedServer(check=False) as server:
            plays = [PublicCalls(driver, server.base_url, virtual, server.conversation_id) for driver in drivers]
            for number in range(start, min(cases, start + FRESH)):
                chance = random.Random(SEED - number)
                name, call, first = draw_call(chance)
                deck = ResponseDeck(chance, first)
                server.faults.add(*planned_faults(deck, first.method, first.path))
                came = len(server.requests)
                case = found.play(number, name, partial(call, plays[number % 2], chance))
                found.count(case, len(server.requests) - came)
                server.faults.clear()
    found.check()


@pytest.mark.slow
def test_mutated_responses_of_raw_server_give_value_or_letta_error(
    drivers: list[ClientDriver], virtual_time: Time
) -> None:
    """A sample of the stress test: each call returns a value or raises `LettaError`."""
    play_raw(400, drivers, virtual_time)


@pytest.mark.slow
def test_mutated_responses_and_network_faults_give_value_or_letta_error(
    drivers: list[ClientDriver], virtual_time: Time
) -> None:
    """A sample of the stress test with network faults."""
    play_embedded(200, drivers, virtual_time)


@pytest.mark.stress
def test_all_mutated_responses_of_raw_server_give_value_or_letta_error(
    drivers: list[ClientDriver], virtual_time: Time
) -> None:
    """All cases of the raw-socket server."""
    play_raw(RAW if FULL else 1000, drivers, virtual_time)


@pytest.mark.stress
def test_all_mutated_responses_and_network_faults_give_value_or_letta_error(
    drivers: list[ClientDriver], virtual_time: Time
) -> None:
    """All cases of the embedded server."""
    play_embedded(EMBEDDED if FULL else 500, drivers, virtual_time)

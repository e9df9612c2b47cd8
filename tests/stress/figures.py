"""The extent of the stress tests, and the output of their figures."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")

FULL: Final = os.environ.get("LETTA_STRESS") == "full"
"""Whether to run all variations, which takes minutes, or a sample that is the same in every run."""

SEED: Final = 20_240_611


def sample(items: Sequence[T], size: int) -> Sequence[T]:
    """Return all items, or without LETTA_STRESS=full a fixed sample of this size, in order."""
    if FULL or len(items) <= size:
        return items
    return [items[index] for index in sorted(random.Random(SEED).sample(range(len(items)), size))]


def figure(name: str, value: str) -> None:
    """Print one line of measured figures."""
    print(f"\nFIGURE {name}: {value}")


def compare(expected: Sequence[Any], found: Sequence[Any]) -> tuple[int, int]:
    """Return the number of lost events, and of repeated or misplaced ones."""
    if list(expected) == list(found):
        return 0, 0
    wanted, had = Counter(map(repr, expected)), Counter(map(repr, found))
    lost, repeated = (wanted - had).total(), (had - wanted).total()
    return lost, repeated or int(not lost)


def run_within(seconds: float, work: Callable[[], T]) -> T:
    """Return the result of a function; fail if it takes longer, as a deadlock does."""
    outcome: list[T] = []
    faults: list[BaseException] = []

    def target() -> None:
        try:
            outcome.append(work())
        except BaseException as fault:  # noqa: BLE001  # raised in the waiting thread
            faults.append(fault)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise AssertionError(f"still not done after {seconds:g} s")
    if faults:
        raise faults[0]
    return outcome[0]

"""How much is proven in one go, and how it is told."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")

FULL: Final = os.environ.get("LETTA_STRESS") == "full"
"""Whether to go through everything, which takes minutes, or through a sample that is the same each time."""

SEED: Final = 20_240_611


def sample(items: Sequence[T], size: int) -> Sequence[T]:
    """All items, or without LETTA_STRESS=full so many of them, in their order."""
    if FULL or len(items) <= size:
        return items
    return [items[index] for index in sorted(random.Random(SEED).sample(range(len(items)), size))]


def figure(name: str, value: str) -> None:
    """Print one line of measured figures."""
    print(f"\nFIGURE {name}: {value}")


def compare(expected: Sequence[Any], found: Sequence[Any]) -> tuple[int, int]:
    """How many events are lost, and how many came twice or in the wrong place."""
    if list(expected) == list(found):
        return 0, 0
    wanted, had = Counter(map(repr, expected)), Counter(map(repr, found))
    lost, repeated = (wanted - had).total(), (had - wanted).total()
    return lost, repeated or int(not lost)


def within(seconds: float, work: Callable[[], T]) -> T:
    """What a function returns; a failure where it takes longer, as one that waits for itself does for ever."""
    outcome: list[T] = []
    faults: list[BaseException] = []

    def go() -> None:
        try:
            outcome.append(work())
        except BaseException as fault:  # noqa: BLE001  (it is raised where it is waited for)
            faults.append(fault)

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise AssertionError(f"still not done after {seconds:g} s")
    if faults:
        raise faults[0]
    return outcome[0]

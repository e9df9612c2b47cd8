"""Pairs in turn: a machine that is slow for a while is slow for both sides, so ratios hold where times do not."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from attrs import field, frozen

Work = Callable[[], object]
Clock = Callable[[], float]

OURS: Final = "ours"
PUBLISHED: Final = "letta-client"
STOCK: Final = "stock generator"
FLOOR: Final = "msgspec"
BARE: Final = "httpx"

BATCH: Final = 0.05
"""Seconds that one measurement of a side lasts at least: far above the resolution of every clock, and above what the
slowest side takes for one call. What a turn's first call pays for caches that another side has filled then weighs alike
on all; where a quick side has one call to a turn and a slow side ten times its time, it weighs on the quick one only.
"""

cpu: Clock = time.thread_time
"""For what computes: a process that waits for its turn is not slower for it."""
wall: Clock = time.perf_counter
"""For what waits for another process."""


@frozen
class Spread:
    """Ratios of pairs: the median, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least two values."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


@frozen
class Result:
    """One row of the table.

    Attributes:
        group: what the row belongs to.
        name: what was measured.
        unit: of what the values of the sides are.
        sides: the median value of each side.
        versus: the side that the figure compares with.
        figure: how often ours fits into the other side where `sense` is "faster"; the other way round for "overhead".
        reach: the figure to reach, or None where none is set.
        sense: whether more is better ("faster") or less ("overhead").
        note: what else must be known.
        taken: Every value of each side, in its unit.
    """

    group: str
    name: str
    unit: str
    sides: Mapping[str, float]
    versus: str
    figure: Spread
    reach: float | None
    sense: Literal["faster", "overhead"]
    note: str = ""
    taken: Mapping[str, Sequence[float]] = field(factory=dict[str, Sequence[float]])

    @property
    def reached(self) -> bool | None:
        """Whether the median reaches its target; None without a target."""
        if self.reach is None:
            return None
        return self.figure.median >= self.reach if self.sense == "faster" else self.figure.median <= self.reach


@frozen
class Row:
    """What to measure, and the figure to reach.

    Attributes:
        work: makes the sides when the row's turn comes.
        clock: what a side is timed with.
        each: The items per call of a side. The values are per item.
        long: whether it takes too long for a quick sample.
    """

    group: str
    name: str
    work: Callable[[], Mapping[str, Work]]
    versus: str = PUBLISHED
    reach: float | None = None
    sense: Literal["faster", "overhead"] = "faster"
    clock: Clock = cpu
    each: int = 1
    note: str = ""
    long: bool = False

    def run(self, pairs: int) -> Result:
        """Measures the row."""
        sides = self.work()
        times = measure(sides, pairs, self.clock)
        return result(self, {name: [t / self.each for t in taken] for name, taken in times.items()}, "us", 1e6)


@frozen
class Sampled:
    """A row whose sides give their own values, each time they are asked."""

    group: str
    name: str
    sample: Callable[[], Mapping[str, Callable[[], float]]]
    versus: str = PUBLISHED
    reach: float | None = None
    sense: Literal["faster", "overhead"] = "faster"
    unit: str = "us"
    scale: float = 1e6
    most: int = 15
    note: str = ""
    long: bool = False

    def run(self, pairs: int) -> Result:
        """Measures the row."""
        sides = self.sample()
        for side in () if self.long else sides.values():
            side()  # warms caches of files and code
        taken: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(max(2, min(pairs, self.most))):
            for name, side in sides.items():
                taken[name].append(side())
        return result(self, taken, self.unit, self.scale)


def result(row: Row | Sampled, taken: Mapping[str, Sequence[float]], unit: str, scale: float) -> Result:
    """Return the result of a row: the ratio of each pair, and the median of each side."""
    over, under = (row.versus, OURS) if row.sense == "faster" else (OURS, row.versus)
    ratios = [a / b for a, b in zip(taken[over], taken[under], strict=True)]
    sides = {name: statistics.median(values) * scale for name, values in taken.items()}
    return Result(
        row.group, row.name, unit, sides, row.versus, Spread.of(ratios), row.reach, row.sense, row.note, taken
    )


def measure(sides: Mapping[str, Work], pairs: int, clock: Clock = cpu) -> dict[str, list[float]]:
    """Seconds that one call of each side takes, measured in turn, `pairs` times.

    The garbage collector stays on: it is a cost.
    """
    repeats = {name: _repeats(work, clock) for name, work in sides.items()}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    gc.collect()
    gc.freeze()  # excludes objects of this program from the measurement
    try:
        for _ in range(pairs):
            for name, work in sides.items():
                taken[name].append(_time(work, repeats[name], clock))
    finally:
        gc.unfreeze()
    return taken


def _repeats(work: Work, clock: Clock) -> int:
    count = 1
    work()
    while _time(work, count, clock) * count < BATCH:
        count *= 2
    return count


def _time(work: Work, count: int, clock: Clock) -> float:
    started = clock()
    for _ in range(count):
        work()
    return (clock() - started) / count

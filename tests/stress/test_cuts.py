"""A background stream that is cut, wherever, has the events of one that is not: none is lost, none comes twice."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from letta_ext import Hooks, RetryPolicy
from letta_ext.hooks import ResumeReport

from ..client.helpers import ClientDriver
from .figures import SEED, compare, figure, sample
from .replay import CONVERSATION, HEAD, Replay, recorded, replaying, whole_answer

pytestmark = pytest.mark.stress

RETRY = RetryPolicy(max_retries=3, initial_delay=0)
RAW = {f"word{number} ": f"wörd{number} — 漢字 \U0001f642 " for number in range(20)}
BODIES = {"recorded": recorded(), "raw_utf8": recorded(RAW)}

bodies = pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)


class Cuts:
    """Streams that are cut, compared with one that is not."""

    def __init__(self, driver: ClientDriver, replay: Replay, name: str, **options: Any) -> None:
        self.driver = driver
        self.replay = replay
        self.name = name
        self.client = driver.client(base_url=replay.base_url, retry=RETRY, **options)
        self.count = self.lost = self.repeated = 0
        self.expected = self.stream(())
        assert len(self.expected) == len(replay.kept) - 1  # the end is no event

    def stream(self, cuts: Sequence[int]) -> list[Any]:
        """The events of one send whose answers are cut behind these bytes, one after the other."""
        self.replay.plan.extend(cuts)
        messages = self.client.conversations.messages
        stream = self.driver.run(
            messages.create(CONVERSATION, input="LONG 20", background=True, stream_tokens=True, include_pings=True)
        )
        events = self.driver.items(stream)
        self.replay.plan.clear()
        return events

    def __call__(self, *cuts: int) -> None:
        """Compares one cut stream."""
        lost, repeated = compare(self.expected, self.stream(cuts))
        self.count += 1
        self.lost += lost
        self.repeated += repeated

    def tell(self) -> None:
        """Says what came of it, and fails unless it is nothing."""
        surface = "async" if self.driver.is_async else "sync"
        figure(self.name, f"{surface} {self.count}, lost {self.lost}, repeated {self.repeated}")
        assert (self.lost, self.repeated) == (0, 0)
        assert len(self.replay.sends) == self.count + 1  # every send began one run


@bodies
def test_a_cut_at_every_byte(driver: ClientDriver, body: bytes, request: pytest.FixtureRequest) -> None:
    with replaying(body) as replay:
        cut = Cuts(driver, replay, f"cuts ({request.node.callspec.id.split('-')[-1]})")
        whole = whole_answer(replay.kept)
        edges = {0, 1, len(HEAD) - 1, len(HEAD), len(HEAD) + 1, *range(len(whole) - 25, len(whole) + 1)}
        for place in sorted(edges | set(sample(range(len(whole) + 1), 70))):
            cut(place)
        cut.tell()


@bodies
def test_a_cut_of_the_resumed_stream_too(driver: ClientDriver, body: bytes, request: pytest.FixtureRequest) -> None:
    chance = random.Random(SEED)
    with replaying(body) as replay:
        cut = Cuts(driver, replay, f"cuts of the resumed stream too ({request.node.callspec.id.split('-')[-1]})")
        length = len(whole_answer(replay.kept))
        for place in sample(range(length), 50):
            # What is left is shorter than the whole; a cut behind its end is one between two requests.
            cut(place, chance.randrange(len(HEAD), len(HEAD) + length - place + 1))
        cut.tell()


@bodies
def test_a_cut_of_the_end_of_a_stream_and_of_what_resumes_it(driver: ClientDriver, body: bytes) -> None:
    with replaying(body) as replay:
        cut = Cuts(driver, replay, "cuts within the end, twice")
        kept = replay.kept
        ends = [len(whole_answer(kept[:count])) - 5 for count in range(len(kept) - 3, len(kept) + 1)]
        rest = [len(whole_answer(kept[-3:][:count])) - 5 for count in range(4)]
        for first in ends:
            for second in rest:
                for third in rest:
                    cut(first, second, third)
        cut.tell()


def test_a_stream_goes_on_as_often_as_it_makes_progress(driver: ClientDriver) -> None:
    reports: list[ResumeReport] = []
    with replaying(recorded()) as replay:
        cut = Cuts(driver, replay, "cuts of every answer behind its first event", hooks=Hooks(on_resume=reports.append))
        first = len(whole_answer(replay.kept[:2])) - 5
        cut(*[first] * 30)
        assert len(reports) > 10
        assert [report.number for report in reports] == [1] * len(reports)
        assert [report.last_seq_id for report in reports] == sorted({r.last_seq_id or 0 for r in reports})
        cut.tell()

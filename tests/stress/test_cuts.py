"""A background stream that is interrupted anywhere yields each event of an uninterrupted one exactly once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from letta_ext import Hooks, RetryPolicy
from letta_ext.hooks import ResumeReport

from ..client.helpers import ClientDriver
from .figures import SEED, compare, figure, sample
from .replay import CONVERSATION, HEAD, ReplayServer, full_response, recorded_body, replay_server

pytestmark = pytest.mark.stress

RETRY = RetryPolicy(max_retries=3, initial_delay=0)
RAW = {f"word{number} ": f"wörd{number} — 漢字 \U0001f642 " for number in range(20)}
BODIES = {"recorded": recorded_body(), "raw_utf8": recorded_body(RAW)}

bodies = pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)


class CutStreams:
    """Interrupted streams, compared with an uninterrupted one."""

    def __init__(self, driver: ClientDriver, replay: ReplayServer, name: str, **options: Any) -> None:
        self.driver = driver
        self.replay = replay
        self.name = name
        self.client = driver.client(base_url=replay.base_url, retry=RETRY, **options)
        self.count = self.lost = self.repeated = 0
        self.expected = self.stream(())
        assert len(self.expected) == len(replay.entries) - 1  # the terminal event is not yielded

    def stream(self, cuts: Sequence[int]) -> list[Any]:
        """Return the events of one send whose responses are truncated at these bytes, one after another."""
        self.replay.plan.extend(cuts)
        messages = self.client.conversations.messages
        stream = self.driver.run(
            messages.create(CONVERSATION, input="LONG 20", background=True, stream_tokens=True, include_pings=True)
        )
        events = self.driver.items(stream)
        self.replay.plan.clear()
        return events

    def __call__(self, *cuts: int) -> None:
        """Compare one interrupted stream."""
        lost, repeated = compare(self.expected, self.stream(cuts))
        self.count += 1
        self.lost += lost
        self.repeated += repeated

    def report(self) -> None:
        """Print the figures; fail on lost or repeated events."""
        surface = "async" if self.driver.is_async else "sync"
        figure(self.name, f"{surface} {self.count}, lost {self.lost}, repeated {self.repeated}")
        assert (self.lost, self.repeated) == (0, 0)
        assert len(self.replay.sends) == self.count + 1  # each send began one run


@bodies
def test_stream_cut_at_every_byte_yields_each_event_once(
    driver: ClientDriver, body: bytes, request: pytest.FixtureRequest
) -> None:
    """A response truncated at any byte yields each event once."""
    with replay_server(body) as replay:
        cut = CutStreams(driver, replay, f"cuts ({request.node.callspec.id.split('-')[-1]})")
        whole = full_response(replay.entries)
        edges = {0, 1, len(HEAD) - 1, len(HEAD), len(HEAD) + 1, *range(len(whole) - 25, len(whole) + 1)}
        for place in sorted(edges | set(sample(range(len(whole) + 1), 70))):
            cut(place)
        cut.report()


@bodies
def test_resumed_stream_cut_again_yields_each_event_once(
    driver: ClientDriver, body: bytes, request: pytest.FixtureRequest
) -> None:
    """A resumed stream that is truncated too yields each event once."""
    chance = random.Random(SEED)
    with replay_server(body) as replay:
        cut = CutStreams(driver, replay, f"cuts of the resumed stream too ({request.node.callspec.id.split('-')[-1]})")
        length = len(full_response(replay.entries))
        for place in sample(range(length), 50):
            # The rest is shorter than the whole; a cut after its end falls between two requests.
            cut(place, chance.randrange(len(HEAD), len(HEAD) + length - place + 1))
        cut.report()


@bodies
def test_stream_cut_repeatedly_at_its_end_yields_each_event_once(driver: ClientDriver, body: bytes) -> None:
    """Unnumbered events at the end are yielded once, however often they are cut."""
    with replay_server(body) as replay:
        cut = CutStreams(driver, replay, "cuts within the end, twice")
        kept = replay.entries
        ends = [len(full_response(kept[:count])) - 5 for count in range(len(kept) - 3, len(kept) + 1)]
        rest = [len(full_response(kept[-3:][:count])) - 5 for count in range(4)]
        for first in ends:
            for second in rest:
                for third in rest:
                    cut(first, second, third)
        cut.report()


def test_stream_resumes_as_long_as_it_makes_progress(driver: ClientDriver) -> None:
    """A stream that yields one event per attempt resumes more often than `max_retries`."""
    reports: list[ResumeReport] = []
    with replay_server(recorded_body()) as replay:
        cut = CutStreams(
            driver, replay, "cuts of every response after its first event", hooks=Hooks(on_resume=reports.append)
        )
        first = len(full_response(replay.entries[:2])) - 5
        cut(*[first] * 30)
        assert len(reports) > 10
        assert [report.number for report in reports] == [1] * len(reports)
        assert [report.last_seq_id for report in reports] == sorted({r.last_seq_id or 0 for r in reports})
        cut.report()

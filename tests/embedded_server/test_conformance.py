"""The embedded server responds like the recorded real server in every conformance scenario.

tests/integration/test_scenarios.py recorded the real server. It runs the scenarios against both servers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from letta_ext.testing import EmbeddedServer
from tests.conformance.runner import RECORDED, SCENARIOS, ScenarioRunner, difference, read, to_text

from .conftest import SAMPLED, TLS, print_figure

pytestmark = SAMPLED


@pytest.fixture(scope="module")
def counts(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    """Count the scenarios, and print the counts at the end of the module."""
    found = Counter[str]()
    yield found
    figure = f"equal {found['equal']} / run {found['run']} of {len(SCENARIOS)}"
    print_figure(request, f"SCENARIOS embedded against recordings of the real server: {figure}")


@pytest.fixture(scope="module")
def embedded() -> Iterator[ScenarioRunner]:
    # Letta accepts and returns more than the specification allows.
    with (
        EmbeddedServer(delay=0.005, check=False) as server,
        httpx.Client(base_url=server.base_url, verify=TLS) as http,
    ):
        yield ScenarioRunner(http)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_gets_recorded_responses(path: Path, embedded: ScenarioRunner, counts: Counter[str]) -> None:
    """The responses in a scenario have the same shape as the recorded ones."""
    counts["run"] += 1
    recorded = (RECORDED / f"{path.stem}.json").read_text(encoding="utf-8")
    assert not difference(recorded, to_text(embedded.play(read(path))))
    counts["equal"] += 1


def test_scenarios_and_recordings_correspond() -> None:
    """Every scenario has a recording, and every recording a scenario."""
    assert sorted(path.stem for path in RECORDED.glob("*.json")) == [path.stem for path in SCENARIOS]
    assert len(SCENARIOS) >= 160

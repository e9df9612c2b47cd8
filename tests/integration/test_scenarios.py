"""Conformance of the embedded server: each scenario gives responses of the same shapes on the real server.

The scenarios are in tests/conformance.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from letta_ext.testing import EmbeddedServer
from tests.conformance.runner import RECORDED, SCENARIOS, ScenarioRunner, difference, read, to_text
from tests.stress.figures import sample

pytestmark = pytest.mark.stress

PLAYED = sample(SCENARIOS, 25)
EQUAL: list[str] = []


@pytest.fixture(scope="module")
def real(address: str, model: str) -> Iterator[ScenarioRunner]:
    # The server closes a connection some time after a failure, so it must not be reused.
    with httpx.Client(base_url=address, limits=httpx.Limits(max_keepalive_connections=0), timeout=120) as http:
        runner = ScenarioRunner(http, model)
        yield runner
        runner.close()


@pytest.fixture(scope="module")
def embedded(model: str) -> Iterator[ScenarioRunner]:
    # Slow enough for actions in the middle of a stream.
    with EmbeddedServer(delay=0.005, check=False) as server, httpx.Client(base_url=server.base_url) as http:
        yield ScenarioRunner(http, model)


@pytest.mark.parametrize("path", PLAYED, ids=lambda path: path.stem)
def test_scenario_gives_same_responses_on_both_servers(
    path: Path, real: ScenarioRunner, embedded: ScenarioRunner
) -> None:
    """A scenario gives responses of the same shapes on both servers."""
    scenario = read(path)
    expected = to_text(real.play(scenario))
    if os.environ.get("LETTA_RECORD"):
        (RECORDED / f"{path.stem}.json").write_text(expected, encoding="utf-8")
    assert not difference(expected, to_text(embedded.play(scenario)))
    EQUAL.append(path.stem)


@pytest.fixture(scope="module", autouse=True)
def _figures() -> Iterator[None]:
    """Print how many of the played scenarios were equal."""
    yield
    print(f"\nFIGURE embedded against the real server: equal {len(EQUAL)}, played {len(PLAYED)} of {len(SCENARIOS)}")


def test_scenario_list_is_complete() -> None:
    """The directory of scenarios is found and not truncated."""
    assert len(SCENARIOS) >= 160

"""Every scenario, played to the embedded server, gets answers of the shapes that the real server's had.

The real server's were recorded by tests/integration/test_scenarios.py, which plays the scenarios to both.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from letta_ext.testing import EmbeddedServer
from tests.conformance.runner import RECORDED, SCENARIOS, ScenarioRunner, difference, read, shown

from .conftest import SAMPLED, TLS

pytestmark = SAMPLED

EQUAL: list[str] = []


@pytest.fixture(scope="module")
def embedded() -> Iterator[ScenarioRunner]:
    # Some of what the real server takes and answers is more than the specification allows.
    with (
        EmbeddedServer(delay=0.005, check=False) as server,
        httpx.Client(base_url=server.base_url, verify=TLS) as http,
    ):
        yield ScenarioRunner(http)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_embedded_server_answers_as_the_real_one_did(path: Path, embedded: ScenarioRunner) -> None:
    recorded = (RECORDED / f"{path.stem}.json").read_text(encoding="utf-8")
    played = shown(embedded.play(read(path)))
    assert not difference(recorded, played)
    EQUAL.append(path.stem)


def test_figure(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\nSCENARIOS embedded against recordings of the real server: equal {len(EQUAL)} / all {len(SCENARIOS)}")
    assert len(SCENARIOS) >= 40

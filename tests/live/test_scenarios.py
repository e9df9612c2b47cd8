"""The embedded server against the real one: every scenario, played to both, gets answers of the same shapes.

The scenarios and the way to write one are in tests/scenarios.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from letta_ext.testing import EmbeddedServer
from tests.scenarios.playing import FOLDER, SCENARIOS, Theatre, Transcript, read

EQUAL: list[str] = []


@pytest.fixture(scope="module")
def real(address: str, model: str) -> Iterator[Theatre]:
    # A connection on which the server failed is closed at some moment later, and must not be used again.
    with httpx.Client(base_url=address, limits=httpx.Limits(max_keepalive_connections=0)) as http:
        theatre = Theatre(http, model)
        yield theatre
        theatre.close()


@pytest.fixture(scope="module")
def embedded(model: str) -> Iterator[Theatre]:
    # Slow enough that what happens in the middle of a stream happens in the middle of it.
    with EmbeddedServer(delay=0.005) as server, httpx.Client(base_url=server.base_url) as http:
        yield Theatre(http, model)


def shown(transcript: Transcript) -> str:
    return json.dumps(transcript, indent=1)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_both_servers_answer_alike(path: Path, real: Theatre, embedded: Theatre) -> None:
    scenario = read(path)
    expected = shown(real.play(scenario))
    if os.environ.get("LETTA_RECORD"):
        (FOLDER / "real" / f"{path.stem}.json").write_text(expected + "\n", encoding="utf-8")
    assert shown(embedded.play(scenario)) == expected
    EQUAL.append(path.stem)


def test_figure() -> None:
    print(f"SCENARIOS equal {len(EQUAL)} / all {len(SCENARIOS)}")
    assert len(SCENARIOS) >= 40

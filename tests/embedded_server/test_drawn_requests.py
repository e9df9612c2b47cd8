"""The embedded server rejects or processes every drawn request, without an error of its own.

tests/conformance compares the responses to drawn requests with those of a real server.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import httpx
import pytest

from letta_ext.testing import EmbeddedServer
from tests.conformance.differential import OPENING
from tests.conformance.drawing import Drawing
from tests.conformance.listed import LISTED
from tests.conformance.runner import ScenarioRunner

from .conftest import TLS

DRAWN = 100


def test_drawn_requests_get_documented_statuses() -> None:
    """Valid, unusual and mutated requests get a response, and never an unexpected error of the server."""
    statuses = Counter[int]()
    with EmbeddedServer(check=False) as server, httpx.Client(base_url=server.base_url, verify=TLS) as http:
        session = ScenarioRunner(http).session({})
        session.names |= {"tag": "tag", "call": "call_0"}
        session.play(OPENING)
        drawing = Drawing("embedded")
        for _ in range(DRAWN):
            # A request to resume behind the last event is silent.
            entry = session.play([{**drawing.request(), "patience": 0.2}])[-1]
            statuses[entry.get("status", 0)] += 1
        problems = [each for request in server.requests for each in request.problems]
    assert problems == []
    assert statuses[200] > DRAWN // 4
    assert statuses[422] > DRAWN // 10


@pytest.mark.slow
def test_drawing_repeats_requests_of_a_seed() -> None:
    """A seed determines the requests, which are JSON."""
    first, second = Drawing("1"), Drawing("1")
    drawn = [first.request() for _ in range(20)]
    assert drawn == [second.request() for _ in range(20)]
    assert drawn != [Drawing("2").request() for _ in range(20)]
    assert json.loads(json.dumps(drawn)) == drawn


def test_intended_differences_are_documented() -> None:
    """docs/testing.md lists the reason of each difference from the real server that is intended."""
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
    assert [reason for reason in LISTED if f"| {reason} |" not in page] == []

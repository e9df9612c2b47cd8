"""Large runs and periods: the requests and the work grow linearly, and the page is bounded."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from letta_ext import Letta
from letta_ext.report import ReportLimits, render_report
from letta_ext.report.build import build_view
from letta_ext.report.collect import MAX_SLICES, slice_bounds
from letta_ext.report.render import render
from tests.bench.counting import instructions

from .drawn import make_data
from .page import facts, parse, step_rows

STEPS = 5_000
AGENT = "agent-00000000-0000-4000-8000-000000000000"
RUN = "run-00000000-0000-4000-8000-000000000000"


def large_run(request: httpx.Request, sent: Counter[str]) -> httpx.Response:
    """Respond as a server with one run of 5,000 steps."""
    path = request.url.path
    if path.endswith("/steps"):
        sent["steps"] += 1
        first = int((request.url.params.get("after") or "step--1").removeprefix("step-")) + 1
        size = int(request.url.params["limit"])
        steps = [
            {
                "id": f"step-{number}",
                "model_handle": "openai/gpt-4o-mini",
                "prompt_tokens": 100,
                "completion_tokens": 10,
                "total_tokens": 110,
                "status": "success",
            }
            for number in range(first, min(first + size, STEPS))
        ]
        return httpx.Response(200, content=json.dumps(steps), headers={"content-type": "application/json"})
    if path.endswith("/messages"):
        sent["messages"] += 1
        return httpx.Response(200, json=[])
    if path.endswith("/metrics"):
        sent["metrics"] += 1
        return httpx.Response(200, json={"id": path.split("/")[-2], "step_ns": 1_000_000, "llm_request_ns": 900_000})
    if "/runs/" in path:
        sent["run"] += 1
        return httpx.Response(200, json={"id": RUN, "agent_id": AGENT, "status": "completed"})
    sent["agent"] += 1
    return httpx.Response(404, json={"detail": "Agent not found"})


def test_run_of_5000_steps_needs_a_bounded_number_of_requests() -> None:
    """Every step is in the sums. Metrics are fetched for the steps within the limit only."""
    sent: Counter[str] = Counter()
    transport = httpx.MockTransport(lambda request: large_run(request, sent))
    with Letta(base_url="http://127.0.0.1:1", http_client=httpx.Client(transport=transport)) as client:
        page = parse(render_report(client, run_id=RUN, limits=ReportLimits(steps=50)))

    assert facts(page)["Steps"] == "5,000"
    assert facts(page)["Input tokens"] == "500,000"
    assert len(step_rows(page)) == 50
    assert sent["metrics"] == 50
    assert sum(sent.values()) <= STEPS // 200 + 50 + 10


@pytest.mark.slow
def test_view_and_page_take_work_proportional_to_the_steps() -> None:
    """Twice as many steps take about twice the work, not four times."""
    few, many = (make_data(lambda: "text", steps=steps) for steps in (20, 40))

    costs = [instructions(lambda data=data: render(build_view(data))) for data in (few, many)]  # type: ignore[misc]  # bound at once

    assert costs[1] < 2.1 * costs[0]


@settings(max_examples=30, deadline=None)
@given(
    st.datetimes(datetime(1, 1, 3), datetime(9998, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # hypothesis adds it
    st.timedeltas(timedelta(microseconds=1), timedelta(days=800_000)),
)
@example(datetime(9000, 1, 1, tzinfo=UTC), timedelta(days=364_000))
def test_parts_of_a_period_are_few_and_cover_it(start: datetime, length: timedelta) -> None:
    """The parts of any period are at most `MAX_SLICES`, begin and end with it, and leave no gap."""
    try:
        end = start + length
    except OverflowError:
        end = datetime(9998, 1, 2, tzinfo=UTC)

    bounds = slice_bounds(start, end)

    assert (bounds[0], bounds[-1]) == (start, end)
    assert 2 <= len(bounds) <= MAX_SLICES + 1
    assert sorted(set(bounds)) == bounds


@pytest.mark.parametrize(
    ("length", "parts"),
    [(timedelta(hours=1), 12), (timedelta(days=1), 24), (timedelta(days=7), 28), (timedelta(days=31), 31)],
)
def test_usual_periods_have_parts_of_usual_length(length: timedelta, parts: int) -> None:
    """An hour, a day, a week and a month have parts of five minutes, an hour, six hours and a day."""
    start = datetime(2026, 1, 1, tzinfo=UTC)

    assert len(slice_bounds(start, start + length)) - 1 == parts

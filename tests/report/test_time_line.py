"""The places of steps on the time line of a run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from letta_ext.report.data import RunRecord, StepRecord
from letta_ext.report.time_line import Span, bars, place
from letta_ext.report.view import LENGTH
from letta_ext.types import Run, Step, StepMetrics

START = datetime(2026, 1, 1, tzinfo=UTC)
START_NS = int(START.timestamp()) * 1_000_000_000
SECOND = 1_000_000_000
NANOSECONDS = st.none() | st.integers(-SECOND, 3_600 * SECOND)
METRICS = st.none() | st.fixed_dictionaries(
    dict.fromkeys(("llm_request_ns", "tool_execution_ns", "step_ns"), NANOSECONDS)
)


def record(metrics: Sequence[dict[str, Any] | None], seconds: float | None = None) -> RunRecord:
    end = None if seconds is None else (START + timedelta(seconds=seconds)).isoformat()
    run = Run.from_dict({"id": "run-1", "agent_id": "agent-1", "created_at": START.isoformat(), "completed_at": end})
    steps = [
        StepRecord(
            Step.from_dict({"id": "step"}), None if each is None else StepMetrics.from_dict({"id": "step", **each})
        )
        for each in metrics
    ]
    return RunRecord(run, steps=steps)


def test_steps_without_starts_are_laid_end_to_end() -> None:
    """Each step begins where the previous one ends, and the rest of the run is outside of the steps."""
    step = {"llm_request_ns": 2 * SECOND, "tool_execution_ns": SECOND, "step_ns": 4 * SECOND}

    placed = place(record([step, step], seconds=10))

    assert placed.spans == [Span(2 * SECOND, SECOND, SECOND)] * 2
    assert placed.starts == [0, 4 * SECOND]
    assert (placed.outside, placed.length, placed.is_measured) == (2 * SECOND, 10 * SECOND, False)
    assert placed.whole == Span(4 * SECOND, 2 * SECOND, 4 * SECOND)


def test_steps_with_starts_are_placed_at_them() -> None:
    """Where the server gives the start of each step, the line has the gaps between the steps."""
    steps = [{"step_ns": SECOND, "step_start_ns": START_NS + offset * SECOND} for offset in (1, 5)]

    placed = place(record(steps, seconds=7))

    assert placed.starts == [SECOND, 5 * SECOND]
    assert (placed.outside, placed.length, placed.is_measured) == (5 * SECOND, 7 * SECOND, True)


def test_step_without_metrics_makes_the_rest_unknown() -> None:
    """With a step without metrics, it is not known how much of the run was outside of the steps."""
    placed = place(record([{"step_ns": SECOND}, None], seconds=5))

    assert placed.spans == [Span(waiting=SECOND), None]
    assert placed.outside is None


@settings(max_examples=30, deadline=None)
@given(st.lists(METRICS, max_size=8), st.none() | st.floats(0, 10_000))
def test_bars_stay_on_the_line(metrics: list[dict[str, Any] | None], seconds: float | None) -> None:
    """Any metrics, also contradictory ones, give bars within the line, and durations that are not negative."""
    placed = place(record(metrics, seconds))

    assert placed.outside is None or placed.outside >= 0
    for span, start in zip(placed.spans, placed.starts, strict=True):
        for bar in bars(span, start, placed.length):
            assert bar.start >= 0
            assert bar.length > 0
            assert bar.start + bar.length <= LENGTH + 0.02
    assert sum(span.total for span in placed.spans if span is not None) == placed.sum.total

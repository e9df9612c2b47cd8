"""The time line of a run: durations from the metrics of its steps, and their place on a line.

Letta 0.16.8 gives the duration of a step, and not its start. Without starts, the steps are laid end to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from attrs import frozen

from letta_api.models import Run

from .data import RunRecord, StepRecord
from .view import LENGTH, Bar, Kind

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHORTEST = 2.0
"""The length of a bar that is too short to be seen [`LENGTH`ths of the line]."""


@frozen
class Span:
    """The durations of a step, or sums of them [ns]. `waiting` is the rest: neither the model nor a tool runs."""

    model: int = 0
    tool: int = 0
    waiting: int = 0

    @property
    def total(self) -> int:
        """The whole duration [ns]."""
        return self.model + self.tool + self.waiting

    def __add__(self, other: Span) -> Span:
        return Span(self.model + other.model, self.tool + other.tool, self.waiting + other.waiting)


def span_of(record: StepRecord) -> Span | None:
    """Return the durations of a step. None if its metrics have none."""
    metrics = record.metrics
    if metrics is None:
        return None
    model, tool, total = (
        max(0, ns or 0) for ns in (metrics.llm_request_ns, metrics.tool_execution_ns, metrics.step_ns)
    )
    if not (model or tool or total):
        return None
    # The tool of a step that waited for an approval runs later, in another run.
    return Span(model, tool, max(0, total - model - tool))


@frozen
class Placement:
    """The steps of a run on a line.

    Attributes:
        spans: The durations of each step. None for a step without metrics.
        starts: The start of each step [ns after the start of the line].
        sum: The sum of the spans.
        outside: The time of the run outside of its steps [ns]. None if it is not known.
        length: The length of the line [ns].
        is_measured: Whether the server gives the start of each step.
    """

    spans: Sequence[Span | None]
    starts: Sequence[int]
    sum: Span
    outside: int | None
    length: int
    is_measured: bool

    @property
    def whole(self) -> Span:
        """The durations of the run, with the time outside of its steps as waiting."""
        return self.sum + Span(waiting=self.outside or 0)


def run_duration(run: Run) -> int | None:
    """Return the duration of a run [ns]. None if it has not ended, or its end is not recorded."""
    if run.created_at is not None and run.completed_at is not None:
        return max(0, (run.completed_at - run.created_at) // timedelta(microseconds=1) * 1000)
    return run.total_duration_ns


def place(record: RunRecord) -> Placement:
    """Place the steps of a run on a line."""
    spans = [span_of(each) for each in record.steps]
    total = sum((span for span in spans if span is not None), Span())
    duration = run_duration(record.run)
    is_complete = not record.omitted_steps and all(span is not None for span in spans)
    outside = max(0, duration - total.total) if duration is not None and is_complete else None
    measured = _measured_starts(record, spans)
    starts = measured if measured is not None else _end_to_end(spans)
    ends = [start + span.total for start, span in zip(starts, spans, strict=True) if span is not None]
    return Placement(spans, starts, total, outside, max([duration or 0, *ends]), measured is not None)


def _end_to_end(spans: Sequence[Span | None]) -> list[int]:
    starts: list[int] = []
    position = 0
    for span in spans:
        starts.append(position)
        position += span.total if span is not None else 0
    return starts


def _measured_starts(record: RunRecord, spans: Sequence[Span | None]) -> list[int] | None:
    """Return the starts of the steps from their metrics. None if one is absent."""
    starts: list[int] = []
    for each, span in zip(record.steps, spans, strict=True):
        start = each.metrics.step_start_ns if each.metrics is not None else None
        if start is None or span is None:
            return None
        starts.append(start)
    if not starts:
        return None
    created = record.run.created_at
    origin = min(starts)
    if created is not None:
        origin = min(origin, (created - EPOCH) // timedelta(microseconds=1) * 1000)
    return [start - origin for start in starts]


def bars(span: Span | None, start: int, length: int) -> list[Bar]:
    """Return the bars of a step on a line of a length [ns]. A step without metrics has none."""
    found: list[Bar] = []
    if span is None:
        return found
    position = start
    parts: list[tuple[Kind, int]] = [("model", span.model), ("tool", span.tool), ("waiting", span.waiting)]
    for kind, ns in parts:
        if ns > 0 and length > 0:
            drawn = max(SHORTEST, ns / length * LENGTH)
            found.append(Bar(kind, round(min(position / length * LENGTH, LENGTH - drawn), 2), round(drawn, 2)))
        position += ns
    return found

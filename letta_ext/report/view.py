"""The view model: what the page shows, as texts and numbers. The template only arranges it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from attrs import frozen

Tone: TypeAlias = Literal["plain", "good", "bad", "waiting"]
"""The meaning of a label, which has a color and a text."""

Kind: TypeAlias = Literal["model", "tool", "waiting"]
"""The use of a part of the time."""


@frozen
class Fact:
    """A figure of the summary.

    Attributes:
        label: Its name.
        value: Its value, with the unit.
        note: A remark in small print.
    """

    label: str
    value: str
    note: str = ""


@frozen
class Chip:
    """A short label, such as the outcome of a run."""

    text: str
    tone: Tone = "plain"


@frozen
class Bar:
    """A part of a time line. The line is `LENGTH` long."""

    kind: Kind
    start: float
    length: float


@frozen
class StepRow:
    """A step on the time line of a run. The texts are cells of a table."""

    number: str
    step_id: str
    model: str
    bars: Sequence[Bar]
    model_time: str
    tool_time: str
    waiting_time: str
    input: str
    cached: str
    output: str
    cost: str
    outcome: Chip


@frozen
class Block:
    """A text of a message.

    Attributes:
        text: The text.
        label: Its name, or an empty string.
        is_code: Whether it is set in a monospaced font.
        omitted: The number of characters that are not shown.
        preview: The line that is shown in place of a collapsed text. None if it is shown in full.
    """

    text: str
    label: str = ""
    is_code: bool = False
    omitted: int = 0
    preview: str | None = None


@frozen
class MessageView:
    """A message."""

    kind: str
    label: str
    name: str
    time: str
    step: str
    chip: Chip | None
    blocks: Sequence[Block]


@frozen
class TimeLine:
    """The time line of a run.

    Attributes:
        rows: The steps.
        outside: The time of the run outside of its steps, as a last row. None if it is not known.
        total: The sums.
        length: The length of the line, with the unit.
        is_measured: Whether the server gives the start of each step. Otherwise the steps are laid end to end.
        has_bars: Whether at least one step has metrics.
    """

    rows: Sequence[StepRow]
    outside: StepRow | None
    total: StepRow
    length: str
    is_measured: bool
    has_bars: bool


@frozen
class RunView:
    """A run."""

    anchor: str
    run_id: str
    title: str
    started: str
    agent: str
    outcome: Chip
    duration: str
    step_count: str
    token_count: str
    cost: str
    bars: Sequence[Bar]
    bar_text: str
    notes: Sequence[str]
    time_line: TimeLine
    messages: Sequence[MessageView]


@frozen
class Column:
    """A part of a period in the chart and in its table. The chart is `HEIGHT` high and `LENGTH` long.

    `failed_height` is the share of the failed steps in the height.
    """

    start: str
    steps: str
    failed: str
    input: str
    output: str
    cost: str
    x: float
    width: float
    height: float
    failed_height: float


@frozen
class Chart:
    """The chart of a period.

    Attributes:
        columns: The parts of the period.
        measure: What the heights show, with the unit.
        maximum: The highest value.
        first: The start of the period.
        last: The end of the period.
    """

    columns: Sequence[Column]
    measure: str
    maximum: str
    first: str
    last: str


@frozen
class ModelRow:
    """The sums of a model."""

    model: str
    steps: str
    input: str
    cached: str
    output: str
    reasoning: str
    cost: str


@frozen
class ErrorView:
    """Failed steps with the same error."""

    error_type: str
    message: Block
    count: str
    run_id: str
    anchor: str
    traceback: Block | None


@frozen
class ReportView:
    """A page."""

    title: str
    subtitle: str
    outcome: Chip | None
    facts: Sequence[Fact]
    notices: Sequence[str]
    errors: Sequence[ErrorView]
    chart: Chart | None
    models: Sequence[ModelRow]
    stop_reasons: Sequence[tuple[str, str]]
    runs: Sequence[RunView]
    is_period: bool
    currency: str
    prices: str
    created: str
    version: str


LENGTH = 1000
HEIGHT = 100

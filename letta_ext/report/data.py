"""The data of a report, as collected from the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from attrs import Factory, define, field, frozen

from letta_api.models import Run, Step, StepMetrics
from letta_api.unions.message import Message

from .._settings_checks import check_count
from .prices import PriceTable, TokenUsage

PENDING: Final = "requires_approval"
"""The stop reason of a run that waits for approvals or for results of client tools."""

MAX_FAILURES: Final = 50
"""Distinct errors in a report."""


@frozen
class ReportLimits:
    """The bounds of the detail in a report. Totals always cover everything.

    Attributes:
        runs: The runs of a period with steps and messages, the newest first. Defaults to 100.
        steps: The steps on time lines, in all runs together. Each needs a request for its metrics. Defaults to 1,000.
        messages: The messages, in all runs together. Defaults to 2,000.
        text: The characters of each text. Defaults to 20,000.

    Raises:
        TypeError: If a bound is not a whole number.
        ValueError: If a bound is not positive.
    """

    runs: int = 100
    steps: int = 1_000
    messages: int = 2_000
    text: int = 20_000

    def __attrs_post_init__(self) -> None:
        for name in ("runs", "steps", "messages", "text"):
            check_count(name, getattr(self, name), 1)


def usage_of(step: Step) -> TokenUsage | None:
    """Return the tokens of a step. None if the provider has not reported any.

    Gemini reports reasoning outside of `completion_tokens`, and within `total_tokens`.
    """
    prompt, completion = step.prompt_tokens or 0, step.completion_tokens or 0
    if not prompt and not completion:
        return None
    inputs, outputs = step.prompt_tokens_details or {}, step.completion_tokens_details or {}
    return TokenUsage(
        input=prompt,
        cached=_first(step.cached_input_tokens, inputs.get("cache_read_tokens"), inputs.get("cached_tokens")),
        cache_write=_first(step.cache_write_tokens, inputs.get("cache_creation_tokens")),
        output=max(completion, (step.total_tokens or 0) - prompt),
        reasoning=_first(step.reasoning_tokens, outputs.get("reasoning_tokens")),
    )


def _first(*values: object) -> int:
    return next((value for value in values if isinstance(value, int) and value), 0)


@define
class Tally:
    """Sums over steps.

    Attributes:
        steps: The number of steps.
        failed: The number of failed steps.
        usage: The sum of the reported tokens.
        cost: The sum of the known costs. None if no cost is known.
        unpriced: The number of steps with tokens and without a cost, by model.
        unreported: The number of steps without token counts.
        silent: The number of those that have not failed.
    """

    steps: int = 0
    failed: int = 0
    usage: TokenUsage = field(factory=TokenUsage)
    cost: Decimal | None = None
    unpriced: Counter[str] = field(factory=Counter[str])
    unreported: int = 0
    silent: int = 0

    def add(self, step: Step, prices: PriceTable) -> None:
        """Add a step."""
        self.steps += 1
        self.failed += has_failed(step)
        usage = usage_of(step)
        if usage is None:
            self.unreported += 1
            self.silent += not has_failed(step)
            return
        self.usage += usage
        cost = prices.cost(step.model_handle, usage)
        if cost is None:
            self.unpriced[model_of(step)] += 1
        else:
            self.cost = cost if self.cost is None else self.cost + cost


def model_of(step: Step) -> str:
    """Return the name of the model of a step."""
    return step.model_handle or step.model or "unknown model"


def has_failed(step: Step) -> bool:
    """Return whether a step has failed."""
    return step.status == "failed" or bool(step.error_type)


def error_of(step: Step) -> tuple[str, str]:
    """Return the type and the message of the error of a failed step."""
    message = (step.error_data or {}).get("message")
    return step.error_type or "Error", "" if message is None else str(message)


@define
class Failure:
    """Failed steps with the same error.

    Attributes:
        step: The step that was read last.
        count: The number of steps.
    """

    step: Step
    count: int = 0


@define
class Totals(Tally):
    """Sums over all steps of a report.

    Attributes:
        models: The sums by model.
        stop_reasons: The number of steps by stop reason.
        failures: The failed steps by error, for the first `MAX_FAILURES` errors.
        other_failures: The number of failed steps with other errors.
    """

    models: dict[str, Tally] = field(factory=dict[str, Tally])
    stop_reasons: Counter[str] = field(factory=Counter[str])
    failures: dict[tuple[str, str], Failure] = field(factory=dict[tuple[str, str], Failure])
    other_failures: int = 0

    def add(self, step: Step, prices: PriceTable) -> None:
        """Add a step."""
        Tally.add(self, step, prices)
        self.models.setdefault(model_of(step), Tally()).add(step, prices)
        if step.stop_reason:
            self.stop_reasons[step.stop_reason] += 1
        if has_failed(step):
            self._add_failure(step)

    def _add_failure(self, step: Step) -> None:
        key = error_of(step)
        if key not in self.failures and len(self.failures) >= MAX_FAILURES:
            self.other_failures += 1
            return
        failure = self.failures.setdefault(key, Failure(step))
        failure.step = step
        failure.count += 1


@frozen
class StepRecord:
    """A step with its metrics. They are None if the server has none."""

    step: Step
    metrics: StepMetrics | None


@frozen
class RunRecord:
    """A run with its steps and messages.

    Attributes:
        run: The run.
        tally: The sums over all its steps.
        steps: The first steps, oldest first.
        messages: The first messages, oldest first.
        omitted_steps: The number of steps that are not in `steps`.
        has_more_messages: Whether there are messages that are not in `messages`.
        problem: Why the steps or the messages are not complete, or an empty string.
    """

    run: Run
    tally: Tally = Factory(Tally)
    steps: Sequence[StepRecord] = ()
    messages: Sequence[Message] = ()
    omitted_steps: int = 0
    has_more_messages: bool = False
    problem: str = ""


@frozen
class Slice:
    """A part of a period: its sums, from its start and up to its end."""

    start: datetime
    end: datetime
    tally: Tally


@frozen
class Period:
    """The extent of a report on a period.

    Attributes:
        start: The start.
        end: The end, which is not part of it.
        agent_id: The agent. None for all agents.
        slices: The parts of the period.
        run_count: The number of runs that began in the period.
        statuses: The number of runs by status.
    """

    start: datetime
    end: datetime
    agent_id: str | None
    slices: Sequence[Slice]
    run_count: int
    statuses: Mapping[str, int]


@frozen
class ReportData:
    """The data of a report.

    Attributes:
        runs: The runs with detail: one, or the newest of a period.
        totals: The sums over all steps.
        agents: The names of agents by id.
        prices: The prices of the costs.
        limits: The bounds of the detail.
        created: The time of the report.
        period: The period. None for the report of a run.
    """

    runs: Sequence[RunRecord]
    totals: Totals
    agents: Mapping[str, str]
    prices: PriceTable
    limits: ReportLimits
    created: datetime
    period: Period | None = None

"""The view model from the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from attrs import define, evolve

from .._version import __version__
from .chart import chart_of
from .data import PENDING, ReportData, RunRecord, StepRecord, Tally, error_of, has_failed, model_of, usage_of
from .messages import call_names, message_views, requested_calls, resolved_calls
from .text import DASH, column_decimals, count, cut, duration, first_line, instant, moment, money, plural, seconds
from .time_line import Placement, Span, bars, place, run_duration
from .view import Block, Chip, ErrorView, Fact, Kind, ModelRow, ReportView, RunView, StepRow, TimeLine, Tone

LONG_ERROR = 300
"""Characters of an error that is shown at once."""

CHIP = 40
"""Characters of a stop reason or an error type in a label."""

NAME = 80
"""Characters of the name of a model."""

SHOWN_NS = 500_000
"""The shortest duration that is not 0 in a column [ns]."""

NAMES: dict[Kind, str] = {"model": "model", "tool": "tools", "waiting": "waiting"}


@define
class _Shown:
    """A run with its place on a time line."""

    number: int
    record: RunRecord
    placement: Placement

    @property
    def anchor(self) -> str:
        return f"run-{self.number}"

    @property
    def duration(self) -> int | None:
        """The duration of the run, and at least that of its steps [ns]. None if neither is known."""
        return self.placement.length or run_duration(self.record.run)


def build_view(data: ReportData) -> ReportView:
    """Return the view of a report."""
    shown = [_Shown(number, record, place(record)) for number, record in enumerate(data.runs, 1)]
    waits = _approval_waits(shown)
    anchors = {each.record.run.id: each.anchor for each in shown}
    longest = max((each.placement.whole.total for each in shown), default=0)
    names = call_names(message for each in data.runs for message in each.messages)
    runs = [_run_view(each, data, waits, names, longest) for each in shown]
    title, subtitle = _heading(data)
    return ReportView(
        title=title,
        subtitle=subtitle,
        outcome=None if data.period else runs[0].outcome,
        facts=_period_facts(data, shown) if data.period else _run_facts(data, shown[0]),
        notices=list(_notices(data, shown)),
        errors=list(_errors(data, shown, anchors)),
        chart=chart_of(data.period, data.prices.currency) if data.period else None,
        models=_model_rows(data),
        stop_reasons=[
            (first_line(reason, CHIP), count(number)) for reason, number in data.totals.stop_reasons.most_common()
        ],
        runs=runs,
        is_period=data.period is not None,
        currency=data.prices.currency,
        prices=", ".join(filter(None, [data.prices.source, data.prices.date])),
        created=instant(data.created),
        version=__version__,
    )


def _heading(data: ReportData) -> tuple[str, str]:
    period = data.period
    if period is None:
        run = data.runs[0].run
        agent = data.agents.get(run.agent_id, run.agent_id)
        started = f"{instant(run.created_at)} UTC" if run.created_at is not None else ""
        return f"Run {run.id}", " · ".join(filter(None, [started, f"Agent {agent}", run.conversation_id]))
    agent = "All agents" if period.agent_id is None else f"Agent {data.agents.get(period.agent_id, period.agent_id)}"
    return f"{moment(period.start)} to {moment(period.end)}", agent


def _run_facts(data: ReportData, shown: _Shown) -> list[Fact]:
    whole, total = shown.placement.whole, shown.duration
    note = "" if run_duration(shown.record.run) is not None else "Sum of the steps"
    return [
        Fact("Duration", duration(total), note),
        *_time_facts(whole, shown.placement),
        Fact("Steps", count(data.totals.steps), f"{count(data.totals.failed)} failed" if data.totals.failed else ""),
        *_token_facts(data),
    ]


def _period_facts(data: ReportData, shown: Sequence[_Shown]) -> list[Fact]:
    assert data.period is not None  # noqa: S101  # the only caller has checked it
    by_number = sorted(data.period.statuses.items(), key=lambda item: (-item[1], item[0]))
    statuses = ", ".join(f"{count(number)} {first_line(status, CHIP)}" for status, number in by_number)
    whole = sum((each.placement.whole for each in shown), Span())
    return [
        Fact("Runs", count(data.period.run_count), statuses),
        Fact("Steps", count(data.totals.steps), f"{count(data.totals.failed)} failed" if data.totals.failed else ""),
        *_token_facts(data),
        *_time_facts(whole, None, f" in {plural(len(shown), 'run')}" if len(shown) < data.period.run_count else ""),
    ]


def _time_facts(whole: Span, placement: Placement | None, extent: str = "") -> list[Fact]:
    if not whole.total:
        return []
    is_partial = placement is not None and placement.outside is None
    share = {kind: f"{getattr(whole, kind) / whole.total:.0%}" for kind in ("model", "tool", "waiting")}
    waiting_note = "Within the steps" if is_partial else f"{share['waiting']} of the time{extent}"
    return [
        Fact("Model time", duration(whole.model), f"{share['model']} of the time{extent}"),
        Fact("Tool time", duration(whole.tool), f"{share['tool']} of the time{extent}"),
        Fact("Waiting", duration(whole.waiting), waiting_note),
    ]


def _token_facts(data: ReportData) -> list[Fact]:
    usage, totals = data.totals.usage, data.totals
    if totals.unreported == totals.steps:
        return [Fact("Input tokens", DASH), Fact("Output tokens", DASH), Fact(f"Cost [{data.prices.currency}]", DASH)]
    unpriced = sum(totals.unpriced.values())
    cost = money(totals.cost) if totals.cost is not None else "unknown"
    return [
        Fact("Input tokens", count(usage.input), f"{count(usage.cached)} cached" if usage.cached else ""),
        Fact("Output tokens", count(usage.output), f"{count(usage.reasoning)} reasoning" if usage.reasoning else ""),
        Fact(
            f"Cost [{data.prices.currency}]",
            cost,
            f"{plural(unpriced, 'step')} without a price" if unpriced else "",
        ),
    ]


def _notices(data: ReportData, shown: Sequence[_Shown]) -> Iterator[str]:
    """Yield the remarks on what the report lacks, and how to get it."""
    totals, period = data.totals, data.period
    if period is not None and not period.run_count and not totals.steps:
        yield "The period has no runs and no steps."
    if period is not None and period.run_count > len(shown):
        yield (
            f"Steps and messages are shown for the newest {count(len(shown))} of {count(period.run_count)} runs. The "
            "sums cover all. For older runs, raise the limit of runs or choose a shorter period."
        )
    omitted = sum(each.record.omitted_steps for each in shown)
    if omitted:
        yield f"{plural(omitted, 'step')} beyond the limit of {count(data.limits.steps)} steps are in the sums only."
    cut_runs = sum(each.record.has_more_messages for each in shown)
    if cut_runs:
        yield (
            f"Messages of {plural(cut_runs, 'run')} are beyond the limit of {count(data.limits.messages)} messages. To "
            "see them, raise the limit of messages, or report on the run alone."
        )
    if totals.unpriced:
        models = ", ".join(
            f"{first_line(model, NAME)} ({plural(number, 'step')})" for model, number in totals.unpriced.most_common(10)
        )
        more = len(totals.unpriced) - 10
        yield (
            f"No price is known for {models}{f' and {count(more)} more models' if more > 0 else ''}. Their cost is "
            "missing in all sums. A price table of your own adds it."
        )
    if totals.silent:
        yield f"The server reports no tokens for {plural(totals.silent, 'step')}."
    missing = sum(span is None for each in shown for span in each.placement.spans)
    if missing:
        yield f"The server has no metrics for {plural(missing, 'step')}. The time lines and times are without them."


def _errors(data: ReportData, shown: Sequence[_Shown], anchors: Mapping[str, str]) -> Iterator[ErrorView]:
    failures = sorted(data.totals.failures.items(), key=lambda item: -item[1].count)
    for (error_type, message), failure in failures:
        step = failure.step
        run_id = step.run_id or ""
        trace = (step.error_data or {}).get("traceback")
        yield ErrorView(
            error_type,
            _block(message or "The server gives no message.", data.limits.text),
            plural(failure.count, "step"),
            run_id,
            anchors.get(run_id, ""),
            _block(str(trace), data.limits.text) if trace else None,
        )
    if data.totals.other_failures:
        text = "Errors of other kinds. Choose a shorter period to see them."
        yield ErrorView("Further errors", Block(text), plural(data.totals.other_failures, "step"), "", "", None)
    for each in shown:
        run = each.record.run
        if run.status == "failed" and not each.record.tally.failed:
            text = str((run.metadata or {}).get("error") or f"The run has ended with {run.stop_reason or 'an error'}.")
            yield ErrorView("Failed run", _block(text, data.limits.text), "1 run", run.id, each.anchor, None)


def _block(text: str, limit: int) -> Block:
    shown, omitted = cut(text, limit)
    return Block(shown, omitted=omitted, preview=first_line(shown) if len(shown) > LONG_ERROR else None)


def _by_tokens(models: Mapping[str, Tally]) -> list[tuple[str, Tally]]:
    return sorted(models.items(), key=lambda item: (-(item[1].usage.input + item[1].usage.output), item[0]))


def _model_rows(data: ReportData) -> list[ModelRow]:
    decimals = column_decimals(data.totals.cost)
    return [_model_row(model, tally, decimals) for model, tally in _by_tokens(data.totals.models)]


def _model_row(model: str, tally: Tally, decimals: int) -> ModelRow:
    usage = tally.usage
    known = tally.unreported < tally.steps
    return ModelRow(
        first_line(model, NAME),
        count(tally.steps),
        count(usage.input) if known else DASH,
        count(usage.cached) if known else DASH,
        count(usage.output) if known else DASH,
        count(usage.reasoning) if known else DASH,
        money(tally.cost, decimals),
    )


def _approval_waits(shown: Sequence[_Shown]) -> dict[str, timedelta | None]:
    """Return how long each run waited for the response to its approval request. None without a response."""
    resolved = {
        call_id: each for each in shown for message in each.record.messages for call_id in resolved_calls(message)
    }
    waits: dict[str, timedelta | None] = {}
    for each in shown:
        calls = [call_id for message in each.record.messages for call_id in requested_calls(message)]
        if not calls:
            continue
        run = each.record.run
        response = next((resolved[call_id] for call_id in reversed(calls) if call_id in resolved), None)
        end = run.completed_at or run.created_at
        start = response.record.run.created_at if response is not None else None
        waits[run.id] = start - end if start is not None and end is not None and start > end else None
        if response is not None and waits[run.id] is None:
            waits[run.id] = timedelta(0)
    return waits


def _outcome(record: RunRecord, waits: Mapping[str, timedelta | None]) -> Chip:
    run = record.run
    last = record.steps[-1].step.stop_reason if record.steps else None
    reason = first_line(run.stop_reason or last or "", CHIP)
    if run.status == "failed" or (record.steps and has_failed(record.steps[-1].step)):
        return Chip(f"failed: {reason}" if reason else "failed", "bad")
    if reason == PENDING:
        is_open = waits.get(run.id) is None
        return Chip("waiting for approval", "waiting") if is_open else Chip("approval requested")
    if run.status == "cancelled" or reason == "cancelled":
        return Chip("cancelled", "waiting")
    if run.status == "completed" or reason == "end_turn":
        return Chip("completed" if reason in ("", "end_turn") else f"completed: {reason}", "good")
    return Chip(first_line(run.status or "unknown", CHIP))


def _run_view(
    shown: _Shown, data: ReportData, waits: Mapping[str, timedelta | None], names: Mapping[str, str], longest: int
) -> RunView:
    record, run, whole = shown.record, shown.record.run, shown.placement.whole
    numbers = {each.step.id: number for number, each in enumerate(record.steps, 1)}
    messages = message_views(record.messages, numbers, names, run.created_at, data.limits.text)
    asked = next((each for each in messages if each.kind == "user" and each.blocks), None)
    title = first_line(asked.blocks[0].text) if asked else (messages[0].label if messages else "No messages")
    usage = record.tally.usage
    cost = record.tally.cost
    return RunView(
        anchor=shown.anchor,
        run_id=run.id,
        title=title or "Empty message",
        started=instant(run.created_at),
        agent=data.agents.get(run.agent_id, run.agent_id),
        outcome=_outcome(record, waits),
        duration=duration(shown.duration),
        step_count=plural(record.tally.steps, "step"),
        token_count=plural(usage.input + usage.output, "token"),
        cost=f"{money(cost)} {data.prices.currency}" if cost is not None else "",
        bars=bars(whole, 0, longest),
        bar_text=", ".join(f"{NAMES[kind]} {duration(getattr(whole, kind))}" for kind in NAMES),
        notes=list(_run_notes(shown, data, waits)),
        time_line=_time_line(shown, data),
        messages=messages,
    )


def _run_notes(shown: _Shown, data: ReportData, waits: Mapping[str, timedelta | None]) -> Iterator[str]:
    record, run = shown.record, shown.record.run
    if run.id in waits:
        wait = waits[run.id]
        if wait is None:
            yield "The run asks for an approval or the return of a client tool. This report has no response to it."
        else:
            waited = duration(wait // timedelta(microseconds=1) * 1000)
            yield f"The response to the approval request came after {waited}."
    if record.omitted_steps:
        yield f"{plural(record.omitted_steps, 'step')} beyond the limit of the report are in the sums only."
    if record.has_more_messages:
        yield "Further messages are beyond the limit of the report."
    if record.problem:
        yield first_line(record.problem, LONG_ERROR)
    if run.callback_error:
        yield f"The callback has failed: {first_line(run.callback_error)}"


def _time_line(shown: _Shown, data: ReportData) -> TimeLine:
    placement, record = shown.placement, shown.record
    decimals = column_decimals(record.tally.cost)
    rows = [
        evolve(_step_row(each, span, data, decimals), number=str(number), bars=bars(span, start, placement.length))
        for number, (each, span, start) in enumerate(
            zip(record.steps, placement.spans, placement.starts, strict=True), 1
        )
    ]
    outside = placement.outside
    waiting = _sum_row("Outside of steps", Span(waiting=outside or 0), placement.sum.total, placement.length)
    if placement.is_measured:  # it is between the steps
        waiting = _sum_row("Outside of steps", Span(waiting=outside or 0), 0, 0)
    total = _total_row(shown, decimals)
    return TimeLine(
        rows,
        waiting if outside is not None and outside >= SHOWN_NS and rows else None,
        total,
        duration(placement.length),
        placement.is_measured,
        any(span is not None for span in placement.spans),
    )


def _step_row(record: StepRecord, span: Span | None, data: ReportData, decimals: int) -> StepRow:
    step, usage = record.step, usage_of(record.step)
    reason = step.stop_reason or ("tool call" if step.status == "success" else step.status or "unknown")
    tone: Tone = "bad" if has_failed(step) else "waiting" if reason == PENDING else "plain"
    return StepRow(
        number="",
        step_id=step.id,
        model=first_line(model_of(step), NAME),
        bars=[],
        model_time=seconds(span.model) if span is not None else DASH,
        tool_time=seconds(span.tool) if span is not None else DASH,
        waiting_time=seconds(span.waiting) if span is not None else DASH,
        input=count(usage.input if usage else None),
        cached=count(usage.cached if usage else None),
        output=count(usage.output if usage else None),
        cost=money(data.prices.cost(step.model_handle, usage) if usage else None, decimals),
        outcome=Chip(first_line(error_of(step)[0] if has_failed(step) else reason, CHIP), tone),
    )


def _sum_row(number: str, span: Span, start: int, length: int) -> StepRow:
    return StepRow(number, "", "", bars(span, start, length), "", "", seconds(span.waiting), "", "", "", "", Chip(""))


def _total_row(shown: _Shown, decimals: int) -> StepRow:
    whole, tally = shown.placement.whole, shown.record.tally
    is_known = tally.unreported < tally.steps
    return StepRow(
        "Sum",
        "",
        "",
        [],
        seconds(whole.model),
        seconds(whole.tool),
        seconds(whole.waiting),
        count(tally.usage.input if is_known else None),
        count(tally.usage.cached if is_known else None),
        count(tally.usage.output if is_known else None),
        money(tally.cost, decimals),
        Chip(""),
    )

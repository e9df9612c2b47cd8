"""Report data of which every text is given by a function, as a server with any texts would send it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from letta_api.models import Run, Step, StepMetrics
from letta_ext.report.data import Period, ReportData, ReportLimits, RunRecord, Slice, StepRecord, Tally, Totals
from letta_ext.report.prices import ModelPrice, PriceTable
from letta_ext.types import Message, message_from_dict

START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC)
DATE = "2026-01-01T00:00:01+00:00"

Text = Callable[[], str]


def make_data(text: Text, *, is_period: bool = True, steps: int = 2, limits: ReportLimits | None = None) -> ReportData:
    """Return a report of one run in which each text is drawn."""
    run = Run.from_dict(
        {
            "id": text(),
            "agent_id": "agent-1",
            "conversation_id": text(),
            "status": "failed",
            "stop_reason": text(),
            "callback_error": text(),
            "metadata": {"error": text()},
            "created_at": DATE,
            "completed_at": END.isoformat(),
        }
    )
    prices = PriceTable(
        {"priced": ModelPrice(1, 2)},
        source=text(),
        date=text(),
        currency=text(),
    )
    step_records = [StepRecord(_step(number, text), _metrics(number)) for number in range(steps)]
    totals, tally = Totals(), Tally()
    for each in step_records:
        totals.add(each.step, prices)
        tally.add(each.step, prices)
    record = RunRecord(run, tally, step_records, messages(text))
    # The run failed without a failed step, which is an error of its own.
    other = RunRecord(Run.from_dict({**run.to_dict(), "id": text()}))
    period = Period(START, END, "agent-1", [Slice(START, END, tally)], 3, {text(): 3})
    agents = {"agent-1": text()}
    return ReportData(
        [record, other] if is_period else [record],
        totals,
        agents,
        prices,
        limits or ReportLimits(),
        START,
        period if is_period else None,
    )


def _step(number: int, text: Text) -> Step:
    failed = number % 2 == 1
    return Step.from_dict(
        {
            "id": f"step-{number}",
            "model_handle": "priced" if number % 3 == 0 else text(),
            "prompt_tokens": 100 + number,
            "completion_tokens": 10,
            "total_tokens": 110 + number,
            "status": "failed" if failed else "success",
            "stop_reason": text(),
            "error_type": text() if failed else None,
            "error_data": {"message": text(), "traceback": text()} if failed else None,
            "run_id": text(),
        }
    )


def _metrics(number: int) -> StepMetrics:
    return StepMetrics.from_dict(
        {"id": f"step-{number}", "llm_request_ns": 800, "tool_execution_ns": 150, "step_ns": 1_000}
    )


def messages(text: Text) -> list[Message]:
    """Return a message of each type."""
    call = {"name": text(), "arguments": text(), "tool_call_id": text()}
    returned = {
        "status": "error",
        "tool_call_id": text(),
        "tool_return": text(),
        "stdout": [text()],
        "stderr": [text()],
    }
    contents: list[dict[str, Any]] = [
        {"message_type": "system_message", "content": text()},
        {"message_type": "user_message", "content": text(), "name": text()},
        {
            "message_type": "user_message",
            "content": [
                {"type": "text", "text": text()},
                {"type": "image", "source": {"type": "url", "url": text()}},
                {"type": "image", "source": {"type": "base64", "media_type": text(), "data": "AA=="}},
                {"type": "hologram", "value": text()},
            ],
        },
        {"message_type": "reasoning_message", "reasoning": text()},
        {"message_type": "hidden_reasoning_message", "state": text(), "hidden_reasoning": text()},
        {"message_type": "tool_call_message", "tool_call": call},
        {"message_type": "tool_call_message", "tool_call": call, "tool_calls": [call, {**call, "name": text()}]},
        {"message_type": "approval_request_message", "tool_call": call},
        {
            "message_type": "approval_response_message",
            "approvals": [
                {"type": "approval", "approve": False, "tool_call_id": text(), "reason": text()},
                {"type": "tool", **returned},
            ],
        },
        {"message_type": "tool_return_message", "name": text(), **returned},
        {
            "message_type": "tool_return_message",
            **returned,
            "tool_returns": [returned, {**returned, "tool_call_id": "b"}],
        },
        {"message_type": "assistant_message", "content": text()},
        {"message_type": "summary_message", "summary": text()},
        {"message_type": "event_message", "event_type": text(), "event_data": {"key": text()}},
        {"message_type": text(), "value": text()},
        {"message_type": "assistant_message", "content": {"unexpected": text()}},
    ]
    return [
        message_from_dict({"id": f"message-{number}", "date": DATE, "step_id": "step-0", **content})
        for number, content in enumerate(contents)
    ]

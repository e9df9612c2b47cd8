"""`letta-ext step show`, and the time of steps, which the server keeps in their metrics."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any, Final

import typer

from letta_api.models import ProviderTrace, Step, StepMetrics

from .._sync.client import Letta
from .._types import is_mapping, is_sequence
from ..errors import LettaError, NotFoundError
from .help import Command, Group
from .session import Session, checked, command
from .tables import COLUMNS, Column, duration
from .terminal_text import to_json
from .values import to_json_value

MAX_TIMED: Final = 200
"""Steps of a table whose metrics are fetched."""

CONNECTIONS: Final = 8


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(cls=Group, help="One step.")
    group.command("show", cls=Command)(command(show_step))
    app.add_typer(group, name="step")


def columns_with_time(client: Letta, steps: Sequence[Step]) -> list[Column]:
    """Return the columns of a table of steps, with the time of each. It takes a request per step."""
    with ThreadPoolExecutor(CONNECTIONS) as executor:
        metrics = executor.map(partial(_metrics, client), steps)
        found = {step.id: each for step, each in zip(steps, metrics, strict=True)}
    identity, *others = COLUMNS["Step"]
    return [
        identity,
        Column("time", lambda step: duration(getattr(found[step.id], "step_ns", None)), right=True),
        *others,
    ]


def _metrics(client: Letta, step: Step) -> StepMetrics | None:
    """Return the metrics of a step, or None if they cannot be fetched: the table is useful without them."""
    try:
        return client.steps.metrics.retrieve(step.id, max_retries=0)
    except LettaError:
        return None


def show_step(
    session: Session,
    step_id: Annotated[str, typer.Argument(metavar="STEP_ID", help="The id of the step.", show_default=False)],
    full: Annotated[
        bool, typer.Option("--full", help="Print the whole request to the model and its response.", show_default=False)
    ] = False,
) -> None:
    """Print a step with its durations, and with the request to the model and its response."""
    client, output = session.client, session.output
    step = checked(client.steps.retrieve, step_id)
    try:
        metrics = client.steps.metrics.retrieve(step_id)
    except NotFoundError:
        metrics = None  # a step that has not ended
    trace = client.steps.trace.retrieve(step_id)
    if output.as_json:
        output.json_line({"step": step, "metrics": metrics, "trace": trace})
        return
    fields = to_json_value(step)
    summary = {} if trace is None or full else _summary(trace)
    output.value({name: fields.get(name) for name in SHOWN} | _durations(metrics) | summary)
    if trace is None:
        output.note("The server has no trace of this step.")
    elif full:
        output.value({"request": trace.request_json, "response": trace.response_json})
    else:
        output.note("--full prints the whole request and response.")


SHOWN: Final = (
    "id",
    "agent_id",
    "run_id",
    "status",
    "stop_reason",
    "error_type",
    "error_data",
    "model_handle",
    "prompt_tokens",
    "cached_input_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "total_tokens",
    "context_window_limit",
    "feedback",
    "tags",
)
"""The fields of a step that people read. JSON has all of them."""


def _durations(metrics: StepMetrics | None) -> dict[str, str]:
    if metrics is None:
        return {}
    return {
        "time": duration(metrics.step_ns),
        "model time": duration(metrics.llm_request_ns),
        "tool time": duration(metrics.tool_execution_ns),
    }


def _summary(trace: ProviderTrace) -> dict[str, Any]:
    request = trace.request_json
    messages, tools = request.get("messages"), request.get("tools")
    return {
        "request": f"{_count(messages)} messages, {_count(tools)} tools",
        "last message": _last_text(messages),
        "response": _response_text(trace.response_json),
    }


def _count(value: Any) -> int:
    return len(value) if is_sequence(value) else 0


def _last_text(messages: Any) -> str:
    last = messages[-1] if is_sequence(messages) and messages else None
    return _content(last.get("content")) if is_mapping(last) else ""


def _response_text(response: Any) -> str:
    """Return the text of a response in the format of OpenAI or Anthropic, or else the JSON."""
    choices = response.get("choices") if is_mapping(response) else None
    if is_sequence(choices) and choices and is_mapping(choices[0]) and is_mapping(choices[0].get("message")):
        message = choices[0]["message"]
        return _content(message.get("content")) or to_json(message.get("tool_calls"))
    content = response.get("content") if is_mapping(response) else None
    return _content(content) if content else to_json(response)


def _content(content: Any) -> str:
    return content if isinstance(content, str) else to_json(content) if content else ""

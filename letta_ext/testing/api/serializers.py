"""JSON representations of the records, with Letta's keys in Letta's order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..engine.agent import Usage
from ..store.ids import ORGANIZATION_ID, USER_ID, part_otid
from ..store.models import Approval, Json, Message, Step, ToolReturn, model_name
from .errors import RunFailedError

MODEL_ENDPOINT = "http://127.0.0.1:9911/v1"


def encode(value: object) -> str:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def nulls(*names: str) -> Json:
    """Return these keys with the value null."""
    return {**dict.fromkeys(names)}


def instant(date: datetime) -> str:
    """Format the date of a message: whole seconds and a numeric offset."""
    return date.isoformat(timespec="seconds")


def precise_instant(date: datetime) -> str:
    """Format the date of other records: microseconds and ``Z``."""
    return date.isoformat(timespec="microseconds").replace("+00:00", "Z")


def spoken_instant(date: datetime) -> str:
    """Format a date for a prompt of the model."""
    return f"{date:%Y-%m-%d %I:%M:%S %p} UTC+0000"


def _envelope(message: Message, message_type: str, otid: str | None, seq_id: int | None = None) -> Json:
    return {
        "id": message.id,
        "date": instant(message.created_at),
        "name": message.name,
        "message_type": message_type,
        "otid": otid,
        "sender_id": message.sender_id,
        "step_id": message.step_id,
        "is_err": None,
        "seq_id": seq_id,
        "run_id": message.run_id,
    }


def part(message: Message, message_type: str, index: int, **fields: object) -> Json:
    """Return one part of a turn, or one delta of it. The index distinguishes the parts."""
    otid = message.id if index < 0 else part_otid(message.id, index)
    return {**_envelope(message, message_type, otid), **fields}


def reasoning_part(message: Message, index: int, reasoning: str, source: str = "reasoner_model") -> Json:
    """Return a ``reasoning_message``."""
    return part(message, "reasoning_message", index, source=source, reasoning=reasoning, signature=None)


def return_object(returned: ToolReturn, *, with_parts: bool = False) -> Json:
    """Return the result of a tool call.

    Args:
        returned: The result.
        with_parts: Whether to return content parts instead of text. Defaults to False.
    """
    return {
        "type": "tool",
        "tool_return": returned.parts if with_parts and returned.parts is not None else returned.text,
        "status": returned.status,
        "tool_call_id": returned.tool_call_id,
        "stdout": returned.stdout,
        "stderr": returned.stderr,
    }


def approval_object(approval: Approval) -> Json:
    """Return the approval or denial of a tool call."""
    return {
        "type": "approval",
        "tool_call_id": approval.tool_call_id,
        "approve": approval.approve,
        "reason": approval.reason,
    }


def _calls(message: Message) -> Json:
    calls = [{"name": call.name, "arguments": call.arguments, "tool_call_id": call.id} for call in message.tool_calls]
    return {"tool_call": calls[0], "tool_calls": calls}


def _sent_turn(message: Message, content: Sequence[Json], *, text_is_assistant: bool) -> list[Json]:
    """Return the parts of a turn that was sent as content parts. Texts and reasoning that follow each other are one."""
    parts: list[Json] = []
    for each in content:
        fields: Json
        match each:
            case {"type": "text", "text": text} if text_is_assistant:
                kind, fields = "assistant_message", {"content": text}
            case {"type": "text", "text": text}:
                parts.append(reasoning_part(message, len(parts), str(text), "non_reasoner_model"))
                continue
            case {"type": "reasoning", "reasoning": text, "signature": signature}:
                kind = "reasoning_message"
                fields = {"source": "reasoner_model", "reasoning": text, "signature": signature, "sender_id": None}
            case {"type": "redacted_reasoning", "data": data}:
                kind, fields = "hidden_reasoning_message", {"state": "redacted", "hidden_reasoning": data}
            case {"type": "omitted_reasoning"}:
                kind = "hidden_reasoning_message"
                fields = {"state": "omitted", "hidden_reasoning": None, "sender_id": None}
            case _:  # Letta omits tool calls, tool returns and images
                continue
        text_field = {"assistant_message": "content", "reasoning_message": "reasoning"}.get(kind)
        if parts and text_field and parts[-1]["message_type"] == kind:
            parts[-1][text_field] = f"{parts[-1][text_field]}{fields[text_field]}"
        else:
            parts.append(part(message, kind, len(parts), **fields))
    return parts


def _turn(message: Message, *, text_is_assistant: bool) -> list[Json]:
    if not isinstance(message.content, str):
        return _sent_turn(message, message.content, text_is_assistant=text_is_assistant)
    parts: list[Json] = []
    if message.reasoning is not None:
        parts.append(reasoning_part(message, 0, message.reasoning))
    if message.text is not None:
        index = len(parts)
        if text_is_assistant:
            parts.append(part(message, "assistant_message", index, content=message.text))
        else:
            parts.append(reasoning_part(message, index, message.text, "non_reasoner_model"))
    if message.role == "approval_request":
        parts.append(part(message, "approval_request_message", -1, **_calls(message)))
    elif message.tool_calls:
        parts.append(part(message, "tool_call_message", len(parts), **_calls(message)))
    return parts


def _approval_response(message: Message) -> Json:
    first = next((approval for approval in message.approvals if isinstance(approval, Approval)), None)
    return {
        **_envelope(message, "approval_response_message", message.otid),
        "approvals": [
            approval_object(approval) if isinstance(approval, Approval) else return_object(approval)
            for approval in message.approvals
        ],
        "approve": first.approve if first else None,
        "approval_request_id": first.tool_call_id if first else None,
        "reason": first.reason if first else None,
    }


def tool_return_message(message: Message) -> Json:
    """Return a ``tool_return_message``. Its deprecated fields repeat the first result."""
    returns = [return_object(returned, with_parts=True) for returned in message.tool_returns]
    deprecated = {key: value for key, value in return_object(message.tool_returns[0]).items() if key != "type"}
    return part(message, "tool_return_message", 0, **deprecated, tool_returns=returns)


def render(message: Message, *, text_is_assistant: bool = True) -> list[Json]:
    """Return the API messages of one stored message.

    Args:
        message: The stored message.
        text_is_assistant: False renders the model's text as reasoning, as in the messages of a step.
    """
    if message.role in ("assistant", "approval_request"):
        return _turn(message, text_is_assistant=text_is_assistant)
    if message.role == "approval_response":
        return [_approval_response(message)]
    if message.role == "tool":
        return [tool_return_message(message)]
    message_type = "system_message" if message.role == "system" else "user_message"
    return [{**_envelope(message, message_type, message.otid), "content": message.content}]


def ping(ping_id: str, date: datetime, run_id: str, seq_id: int | None = None) -> Json:
    """Return a keepalive ping."""
    return _envelope(Message(id=ping_id, role="system", created_at=date, run_id=run_id), "ping", None, seq_id)


def stop_reason(reason: str) -> Json:
    """Return a ``stop_reason``."""
    return {"message_type": "stop_reason", "stop_reason": reason}


def error_message(run_id: str, failure: tuple[str, str], detail: str) -> Json:
    """Return the ``error_message`` of a failed run."""
    error_type, message = failure
    return {
        "message_type": "error_message",
        "run_id": run_id,
        "error_type": error_type,
        "message": message,
        "detail": detail,
        "seq_id": None,
    }


@dataclass(slots=True)
class RunUsage:
    """The token counts of a run: the sum of its calls of the model.

    Attributes:
        steps: Number of calls of the model.
        streamed: Whether the tokens were streamed.
        context: Size of the context after the last call [tokens].
    """

    steps: int = 0
    streamed: bool = False
    context: int = 0
    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0

    def add(self, usage: Usage) -> None:
        """Add one call of the model. Its prompt and completion are the new context."""
        self.steps += 1
        self.prompt += usage.prompt
        self.completion += usage.completion
        self.cached += usage.cached
        self.reasoning += usage.reasoning
        self.context = usage.total

    def as_json(self) -> Json:
        """Return ``usage_statistics``."""
        usage = self.steps > 0
        return {
            "message_type": "usage_statistics",
            "completion_tokens": self.completion,
            "prompt_tokens": self.prompt,
            "total_tokens": self.completion + self.prompt,
            "step_count": self.steps,
            "run_ids": None,
            "cached_input_tokens": self.cached if usage else None,
            # Token streams do not report this number.
            "cache_write_tokens": 0 if usage and not self.streamed else None,
            "reasoning_tokens": self.reasoning if usage else None,
            "context_tokens": self.context if usage else None,
        }


def step(stored: Step) -> Json:
    """Return a step."""
    usage = stored.usage
    return {
        "id": stored.id,
        "origin": None,
        "organization_id": ORGANIZATION_ID,
        "provider_id": None,
        "run_id": stored.run_id,
        "agent_id": stored.agent_id,
        "provider_name": "openai",
        "provider_category": "base",
        "model": model_name(stored.model_handle),
        "model_handle": stored.model_handle,
        "model_endpoint": MODEL_ENDPOINT,
        "context_window_limit": stored.context_window,
        "completion_tokens": usage.completion if usage else 0,
        "prompt_tokens": usage.prompt if usage else 0,
        "total_tokens": usage.total if usage else 0,
        **nulls("cached_input_tokens", "cache_write_tokens", "reasoning_tokens"),
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning} if usage else None,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_read_tokens": usage.cached,
            "cache_creation_tokens": None if stored.streamed else 0,
        }
        if usage
        else None,
        "stop_reason": stored.stop_reason,
        "tags": list(stored.tags),
        **nulls("tid", "trace_id", "request_id"),
        "messages": [],
        "feedback": stored.feedback,
        "project_id": None,
        "error_type": stored.error_type,
        "error_data": stored.error_data,
        "status": stored.status,
    }


def step_metrics(stored: Step) -> Json:
    """Return the metrics of a step. The durations are constants."""
    model_ns = 80_000_000 if stored.usage else None
    return {
        "id": stored.id,
        "organization_id": ORGANIZATION_ID,
        "provider_id": None,
        "run_id": stored.run_id,
        "agent_id": stored.agent_id,
        "step_start_ns": None,
        "llm_request_start_ns": None,
        "llm_request_ns": model_ns,
        "tool_execution_ns": stored.tool_execution_ns,
        "step_ns": 10_000_000 + (model_ns or 0) + (stored.tool_execution_ns or 0),
        **nulls("base_template_id", "template_id", "project_id"),
    }


def failed_step(failure: RunFailedError | None) -> tuple[str, Json]:
    """Return the error type and error data of a failed step. Without a failure, return those of a cancelled stream."""
    error_type, message, ending = "Unknown", "Unknown error", "GeneratorExit"
    if failure is not None:
        error_type, message, ending = failure.exception, failure.detail, f"{failure.exception}: {failure.detail}"
    traceback = f"Traceback (most recent call last):\n{ending}\n"
    return error_type, {"message": message, "traceback": traceback, "details": None}


def audit(date: datetime, updated: datetime | None = None) -> Json:
    """Return the keys with which database records begin."""
    return {
        "created_by_id": USER_ID,
        "last_updated_by_id": USER_ID,
        "created_at": precise_instant(date),
        "updated_at": precise_instant(updated or date),
    }


def sse(data: Mapping[str, object], event: str | None = None) -> str:
    """Return one server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {encode(data)}\n\n"


DONE = "data: [DONE]\n\n"
"""The terminal event of a stream."""

END_OF_EVENT = b"\n\n"
"""The bytes that end an event."""

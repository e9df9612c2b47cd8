"""JSON shapes of what the operations answer: exactly the real server's keys, in its order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..engine.agent import Usage
from ..store.ids import ORGANIZATION_ID, USER_ID, part_otid
from ..store.models import Approval, Json, Message, Step, ToolCall, ToolReturn
from .errors import RunFailedError

MODEL_ENDPOINT = "http://127.0.0.1:9911/v1"
CONTEXT_WINDOW = 128_000


def encode(value: object) -> str:
    """Return the compact JSON the server writes."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def instant(when: datetime) -> str:
    """Spell a message's date: whole seconds and a numeric offset."""
    return when.isoformat(timespec="seconds")


def precise_instant(when: datetime) -> str:
    """Spell the date of everything that is not a message: microseconds and ``Z``."""
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")


def spoken_instant(when: datetime) -> str:
    """Spell a date as the model is told it."""
    return f"{when:%Y-%m-%d %I:%M:%S %p} UTC+0000"


def _envelope(
    message: Message, kind: str, otid: str | None, *, name: str | None = None, step_id: str | None = None
) -> Json:
    return {
        "id": message.id,
        "date": instant(message.created_at),
        "name": name,
        "message_type": kind,
        "otid": otid,
        "sender_id": message.sender_id,
        "step_id": step_id,
        "is_err": None,
        "seq_id": None,
        "run_id": message.run_id,
    }


def part(message: Message, kind: str, index: int, **fields: object) -> Json:
    """Return one rendered part of a model turn, or one delta of it; the index tells the parts apart."""
    otid = message.id if index < 0 else part_otid(message.id, index)
    return {**_envelope(message, kind, otid, name=message.name, step_id=message.step_id), **fields}


def reasoning_part(message: Message, index: int, reasoning: str, source: str = "reasoner_model") -> Json:
    """Return a ``reasoning_message``."""
    return part(message, "reasoning_message", index, source=source, reasoning=reasoning, signature=None)


def call_object(call: ToolCall) -> Json:
    """Return a complete tool call."""
    return {"name": call.name, "arguments": call.arguments, "tool_call_id": call.id}


def return_object(returned: ToolReturn, *, whole: bool = False) -> Json:
    """Return what a tool call gave back.

    Args:
        returned: what it returned.
        whole: whether parts are shown as such, and not as text.
    """
    return {
        "type": "tool",
        "tool_return": returned.parts if whole and returned.parts is not None else returned.text,
        "status": returned.status,
        "tool_call_id": returned.tool_call_id,
        "stdout": returned.stdout,
        "stderr": returned.stderr,
    }


def approval_object(approval: Approval) -> Json:
    """Return a person's answer to a tool call."""
    return {
        "type": "approval",
        "tool_call_id": approval.tool_call_id,
        "approve": approval.approve,
        "reason": approval.reason,
    }


def _calls(message: Message) -> Json:
    calls = [call_object(call) for call in message.tool_calls]
    return {"tool_call": calls[0], "tool_calls": calls}


def _turn(message: Message, *, text_is_assistant: bool) -> list[Json]:
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
    first = next((answer for answer in message.answers if isinstance(answer, Approval)), None)
    return {
        **_envelope(message, "approval_response_message", message.otid),
        "approvals": [
            approval_object(answer) if isinstance(answer, Approval) else return_object(answer)
            for answer in message.answers
        ],
        "approve": first.approve if first else None,
        "approval_request_id": first.tool_call_id if first else None,
        "reason": first.reason if first else None,
    }


def tool_return_message(message: Message) -> Json:
    """Return a ``tool_return_message``; its older fields repeat the first return."""
    returns = [return_object(returned, whole=True) for returned in message.tool_returns]
    older = {key: value for key, value in return_object(message.tool_returns[0]).items() if key != "type"}
    return part(message, "tool_return_message", 0, **older, tool_returns=returns)


def render(message: Message, *, text_is_assistant: bool = True) -> list[Json]:
    """Return the messages that one stored message is shown as.

    Args:
        message: the stored message.
        text_is_assistant: False for the messages of a step, which show what the model said as reasoning.
    """
    if message.role in ("assistant", "approval_request"):
        return _turn(message, text_is_assistant=text_is_assistant)
    if message.role == "approval_response":
        return [_approval_response(message)]
    if message.role == "tool":
        return [tool_return_message(message)]
    kind = "system_message" if message.role == "system" else "user_message"
    envelope = _envelope(message, kind, message.otid, name=message.name, step_id=message.step_id)
    return [{**envelope, "content": message.content}]


def ping(ping_id: str, when: datetime, run_id: str, seq_id: int | None = None) -> Json:
    """Return a keepalive ping."""
    return {
        "id": ping_id,
        "date": instant(when),
        "name": None,
        "message_type": "ping",
        "otid": None,
        "sender_id": None,
        "step_id": None,
        "is_err": None,
        "seq_id": seq_id,
        "run_id": run_id,
    }


def stop_reason(reason: str) -> Json:
    """Return a ``stop_reason``."""
    return {"message_type": "stop_reason", "stop_reason": reason}


def error_message(run_id: str, failure: tuple[str, str], detail: str) -> Json:
    """Return the ``error_message`` of a failed run."""
    kind, message = failure
    return {
        "message_type": "error_message",
        "run_id": run_id,
        "error_type": kind,
        "message": message,
        "detail": detail,
        "seq_id": None,
    }


@dataclass(slots=True)
class RunUsage:
    """What a run used, all its calls of the model together.

    Attributes:
        steps: how often the model was called.
        streamed: whether its tokens were streamed.
        context: how many tokens the context has in the end.
    """

    steps: int = 0
    streamed: bool = False
    context: int = 0
    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0

    def add(self, usage: Usage) -> None:
        """Add one call of the model, whose context is what it read and wrote."""
        self.steps += 1
        self.prompt += usage.prompt
        self.completion += usage.completion
        self.cached += usage.cached
        self.reasoning += usage.reasoning
        self.context = usage.total

    def as_json(self) -> Json:
        """Return ``usage_statistics``."""
        used = self.steps > 0
        return {
            "message_type": "usage_statistics",
            "completion_tokens": self.completion,
            "prompt_tokens": self.prompt,
            "total_tokens": self.completion + self.prompt,
            "step_count": self.steps,
            "run_ids": None,
            "cached_input_tokens": self.cached if used else None,
            # A token stream never learns this number.
            "cache_write_tokens": 0 if used and not self.streamed else None,
            "reasoning_tokens": self.reasoning if used else None,
            "context_tokens": self.context if used else None,
        }


def letta_response(messages: list[Json], reason: str, usage: RunUsage) -> Json:
    """Return the answer to a request with ``streaming=false``."""
    return {
        "messages": messages,
        "stop_reason": stop_reason(reason),
        "usage": usage.as_json(),
        "logprobs": None,
        "turns": None,
    }


def step(stored: Step) -> Json:
    """Return a step."""
    used = stored.usage
    return {
        "id": stored.id,
        "origin": None,
        "organization_id": ORGANIZATION_ID,
        "provider_id": None,
        "run_id": stored.run_id,
        "agent_id": stored.agent_id,
        "provider_name": "openai",
        "provider_category": "base",
        "model": stored.model_handle.rpartition("/")[2],
        "model_handle": stored.model_handle,
        "model_endpoint": MODEL_ENDPOINT,
        "context_window_limit": stored.context_window,
        "completion_tokens": used.completion if used else 0,
        "prompt_tokens": used.prompt if used else 0,
        "total_tokens": used.total if used else 0,
        "cached_input_tokens": None,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
        "completion_tokens_details": {"reasoning_tokens": used.reasoning} if used else None,
        "prompt_tokens_details": {
            "cached_tokens": used.cached,
            "cache_read_tokens": used.cached,
            "cache_creation_tokens": None if stored.streamed else 0,
        }
        if used
        else None,
        "stop_reason": stored.stop_reason,
        "tags": list(stored.tags),
        "tid": None,
        "trace_id": None,
        "request_id": None,
        "messages": [],
        "feedback": stored.feedback,
        "project_id": None,
        "error_type": stored.error_type,
        "error_data": stored.error_data,
        "status": stored.status,
    }


def step_metrics(stored: Step) -> Json:
    """Return a step's metrics. The durations are invented, and the same each time."""
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
        "base_template_id": None,
        "template_id": None,
        "project_id": None,
    }


def failed_step(failure: RunFailedError | None) -> tuple[str, Json]:
    """Return a failed step's error type and error data; without a failure, those of a cancelled stream."""
    kind, message, ending = "Unknown", "Unknown error", "GeneratorExit"
    if failure is not None:
        kind, message, ending = failure.exception, failure.detail, f"{failure.exception}: {failure.detail}"
    traceback = f"Traceback (most recent call last):\n{ending}\n"
    return kind, {"message": message, "traceback": traceback, "details": None}


def audit(when: datetime, updated: datetime | None = None) -> Json:
    """Return the keys with which everything in the real database begins."""
    return {
        "created_by_id": USER_ID,
        "last_updated_by_id": USER_ID,
        "created_at": precise_instant(when),
        "updated_at": precise_instant(updated or when),
    }


def sse(data: Mapping[str, object], event: str | None = None) -> str:
    """Return one server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {encode(data)}\n\n"


DONE = "data: [DONE]\n\n"
"""The event that ends a stream."""

END_OF_EVENT = b"\n\n"
"""The bytes that end an event."""

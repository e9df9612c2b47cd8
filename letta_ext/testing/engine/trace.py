"""Provider traces: the exchange with the model that a step keeps, written out when it is requested."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..api import serializers
from ..store.ids import ORGANIZATION_ID, USER_ID
from ..store.models import Agent, Json, Message, Step, Tool, ToolCall, ToolReturn
from ..store.state import State
from .agent import Usage


@dataclass(slots=True)
class Exchange:
    """One call of the model.

    The messages are not copied, so that a conversation of many steps takes memory in proportion to its length: a
    context only grows at its end, and a compaction replaces it by another list.

    Attributes:
        context: the context in which the call was made; the model was shown what it held then.
        said: the new messages, which the model was shown after the context.
        answer: the answer.
        calls: the tools that it calls.
        usage: the tokens that the call used.
        failed: whether the model answered an error.
        streamed: the text that had been streamed when the stream was cancelled; None if it was not.
        length: how many messages the context held.
    """

    context: Sequence[Message]
    said: Sequence[Message]
    answer: Message
    calls: Sequence[ToolCall]
    usage: Usage
    failed: bool = False
    streamed: str | None = None
    length: int = field(init=False)

    def __post_init__(self) -> None:
        self.length = len(self.context)

    @property
    def shown(self) -> list[Message]:
        """The messages that the model was shown."""
        return [*self.context[: self.length], *self.said]


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of one call of the model.

    Attributes:
        id: its id.
        created_at: when it was stored.
        chat_id: the id that the model gave its answer; empty if it failed.
        answered_at: the time that the model put into its answer.
        agent: whose step it is.
        tools: the tools that the agent had.
        step: the step.
        exchange: what the model was shown, and what it answered.
    """

    id: str
    created_at: datetime
    chat_id: str
    answered_at: datetime
    agent: Agent
    tools: tuple[Tool, ...]
    step: Step
    exchange: Exchange

    def as_json(self) -> Json:
        """Return the trace as the API returns it."""
        return _trace_json(self)


def provider_trace(state: State, agent: Agent, step: Step, exchange: Exchange) -> Trace:
    """Return the trace of one call of the model."""
    chat_id = "" if exchange.failed else state.ids.hex(32)
    answered_at = state.clock.now()
    now = answered_at if exchange.failed or step.streamed else state.clock.now()
    new_id = state.ids.new("provider_trace")
    return Trace(new_id, now, chat_id, answered_at, agent, tuple(agent.tools), step, exchange)


def _trace_json(trace: Trace) -> Json:
    agent, step, exchange = trace.agent, trace.step, trace.exchange
    model = agent.model_handle.rpartition("/")[2]
    response: Json = {"error": {"message": "asked to fail", "type": "server_error"}}
    if step.streamed and not exchange.failed:
        response = _streamed_response(trace, model)
    elif not exchange.failed:
        response = _whole_response(trace, model)
    return {
        **serializers.audit(trace.created_at),
        "id": trace.id,
        "request_json": {
            "model": model,
            "messages": [said for message in exchange.shown for said in _chat(message)],
            "max_completion_tokens": 16384,
            "temperature": 1.0,
            "user": USER_ID,
            "parallel_tool_calls": agent.parallel_tool_calls,
            "tools": [_tool(tool) for tool in trace.tools],
            "tool_choice": "auto",
        },
        "response_json": response,
        "step_id": step.id,
        "agent_id": agent.id,
        "agent_tags": [],
        "call_type": "agent_step",
        "run_id": step.run_id,
        "source": None,
        "org_id": ORGANIZATION_ID,
        "user_id": USER_ID,
        "compaction_settings": None,
        "llm_config": llm_config(agent),
        "billing_context": None,
    }


def llm_config(agent: Agent) -> Json:
    """Return how the agent's model is configured."""
    return {
        "model": agent.model_handle.rpartition("/")[2],
        "display_name": None,
        "model_endpoint_type": "openai",
        "model_endpoint": serializers.MODEL_ENDPOINT,
        "provider_name": "openai",
        "provider_category": "base",
        "model_wrapper": None,
        "context_window": agent.context_window,
        "put_inner_thoughts_in_kwargs": False,
        "handle": agent.model_handle,
        "temperature": 1.0,
        "max_tokens": 16384,
        "enable_reasoner": False,
        "reasoning_effort": None,
        "max_reasoning_tokens": 0,
        "effort": None,
        "frequency_penalty": None,
        "compatibility_type": None,
        "verbosity": None,
        "tier": None,
        "parallel_tool_calls": agent.parallel_tool_calls,
        "response_format": None,
        "strict": False,
        "return_logprobs": False,
        "top_logprobs": None,
        "return_token_ids": False,
        "tool_call_parser": None,
    }


def json_schema(tool: Tool) -> Json:
    """Return a tool's schema."""
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}


def _tool(tool: Tool) -> Json:
    return {"type": "function", "function": json_schema(tool)}


def _call(call: ToolCall) -> Json:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _streamed_call(call: ToolCall) -> Json:
    # The model's client, and with it the order of the keys, differs with the way of asking.
    return {"id": call.id, "type": "function", "function": {"arguments": call.arguments, "name": call.name}}


def _whole_call(call: ToolCall) -> Json:
    return {"id": call.id, "function": {"arguments": call.arguments, "name": call.name}, "type": "function"}


def _returned(returned: ToolReturn, when: datetime) -> Json:
    status = "OK" if returned.status == "success" else "Failed"
    alert = {"status": status, "message": returned.text, "time": serializers.spoken_instant(when)}
    packed = json.dumps(alert, indent=2)
    return {"content": packed, "role": "tool", "tool_call_id": returned.tool_call_id}


def _chat(message: Message) -> list[Json]:
    """Return a stored message as the model is shown it."""
    if message.role in ("assistant", "approval_request"):
        shown: Json = {"content": message.text, "role": "assistant"}
        # What the model thought before it called a tool without a word is not told it again.
        if message.reasoning is not None and message.text is not None:
            shown["reasoning_content"] = message.reasoning
        if message.tool_calls:
            shown["tool_calls"] = [_call(call) for call in message.tool_calls]
        return [shown]
    if message.role == "tool":
        return [_returned(returned, message.created_at) for returned in message.tool_returns]
    if message.role == "approval_response":
        return []
    content = message.content
    if not isinstance(content, str):
        content = "\n\n".join(str(piece.get("text", "")) for piece in content)
    return [{"content": content, "role": "system" if message.role == "system" else "user"}]


def _streamed_response(trace: Trace, model: str) -> Json:
    exchange = trace.exchange
    content: list[str] = []
    if exchange.answer.reasoning is not None:
        thought = {"type": "reasoning", "is_native": True, "reasoning": exchange.answer.reasoning, "signature": None}
        content.append(serializers.encode(thought))
    text = exchange.answer.text if exchange.streamed is None else exchange.streamed
    if text is not None:
        content.append(serializers.encode({"type": "text", "text": text, "signature": None}))
    used = exchange.usage
    usage: Json = {
        "completion_tokens": used.completion,
        "prompt_tokens": used.prompt,
        "total_tokens": used.total,
        "completion_tokens_details": {"reasoning_tokens": used.reasoning},
        "prompt_tokens_details": {"cached_tokens": used.cached},
    }
    return {
        "content": {
            "tool_call": serializers.encode(_streamed_call(exchange.calls[0])) if exchange.calls else None,
            "content": content,
        },
        "id": f"chatcmpl-{trace.chat_id}",
        "model": model,
        "role": "assistant",
        "type": "message",
        # What a stream used is told at its end.
        "usage": usage if exchange.streamed is None else {"input_tokens": 0, "output_tokens": 0},
    }


def _whole_response(trace: Trace, model: str) -> Json:
    exchange = trace.exchange
    answer, calls, usage = exchange.answer, exchange.calls, exchange.usage
    message: Json = {
        "content": answer.text,
        "refusal": None,
        "role": "assistant",
        "annotations": None,
        "audio": None,
        "function_call": None,
        "tool_calls": [_whole_call(call) for call in calls] or None,
    }
    if answer.reasoning is not None:
        message["reasoning_content"] = answer.reasoning
    choice: Json = {
        "finish_reason": "tool_calls" if calls else "stop",
        "index": 0,
        "logprobs": None,
        "message": message,
    }
    return {
        "id": f"chatcmpl-{trace.chat_id}",
        "choices": [choice],
        "created": int(trace.answered_at.timestamp()),
        "model": model,
        "object": "chat.completion",
        "service_tier": None,
        "system_fingerprint": None,
        "usage": {
            "completion_tokens": usage.completion,
            "prompt_tokens": usage.prompt,
            "total_tokens": usage.total,
            "completion_tokens_details": {
                "accepted_prediction_tokens": None,
                "audio_tokens": None,
                "reasoning_tokens": usage.reasoning,
                "rejected_prediction_tokens": None,
            },
            "prompt_tokens_details": {"audio_tokens": None, "cached_tokens": usage.cached},
        },
    }

"""Provider traces: the request to the model and its response, encoded when they are requested."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..api import serializers
from ..store.ids import ORGANIZATION_ID, USER_ID
from ..store.models import Agent, Json, Message, Step, Tool, ToolCall, ToolReturn, model_name
from ..store.state import State
from .agent import Usage


@dataclass(slots=True)
class Exchange:
    """One call of the model.

    The messages are not copied, so that the memory use is proportional to the length of the conversation: a context
    only grows at its end, and a compaction replaces the list.

    Attributes:
        context: The context of the call. The first ``length`` messages were sent to the model.
        new_messages: The new messages, which follow the context.
        response: The response.
        calls: The tool calls of the response.
        usage: Token counts of the call.
        failed: Whether the model failed.
        streamed: The text streamed before a cancellation. None if the stream was not cancelled.
        length: Number of messages in the context at the time of the call.
    """

    context: Sequence[Message]
    new_messages: Sequence[Message]
    response: Message
    calls: Sequence[ToolCall]
    usage: Usage
    failed: bool = False
    streamed: str | None = None
    length: int = field(init=False)

    def __post_init__(self) -> None:
        self.length = len(self.context)

    @property
    def messages(self) -> list[Message]:
        """The messages that were sent to the model."""
        return [*self.context[: self.length], *self.new_messages]


def provider_trace(state: State, agent: Agent, step: Step, exchange: Exchange) -> Callable[[], Json]:
    """Store the ids and dates of one call of the model, and return a function that encodes its trace."""
    failed, tools = exchange.failed, tuple(agent.tools)
    chat_id = "" if failed else f"chatcmpl-{state.ids.hex(32)}"
    responded_at = state.clock.now()
    created_at = responded_at if failed or step.streamed else state.clock.now()
    trace_id = state.ids.new("provider_trace")

    def as_json() -> Json:
        model = model_name(agent.model_handle)
        response_json: Json = {"error": {"message": "asked to fail", "type": "server_error"}}
        if step.streamed and not failed:
            response_json = _streamed_response(exchange, chat_id, model)
        elif not failed:
            response_json = _whole_response(exchange, chat_id, model, responded_at)
        return {
            **serializers.audit(created_at),
            "id": trace_id,
            "request_json": {
                "model": model,
                "messages": [chat for message in exchange.messages for chat in _to_chat(message)],
                "max_completion_tokens": 16384,
                "temperature": 1.0,
                "user": USER_ID,
                "parallel_tool_calls": agent.parallel_tool_calls,
                "tools": [{"type": "function", "function": json_schema(tool)} for tool in tools],
                "tool_choice": "auto",
            },
            "response_json": response_json,
            "step_id": step.id,
            "agent_id": agent.id,
            "agent_tags": list(agent.tags),
            "call_type": "agent_step",
            "run_id": step.run_id,
            "source": None,
            "org_id": ORGANIZATION_ID,
            "user_id": USER_ID,
            "compaction_settings": None,
            "llm_config": llm_config(agent),
            "billing_context": None,
        }

    return as_json


def llm_config(agent: Agent) -> Json:
    """Return the model configuration of an agent."""
    return {
        "model": model_name(agent.model_handle),
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
        **serializers.nulls("effort", "frequency_penalty", "compatibility_type", "verbosity", "tier"),
        "parallel_tool_calls": agent.parallel_tool_calls,
        "response_format": None,
        "strict": False,
        "return_logprobs": False,
        "top_logprobs": None,
        "return_token_ids": False,
        "tool_call_parser": None,
    }


def json_schema(tool: Tool) -> Json:
    """Return the JSON schema of a tool."""
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}


def _call(call: ToolCall) -> Json:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _streamed_call(call: ToolCall) -> Json:
    # The order of the keys depends on whether Letta streams from the model.
    return {"id": call.id, "type": "function", "function": {"arguments": call.arguments, "name": call.name}}


def _whole_call(call: ToolCall) -> Json:
    return {"id": call.id, "function": {"arguments": call.arguments, "name": call.name}, "type": "function"}


def _tool_return(returned: ToolReturn, when: datetime) -> Json:
    status = "OK" if returned.status == "success" else "Failed"
    alert = {"status": status, "message": returned.text, "time": serializers.spoken_instant(when)}
    packed = json.dumps(alert, indent=2)
    return {"content": packed, "role": "tool", "tool_call_id": returned.tool_call_id}


def _to_chat(message: Message) -> list[Json]:
    """Return a stored message in the format of the chat completions API."""
    if message.role in ("assistant", "approval_request"):
        messages: Json = {"content": message.text, "role": "assistant"}
        # Letta omits the reasoning of a turn without text.
        if message.reasoning is not None and message.text is not None:
            messages["reasoning_content"] = message.reasoning
        if message.tool_calls:
            messages["tool_calls"] = [_call(call) for call in message.tool_calls]
        return [messages]
    if message.role == "tool":
        return [_tool_return(returned, message.created_at) for returned in message.tool_returns]
    if message.role == "approval_response":
        return []
    content = message.content
    if not isinstance(content, str):
        content = "\n\n".join(str(piece.get("text", "")) for piece in content)
    return [{"content": content, "role": "system" if message.role == "system" else "user"}]


def _streamed_response(exchange: Exchange, chat_id: str, model: str) -> Json:
    content: list[str] = []
    if exchange.response.reasoning is not None:
        reasoning = {
            "type": "reasoning",
            "is_native": True,
            "reasoning": exchange.response.reasoning,
            "signature": None,
        }
        content.append(serializers.encode(reasoning))
    text = exchange.response.text if exchange.streamed is None else exchange.streamed
    if text is not None:
        content.append(serializers.encode({"type": "text", "text": text, "signature": None}))
    usage_counts = exchange.usage
    usage: Json = {
        "completion_tokens": usage_counts.completion,
        "prompt_tokens": usage_counts.prompt,
        "total_tokens": usage_counts.total,
        "completion_tokens_details": {"reasoning_tokens": usage_counts.reasoning},
        "prompt_tokens_details": {"cached_tokens": usage_counts.cached},
    }
    return {
        "content": {
            "tool_call": serializers.encode(_streamed_call(exchange.calls[0])) if exchange.calls else None,
            "content": content,
        },
        "id": chat_id,
        "model": model,
        "role": "assistant",
        "type": "message",
        # The usage is sent at the end of a stream.
        "usage": usage if exchange.streamed is None else {"input_tokens": 0, "output_tokens": 0},
    }


def _whole_response(exchange: Exchange, chat_id: str, model: str, responded_at: datetime) -> Json:
    response, calls, usage = exchange.response, exchange.calls, exchange.usage
    message: Json = {
        "content": response.text,
        "refusal": None,
        "role": "assistant",
        **serializers.nulls("annotations", "audio", "function_call"),
        "tool_calls": [_whole_call(call) for call in calls] or None,
    }
    if response.reasoning is not None:
        message["reasoning_content"] = response.reasoning
    choice: Json = {
        "finish_reason": "tool_calls" if calls else "stop",
        "index": 0,
        "logprobs": None,
        "message": message,
    }
    return {
        "id": chat_id,
        "choices": [choice],
        "created": int(responded_at.timestamp()),
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

"""A bot with client tools: it runs the calls that the agent requests, and returns the results."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from letta_ext import Letta
from letta_ext.types.agents import ApprovalRequestMessage, AssistantMessage, ToolCall
from letta_ext.types.agents.letta_streaming_response import LettaStopReason
from letta_ext.types.agents.message_create_params import ClientTool, Message

TOOLS: list[ClientTool] = [
    {
        "name": "get_weather",
        "description": "Look up the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]


def calls_of(event: ApprovalRequestMessage) -> list[ToolCall]:
    """Return the complete calls of a request."""
    found = event.tool_calls if isinstance(event.tool_calls, list) else [event.tool_call]
    return [call for call in found if isinstance(call, ToolCall)]


def run_call(functions: dict[str, Callable[..., Any]], call: ToolCall) -> tuple[str, bool]:
    """Return the result of a call, and whether it succeeded."""
    try:
        return json.dumps(functions[call.name](**json.loads(call.arguments))), True
    except Exception as error:  # noqa: BLE001  # the agent sees every failure of a tool
        return f"{type(error).__name__}: {error}", False


def talk(client: Letta, conversation_id: str, text: str, functions: dict[str, Callable[..., Any]]) -> list[str]:
    """Return what the agent writes until its turn ends."""
    said: list[str] = []
    messages: list[Message] = [{"role": "user", "content": text}]
    while messages:
        pending: list[ToolCall] = []
        stop = ""
        for event in client.conversations.messages.create(
            conversation_id, messages=messages, client_tools=TOOLS, stream_tokens=False
        ):
            if isinstance(event, AssistantMessage) and isinstance(event.content, str):
                said.append(event.content)
            elif isinstance(event, ApprovalRequestMessage):
                pending += calls_of(event)
            elif isinstance(event, LettaStopReason):
                stop = event.stop_reason
        messages = []
        if stop == "requires_approval":
            results = [(call, *run_call(functions, call)) for call in pending]
            messages = [
                {
                    "type": "approval",
                    "approvals": [
                        {
                            "type": "tool",
                            "tool_call_id": call.tool_call_id,
                            "tool_return": result,
                            "status": "success" if succeeded else "error",
                        }
                        for call, result, succeeded in results
                    ],
                }
            ]
    return said

"""Server-side tools, client-side tools, and tools that require approval."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import pytest

from letta_api.models import (
    ApprovalRequestMessage,
    ApprovalResponseMessage,
    ToolCallDelta,
    ToolCallMessage,
    ToolReturnMessage,
)
from letta_ext import AsyncLetta, BadRequestError, RunError

from .reading import SIX_WORDS, assistant_text, collect, kinds, only, stop_reason, tool_calls
from .server_resources import Agent
from .talking import CLIENT_TOOLS, messages

pytestmark = pytest.mark.anyio

PARIS: Final = {"city": "Paris"}


def call_arguments(*tools: str, **more: Any) -> dict[str, Any]:
    """Return the arguments of a send that makes the agent call tools."""
    return {"input": f"CALL {' '.join(tools)}", "client_tools": CLIENT_TOOLS, **more}


def return_arguments(
    ids: Iterable[str], response: str = "sunny here", status: str = "success", **more: Any
) -> dict[str, Any]:
    """Return the arguments of a send with the results of client tools."""
    returns = [{"tool_call_id": id, "tool_return": response, "status": status} for id in ids]
    return {"messages": [{"type": "tool_return", "tool_returns": returns}], "client_tools": CLIENT_TOOLS, **more}


def decision_arguments(id: str, approve: bool, **more: Any) -> dict[str, Any]:
    """Return the arguments of a send that approves or denies a call."""
    approval = {"type": "approval", "tool_call_id": id, "approve": approve, "reason": "not today"}
    return {"messages": [{"type": "approval", "approvals": [approval]}], **more}


def join_tool_calls(events: Iterable[object]) -> dict[str, tuple[str, str]]:
    """Return the names and arguments of streamed tool calls, by id."""
    names: dict[str, str] = defaultdict(str)
    arguments: dict[str, str] = defaultdict(str)
    for event in events:
        if isinstance(event, (ToolCallMessage, ApprovalRequestMessage)):
            delta = event.tool_call
            assert isinstance(delta, ToolCallDelta)
            assert delta.tool_call_id is not None
            names[delta.tool_call_id] += delta.name or ""
            arguments[delta.tool_call_id] += delta.arguments or ""
    return {id: (names[id], arguments[id]) for id in names}


async def request_tools(client: AsyncLetta, conversation: str, *tools: str) -> list[str]:
    """Make the agent wait for these tools; return the ids of its calls."""
    response = await client.conversations.messages.create(conversation, streaming=False, **call_arguments(*tools))
    assert response.stop_reason.stop_reason == "requires_approval"
    assert kinds(response.messages) == ["approval_request_message"]
    return [call.tool_call_id for call in tool_calls(response.messages)]


async def test_server_tool_call_and_return_are_in_response(client: AsyncLetta, conversation: str, agent: Agent) -> None:
    """A server tool runs within the turn."""
    # One step and one tool: its sandbox starts in seconds.
    response = await client.conversations.messages.create(
        conversation, input=f"CALL {agent.weather}", streaming=False, max_steps=1
    )

    assert kinds(response.messages) == ["tool_call_message", "tool_return_message"]
    (call,) = tool_calls(response.messages)
    (returned,) = only(response.messages, ToolReturnMessage)
    assert (call.name, json.loads(call.arguments)) == (agent.weather, PARIS)
    assert (returned.tool_call_id, returned.tool_return) == (call.tool_call_id, "sunny in Paris")
    assert returned.stdout == ["looking up Paris\n"]
    assert (response.stop_reason.stop_reason, response.usage.step_count) == ("max_steps", 1)


async def test_parallel_server_tools_in_token_stream_match_stored_calls(
    client: AsyncLetta, conversation: str, agent: Agent
) -> None:
    """Streamed parallel calls equal the stored ones."""
    async with await client.conversations.messages.create(
        conversation, input=f"CALL {agent.weather} {agent.time}", stream_tokens=True
    ) as stream:
        events = await collect(stream)

    calls = join_tool_calls(events)
    assert [(name, json.loads(text)) for name, text in calls.values()] == [(agent.weather, PARIS), (agent.time, PARIS)]
    (returned,) = only(events, ToolReturnMessage)
    assert {one.tool_call_id: one.tool_return for one in returned.tool_returns or []} == dict(
        zip(calls, ["sunny in Paris", "noon in Paris"], strict=True)
    )
    assert assistant_text(events).split() == SIX_WORDS.split()
    listed = tool_calls(await messages(client, conversation))
    assert {call.tool_call_id: (call.name, call.arguments) for call in listed} == calls


async def test_client_tool_return_continues_turn(client: AsyncLetta, conversation: str) -> None:
    """The result of a client tool continues the turn."""
    (call,) = await request_tools(client, conversation, "local_weather")

    response = await client.conversations.messages.create(conversation, streaming=False, **return_arguments([call]))

    (returned,) = only(response.messages, ToolReturnMessage)
    assert (returned.tool_call_id, returned.status, returned.tool_return) == (call, "success", "sunny here")
    assert assistant_text(response.messages) == SIX_WORDS


async def test_client_tool_error_continues_turn(client: AsyncLetta, conversation: str) -> None:
    """An error result of a client tool continues the turn."""
    (call,) = await request_tools(client, conversation, "local_weather")

    response = await client.conversations.messages.create(
        conversation, streaming=False, **return_arguments([call], "it broke", "error")
    )

    (returned,) = only(response.messages, ToolReturnMessage)
    assert (returned.status, returned.tool_return) == ("error", "it broke")
    assert response.stop_reason.stop_reason == "end_turn"


async def test_parallel_client_tools_in_token_stream_continue_turn(client: AsyncLetta, conversation: str) -> None:
    """Parallel client tools work in a token stream."""
    async with await client.conversations.messages.create(
        conversation, **call_arguments("local_weather", "local_time", stream_tokens=True)
    ) as stream:
        events = await collect(stream)

    calls = join_tool_calls(events)
    assert stop_reason(events) == "requires_approval"
    assert [(name, json.loads(text)) for name, text in calls.values()] == [
        ("local_weather", PARIS),
        ("local_time", PARIS),
    ]

    async with await client.conversations.messages.create(
        conversation, **return_arguments(calls, stream_tokens=True)
    ) as stream:
        events = await collect(stream)

    assert assistant_text(events).split() == SIX_WORDS.split()
    (returned,) = only(await messages(client, conversation), ToolReturnMessage)
    assert [one.tool_call_id for one in returned.tool_returns or []] == list(calls)


async def test_client_tool_in_background_run_continues_turn(client: AsyncLetta, conversation: str) -> None:
    """Client tools work in background runs."""
    async with await client.conversations.messages.create(
        conversation, **call_arguments("local_weather", stream_tokens=True, background=True)
    ) as stream:
        calls = join_tool_calls(await collect(stream))

    async with await client.conversations.messages.create(
        conversation, **return_arguments(calls, stream_tokens=True, background=True)
    ) as stream:
        events = await collect(stream)

    assert stop_reason(events) == "end_turn"
    (returned,) = only(await messages(client, conversation), ToolReturnMessage)
    assert [returned.tool_call_id] == list(calls)


async def test_partial_tool_returns_raise_bad_request_error(client: AsyncLetta, conversation: str) -> None:
    """Results for some of the pending calls are rejected."""
    first, second = await request_tools(client, conversation, "local_weather", "local_time")

    with pytest.raises(BadRequestError) as refused:
        await client.conversations.messages.create(conversation, streaming=False, **return_arguments([first]))
    async with await client.conversations.messages.create(conversation, **return_arguments([first])) as stream:
        with pytest.raises(RunError) as failed:
            await collect(stream)

    for fault in (refused.value, failed.value):
        assert "Invalid tool call IDs" in (fault.detail or "")
        assert second in (fault.detail or "")
    response = await client.conversations.messages.create(
        conversation, streaming=False, **return_arguments([first, second])
    )
    assert response.stop_reason.stop_reason == "end_turn"


async def test_approval_without_pending_call_raises_bad_request_error(client: AsyncLetta, conversation: str) -> None:
    """An approval without a pending call is rejected."""
    with pytest.raises(BadRequestError, match="No tool call is currently awaiting approval"):
        await client.conversations.messages.create(
            conversation, streaming=False, **decision_arguments("call_unknown", True)
        )


async def test_granted_approval_runs_tool(client: AsyncLetta, conversation: str, agent: Agent) -> None:
    """A granted approval runs the tool."""
    (call,) = await request_tools(client, conversation, agent.guarded)

    response = await client.conversations.messages.create(
        conversation, streaming=False, **decision_arguments(call, True)
    )

    assert kinds(response.messages) == ["tool_return_message", "assistant_message"]
    (returned,) = only(response.messages, ToolReturnMessage)
    assert (returned.tool_call_id, returned.tool_return) == (call, "allowed in Paris")


async def test_denied_approval_returns_error_with_reason(client: AsyncLetta, conversation: str, agent: Agent) -> None:
    """A denied approval gives the model an error with the reason."""
    async with await client.conversations.messages.create(
        conversation, input=f"CALL {agent.guarded}", stream_tokens=True
    ) as stream:
        events = await collect(stream)
    ((call, (name, _)),) = join_tool_calls(events).items()
    assert (name, stop_reason(events)) == (agent.guarded, "requires_approval")

    async with await client.conversations.messages.create(
        conversation, **decision_arguments(call, False, stream_tokens=True)
    ) as stream:
        events = await collect(stream)

    assert assistant_text(events).split() == SIX_WORDS.split()
    listed = await messages(client, conversation)
    (response,) = only(listed, ApprovalResponseMessage)
    (returned,) = only(listed, ToolReturnMessage)
    assert [approval.to_dict()["approve"] for approval in response.approvals or []] == [False]
    assert returned.status == "error"
    assert returned.tool_return.endswith("User reason: not today")


async def test_turn_over_max_steps_ends_with_max_steps(client: AsyncLetta, conversation: str, agent: Agent) -> None:
    """A turn ends with the stop reason `max_steps`."""
    (call,) = await request_tools(client, conversation, agent.guarded)

    # Processing the approval is one step; the next model call would be the second.
    response = await client.conversations.messages.create(
        conversation, streaming=False, max_steps=1, **decision_arguments(call, False)
    )

    assert response.stop_reason.stop_reason == "max_steps"
    assert kinds(response.messages) == ["tool_return_message"]

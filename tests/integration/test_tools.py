"""Tools that the server runs, tools that the client runs, and tools that ask first."""

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

from .reading import SIX_WORDS, collect, kinds, only, said, stop_reason, tool_calls
from .scene import Agent
from .talking import CLIENT_TOOLS, messages

pytestmark = pytest.mark.anyio

PARIS: Final = {"city": "Paris"}


def calling(*tools: str, **more: Any) -> dict[str, Any]:
    """The arguments of a send that makes the agent call tools."""
    return {"input": f"CALL {' '.join(tools)}", "client_tools": CLIENT_TOOLS, **more}


def returning(ids: Iterable[str], answer: str = "sunny here", status: str = "success", **more: Any) -> dict[str, Any]:
    """The arguments of a send that brings what client tools returned."""
    returns = [{"tool_call_id": id, "tool_return": answer, "status": status} for id in ids]
    return {"messages": [{"type": "tool_return", "tool_returns": returns}], "client_tools": CLIENT_TOOLS, **more}


def deciding(id: str, approve: bool, **more: Any) -> dict[str, Any]:
    """The arguments of a send that approves a call, or does not."""
    approval = {"type": "approval", "tool_call_id": id, "approve": approve, "reason": "not today"}
    return {"messages": [{"type": "approval", "approvals": [approval]}], **more}


def assembled(events: Iterable[object]) -> dict[str, tuple[str, str]]:
    """The names and arguments of calls that came in tokens, by their ids."""
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


async def pending(client: AsyncLetta, conversation: str, *tools: str) -> list[str]:
    """Brings the agent to wait for these tools; the ids of its calls."""
    answer = await client.conversations.messages.create(conversation, streaming=False, **calling(*tools))
    assert answer.stop_reason.stop_reason == "requires_approval"
    assert kinds(answer.messages) == ["approval_request_message"]
    return [call.tool_call_id for call in tool_calls(answer.messages)]


async def test_a_tool_that_the_server_runs(client: AsyncLetta, conversation: str, agent: Agent) -> None:
    # One step, and one tool: starting its sandbox takes the server seconds.
    answer = await client.conversations.messages.create(
        conversation, input=f"CALL {agent.weather}", streaming=False, max_steps=1
    )

    assert kinds(answer.messages) == ["tool_call_message", "tool_return_message"]
    (call,) = tool_calls(answer.messages)
    (returned,) = only(answer.messages, ToolReturnMessage)
    assert (call.name, json.loads(call.arguments)) == (agent.weather, PARIS)
    assert (returned.tool_call_id, returned.tool_return) == (call.tool_call_id, "sunny in Paris")
    assert returned.stdout == ["looking up Paris\n"]
    assert (answer.stop_reason.stop_reason, answer.usage.step_count) == ("max_steps", 1)


async def test_parallel_tools_in_tokens(client: AsyncLetta, conversation: str, agent: Agent) -> None:
    async with await client.conversations.messages.create(
        conversation, input=f"CALL {agent.weather} {agent.time}", stream_tokens=True
    ) as stream:
        events = await collect(stream)

    calls = assembled(events)
    assert [(name, json.loads(text)) for name, text in calls.values()] == [(agent.weather, PARIS), (agent.time, PARIS)]
    (returned,) = only(events, ToolReturnMessage)
    assert {one.tool_call_id: one.tool_return for one in returned.tool_returns or []} == dict(
        zip(calls, ["sunny in Paris", "noon in Paris"], strict=True)
    )
    assert said(events).split() == SIX_WORDS.split()
    listed = tool_calls(await messages(client, conversation))
    assert {call.tool_call_id: (call.name, call.arguments) for call in listed} == calls


async def test_a_client_tool(client: AsyncLetta, conversation: str) -> None:
    (call,) = await pending(client, conversation, "local_weather")

    answer = await client.conversations.messages.create(conversation, streaming=False, **returning([call]))

    (returned,) = only(answer.messages, ToolReturnMessage)
    assert (returned.tool_call_id, returned.status, returned.tool_return) == (call, "success", "sunny here")
    assert said(answer.messages) == SIX_WORDS


async def test_a_client_tool_that_failed(client: AsyncLetta, conversation: str) -> None:
    (call,) = await pending(client, conversation, "local_weather")

    answer = await client.conversations.messages.create(
        conversation, streaming=False, **returning([call], "it broke", "error")
    )

    (returned,) = only(answer.messages, ToolReturnMessage)
    assert (returned.status, returned.tool_return) == ("error", "it broke")
    assert answer.stop_reason.stop_reason == "end_turn"


async def test_parallel_client_tools_in_tokens(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(
        conversation, **calling("local_weather", "local_time", stream_tokens=True)
    ) as stream:
        events = await collect(stream)

    calls = assembled(events)
    assert stop_reason(events) == "requires_approval"
    assert [(name, json.loads(text)) for name, text in calls.values()] == [
        ("local_weather", PARIS),
        ("local_time", PARIS),
    ]

    async with await client.conversations.messages.create(
        conversation, **returning(calls, stream_tokens=True)
    ) as stream:
        events = await collect(stream)

    assert said(events).split() == SIX_WORDS.split()
    (returned,) = only(await messages(client, conversation), ToolReturnMessage)
    assert [one.tool_call_id for one in returned.tool_returns or []] == list(calls)


async def test_client_tools_in_the_background(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(
        conversation, **calling("local_weather", stream_tokens=True, background=True)
    ) as stream:
        calls = assembled(await collect(stream))

    async with await client.conversations.messages.create(
        conversation, **returning(calls, stream_tokens=True, background=True)
    ) as stream:
        events = await collect(stream)

    assert stop_reason(events) == "end_turn"
    (returned,) = only(await messages(client, conversation), ToolReturnMessage)
    assert [returned.tool_call_id] == list(calls)


async def test_all_pending_calls_want_an_answer(client: AsyncLetta, conversation: str) -> None:
    first, second = await pending(client, conversation, "local_weather", "local_time")

    with pytest.raises(BadRequestError) as refused:
        await client.conversations.messages.create(conversation, streaming=False, **returning([first]))
    async with await client.conversations.messages.create(conversation, **returning([first])) as stream:
        with pytest.raises(RunError) as failed:
            await collect(stream)

    for fault in (refused.value, failed.value):
        assert "Invalid tool call IDs" in (fault.detail or "")
        assert second in (fault.detail or "")
    answer = await client.conversations.messages.create(conversation, streaming=False, **returning([first, second]))
    assert answer.stop_reason.stop_reason == "end_turn"


async def test_an_answer_that_nobody_waits_for(client: AsyncLetta, conversation: str) -> None:
    with pytest.raises(BadRequestError, match="No tool call is currently awaiting approval"):
        await client.conversations.messages.create(conversation, streaming=False, **deciding("call_of_nobody", True))


async def test_a_granted_approval(client: AsyncLetta, conversation: str, agent: Agent) -> None:
    (call,) = await pending(client, conversation, agent.guarded)

    answer = await client.conversations.messages.create(conversation, streaming=False, **deciding(call, True))

    assert kinds(answer.messages) == ["tool_return_message", "assistant_message"]
    (returned,) = only(answer.messages, ToolReturnMessage)
    assert (returned.tool_call_id, returned.tool_return) == (call, "allowed in Paris")


async def test_a_denied_approval(client: AsyncLetta, conversation: str, agent: Agent) -> None:
    async with await client.conversations.messages.create(
        conversation, input=f"CALL {agent.guarded}", stream_tokens=True
    ) as stream:
        events = await collect(stream)
    ((call, (name, _)),) = assembled(events).items()
    assert (name, stop_reason(events)) == (agent.guarded, "requires_approval")

    async with await client.conversations.messages.create(
        conversation, **deciding(call, False, stream_tokens=True)
    ) as stream:
        events = await collect(stream)

    assert said(events).split() == SIX_WORDS.split()
    listed = await messages(client, conversation)
    (response,) = only(listed, ApprovalResponseMessage)
    (returned,) = only(listed, ToolReturnMessage)
    assert [approval.to_dict()["approve"] for approval in response.approvals or []] == [False]
    assert returned.status == "error"
    assert returned.tool_return.endswith("User reason: not today")


async def test_a_turn_that_runs_out_of_steps(client: AsyncLetta, conversation: str, agent: Agent) -> None:
    (call,) = await pending(client, conversation, agent.guarded)

    # Taking note of the answer is a step, and the model's next word would be the second.
    answer = await client.conversations.messages.create(
        conversation, streaming=False, max_steps=1, **deciding(call, False)
    )

    assert answer.stop_reason.stop_reason == "max_steps"
    assert kinds(answer.messages) == ["tool_return_message"]

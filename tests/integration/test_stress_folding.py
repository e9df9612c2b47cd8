"""The accumulated stream equals the JSON response and the messages that the server lists."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest

from letta_api.models import LettaResponse
from letta_ext import AsyncLetta

from .reading import to_dicts, tool_calls
from .server_resources import Agent, ServerResources
from .talking import CLIENT_TOOLS, messages

pytestmark = [pytest.mark.anyio, pytest.mark.stress]

FULL: Final = os.environ.get("LETTA_STRESS") == "full"

MODES: Final[dict[str, dict[str, Any]]] = {
    "steps": {"stream_tokens": False, "background": False},
    "tokens": {"stream_tokens": True, "background": False},
    "background steps": {"stream_tokens": False, "background": True},
    "background tokens": {"stream_tokens": True, "background": True},
}

SERVER_TIMEOUT: Final = 300.0
"""Seconds to wait for the server, which starts a process for each tool call."""

OF_EVENTS: Final = {"seq_id", "run_id", "date"}
"""Fields that differ between a listed message and the same one streamed."""

OF_A_TURN: Final = OF_EVENTS | {"id", "otid", "step_id"}
"""Further fields that differ between two turns. Ids of tool calls are compared by position."""

Turn = Callable[[Agent], list[dict[str, Any]]]
"""The sends of a scenario. A function returns messages for the tool calls of the previous send."""


def send_input(text: str, **more: Any) -> list[dict[str, Any]]:
    return [{"input": text, **more}]


def tool_returns_for(calls: list[str]) -> list[dict[str, Any]]:
    returns = [{"tool_call_id": call, "tool_return": "sunny here", "status": "success"} for call in calls]
    return [{"type": "tool_return", "tool_returns": returns}]


def decide(approve: bool) -> Callable[[list[str]], list[dict[str, Any]]]:
    def response(calls: list[str]) -> list[dict[str, Any]]:
        approvals = [{"type": "approval", "tool_call_id": call, "approve": approve, "reason": "so"} for call in calls]
        return [{"type": "approval", "approvals": approvals}]

    return response


def client_tools(names: str) -> list[dict[str, Any]]:
    return [
        {"input": f"CALL {names}", "client_tools": CLIENT_TOOLS},
        {"messages": tool_returns_for, "client_tools": CLIENT_TOOLS},
    ]


SCENARIOS: Final[dict[str, Turn]] = {
    "text": lambda _: send_input("LONG 12"),
    "reasoning": lambda _: send_input("REASON"),
    "tool": lambda agent: send_input(f"CALL {agent.weather}"),
    "reasoning and tool": lambda agent: send_input(f"REASON CALL {agent.weather}"),
    "parallel tools": lambda agent: send_input(f"CALL {agent.weather} {agent.time}"),
    "granted approval": lambda agent: [*send_input(f"CALL {agent.guarded}"), {"messages": decide(True)}],
    "denied approval": lambda agent: [*send_input(f"CALL {agent.guarded}"), {"messages": decide(False)}],
    "client tool": lambda _: client_tools("local_weather"),
    "parallel client tools": lambda _: client_tools("local_weather local_time"),
    "steps run out": lambda agent: send_input(f"CALL {agent.weather}", max_steps=1),
}


SAMPLE: Final = ["parallel client tools"]
"""A scenario without server-side tools, which take seconds each."""

NOT_REPEATED: Final = {"denied approval", "client tool", "parallel client tools"}
"""Scenarios in which the caller sends tool results. The server repeats them in steps and without streaming, but not in
a token stream, so the accumulated messages do not contain them."""


NOT_COMPARABLE: Final = {("parallel client tools", "serial")}
"""Scenarios in which a token stream differs from the stored messages. If a model requests several calls although it may
request one, the server streams all of them and stores the first. Server-side calls are identified by their returns;
client-side calls are not, and the accumulated message has all of them."""


@pytest.fixture(scope="session")
def serial_agent(resources: ServerResources, agent: Agent) -> Agent:
    """Return an agent that calls one tool at a time."""
    return resources.agent(parallel_tool_calls=False)


def comparable(items: Iterable[Any], without: set[str]) -> list[dict[str, Any]]:
    """Return messages without varying fields; streamed text has a trailing space after each word."""
    return [
        {key: value.rstrip() if key in ("content", "reasoning") and isinstance(value, str) else value
         for key, value in item.items() if key not in without}
        for item in to_dicts(items)
    ]  # fmt: skip


def number_calls(items: list[dict[str, Any]], calls: list[str]) -> Any:
    """Return items with the ids of tool calls replaced by their positions."""
    text = json.dumps(items)
    for number, call in enumerate(calls):
        text = text.replace(call, f"call {number}")
    return json.loads(text)


async def run_scenario(
    client: AsyncLetta, conversation: str, turns: list[dict[str, Any]], **mode: Any
) -> tuple[list[LettaResponse], list[str]]:
    """Run a scenario; return its responses and the ids of the tool calls."""
    responses: list[LettaResponse] = []
    calls: list[str] = []
    for turn in turns:
        given = {name: value(calls) if callable(value) else value for name, value in turn.items()}
        made = await client.conversations.messages.create(conversation, **given, **mode, timeout=SERVER_TIMEOUT)
        responses.append(made if mode.get("streaming") is False else await made.result())
        calls.extend(call.tool_call_id for call in tool_calls(responses[-1].messages) if call.tool_call_id not in calls)
    return responses, calls


@pytest.mark.parametrize(
    "parallel", [True, False] if FULL else [True], ids=lambda each: "parallel" if each else "serial"
)
@pytest.mark.parametrize("scenario", SCENARIOS if FULL else SAMPLE)
async def test_accumulated_stream_equals_json_response_and_stored_messages(
    client: AsyncLetta, resources: ServerResources, agent: Agent, serial_agent: Agent, scenario: str, parallel: bool
) -> None:
    """In each mode, the result of a stream equals the JSON response and the stored messages."""
    of = agent if parallel else serial_agent
    turns = SCENARIOS[scenario](of)
    json_responses, calls = await run_scenario(client, resources.conversation(of.id), turns, streaming=False)
    expected = [number_calls(comparable(response.messages, OF_A_TURN), calls) for response in json_responses]
    differences: list[str] = []
    not_comparable = (scenario, "parallel" if parallel else "serial") in NOT_COMPARABLE
    modes = {name: mode for name, mode in MODES.items() if not (not_comparable and mode["stream_tokens"])}
    for name, mode in modes.items():
        conversation = resources.conversation(of.id)
        streamed, calls = await run_scenario(client, conversation, turns, **mode)
        found = [number_calls(comparable(response.messages, OF_A_TURN), calls) for response in streamed]
        expected_stream = [expected[0], *(response[1:] for response in expected[1:])]
        if found != (expected_stream if scenario in NOT_REPEATED and mode["stream_tokens"] else expected):
            differences.append(f"{name}: streamed {found}, at once {expected}")
        if [a.stop_reason for a in streamed] != [a.stop_reason for a in json_responses]:
            differences.append(f"{name}: stop reasons")
        if [a.usage.total_tokens for a in streamed] != [a.usage.total_tokens for a in json_responses]:
            differences.append(f"{name}: usage")
        listed = {m["id"] + m["message_type"]: m for m in comparable(await messages(client, conversation), OF_EVENTS)}
        differences.extend(
            f"{name}: streamed {message}, listed {list(listed.values())}"
            for response in streamed
            for message in comparable(response.messages, OF_EVENTS)
            if listed.get(message["id"] + message["message_type"]) != message
        )
    print(f"\nFIGURE accumulated streams, real server: {scenario}, modes {len(modes)}, differences {len(differences)}")
    assert not differences, "\n".join(differences)

"""What a stream folds to is what comes without streaming, and what the server lists afterwards."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest

from letta_api.models import LettaResponse
from letta_ext import AsyncLetta

from .reading import plain, tool_calls
from .scene import Agent, Scene
from .talking import CLIENT_TOOLS, messages

pytestmark = [pytest.mark.anyio, pytest.mark.stress]

FULL: Final = os.environ.get("LETTA_STRESS") == "full"

MODES: Final[dict[str, dict[str, Any]]] = {
    "steps": {"stream_tokens": False, "background": False},
    "tokens": {"stream_tokens": True, "background": False},
    "background steps": {"stream_tokens": False, "background": True},
    "background tokens": {"stream_tokens": True, "background": True},
}

PATIENCE: Final = 300.0
"""Seconds to wait for the server, which takes a process for every call of a tool."""

OF_EVENTS: Final = {"seq_id", "run_id", "date"}
"""What differs between a message that was listed and the same one streamed."""

OF_A_TURN: Final = OF_EVENTS | {"id", "otid", "step_id"}
"""What differs between two turns besides; the ids of calls too, which are told by their place."""

Turn = Callable[[Agent], list[dict[str, Any]]]
"""The sends of a scenario; `CALLS` in one stands for what answers the calls of the one before."""


def say(text: str, **more: Any) -> list[dict[str, Any]]:
    return [{"input": text, **more}]


def returned(calls: list[str]) -> list[dict[str, Any]]:
    returns = [{"tool_call_id": call, "tool_return": "sunny here", "status": "success"} for call in calls]
    return [{"type": "tool_return", "tool_returns": returns}]


def decided(approve: bool) -> Callable[[list[str]], list[dict[str, Any]]]:
    def answer(calls: list[str]) -> list[dict[str, Any]]:
        approvals = [{"type": "approval", "tool_call_id": call, "approve": approve, "reason": "so"} for call in calls]
        return [{"type": "approval", "approvals": approvals}]

    return answer


def client_tools(names: str) -> list[dict[str, Any]]:
    return [
        {"input": f"CALL {names}", "client_tools": CLIENT_TOOLS},
        {"messages": returned, "client_tools": CLIENT_TOOLS},
    ]


SCENARIOS: Final[dict[str, Turn]] = {
    "text": lambda _: say("LONG 12"),
    "reasoning": lambda _: say("REASON"),
    "tool": lambda agent: say(f"CALL {agent.weather}"),
    "reasoning and tool": lambda agent: say(f"REASON CALL {agent.weather}"),
    "parallel tools": lambda agent: say(f"CALL {agent.weather} {agent.time}"),
    "granted approval": lambda agent: [*say(f"CALL {agent.guarded}"), {"messages": decided(True)}],
    "denied approval": lambda agent: [*say(f"CALL {agent.guarded}"), {"messages": decided(False)}],
    "client tool": lambda _: client_tools("local_weather"),
    "parallel client tools": lambda _: client_tools("local_weather local_time"),
    "steps run out": lambda agent: say(f"CALL {agent.weather}", max_steps=1),
}


SAMPLE: Final = ["parallel client tools"]
"""One that runs no tool on the server, which takes it seconds each."""

ECHOED: Final = {"denied approval", "client tool", "parallel client tools"}
"""The scenarios in which the caller says what a call returned. The server does not repeat it in a token stream, though
it does in steps and without streaming: what is not in the stream, and whose id only the server knows, is not folded."""


UNTOLD: Final = {("parallel client tools", "serial")}
"""Where a token stream does not tell what is stored. A model that asks for several calls though it may ask for one is
not held to it: the server streams them all and stores the first. Calls that it runs are told apart by their returns;
of those that wait for the caller nothing says so, and the message has them all."""


@pytest.fixture(scope="session")
def serial_agent(scene: Scene, agent: Agent) -> Agent:
    """An agent that calls one tool at a time."""
    return scene.agent(parallel_tool_calls=False)


def shown(items: Iterable[Any], without: set[str]) -> list[dict[str, Any]]:
    """Messages, without what differs by nature; the streamed text has a space behind each word."""
    return [
        {key: value.rstrip() if key in ("content", "reasoning") and isinstance(value, str) else value
         for key, value in item.items() if key not in without}
        for item in plain(items)
    ]  # fmt: skip


def placed(items: list[dict[str, Any]], calls: list[str]) -> Any:
    """The same with the ids of calls told by their place."""
    text = json.dumps(items)
    for number, call in enumerate(calls):
        text = text.replace(call, f"call {number}")
    return json.loads(text)


async def play(
    client: AsyncLetta, conversation: str, turns: list[dict[str, Any]], **mode: Any
) -> tuple[list[LettaResponse], list[str]]:
    """Goes through a scenario; the answers, and the ids of the calls in them."""
    answers: list[LettaResponse] = []
    calls: list[str] = []
    for turn in turns:
        given = {name: value(calls) if callable(value) else value for name, value in turn.items()}
        made = await client.conversations.messages.create(conversation, **given, **mode, timeout=PATIENCE)
        answers.append(made if mode.get("streaming") is False else await made.result())
        calls.extend(call.tool_call_id for call in tool_calls(answers[-1].messages) if call.tool_call_id not in calls)
    return answers, calls


@pytest.mark.parametrize(
    "parallel", [True, False] if FULL else [True], ids=lambda each: "parallel" if each else "serial"
)
@pytest.mark.parametrize("scenario", SCENARIOS if FULL else SAMPLE)
async def test_a_folded_stream_is_the_answer(
    client: AsyncLetta, scene: Scene, agent: Agent, serial_agent: Agent, scenario: str, parallel: bool
) -> None:
    of = agent if parallel else serial_agent
    turns = SCENARIOS[scenario](of)
    at_once, calls = await play(client, scene.conversation(of.id), turns, streaming=False)
    expected = [placed(shown(answer.messages, OF_A_TURN), calls) for answer in at_once]
    differences: list[str] = []
    untold = (scenario, "parallel" if parallel else "serial") in UNTOLD
    modes = {name: mode for name, mode in MODES.items() if not (untold and mode["stream_tokens"])}
    for name, mode in modes.items():
        conversation = scene.conversation(of.id)
        streamed, calls = await play(client, conversation, turns, **mode)
        found = [placed(shown(answer.messages, OF_A_TURN), calls) for answer in streamed]
        said = [expected[0], *(answer[1:] for answer in expected[1:])]
        if found != (said if scenario in ECHOED and mode["stream_tokens"] else expected):
            differences.append(f"{name}: streamed {found}, at once {expected}")
        if [a.stop_reason for a in streamed] != [a.stop_reason for a in at_once]:
            differences.append(f"{name}: stop reasons")
        if [a.usage.total_tokens for a in streamed] != [a.usage.total_tokens for a in at_once]:
            differences.append(f"{name}: usage")
        listed = {m["id"] + m["message_type"]: m for m in shown(await messages(client, conversation), OF_EVENTS)}
        differences.extend(
            f"{name}: streamed {message}, listed {list(listed.values())}"
            for answer in streamed
            for message in shown(answer.messages, OF_EVENTS)
            if listed.get(message["id"] + message["message_type"]) != message
        )
    print(f"\nFIGURE live folding: {scenario}, modes {len(modes)}, differences {len(differences)}")
    assert not differences, "\n".join(differences)

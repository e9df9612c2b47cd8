"""Scripts: which answer a message gets, in code and from a scenario file."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from letta_ext.testing import Call, EmbeddedServer, Script, ToolResult, Turn, Usage, create_app

from .conftest import ServerClient


def said(talk: ServerClient, text: str) -> str:
    return str(talk.answer(text)["messages"][-1]["content"])


def test_a_rule_answers_each_message_that_fits_from_its_beginning(talk: ServerClient) -> None:
    talk.server.script.when("weather", Turn(calls=[Call("get_weather", {"city": "Rome"})]), "It is sunny.")
    for _ in range(2):
        messages = talk.answer("How is the WEATHER?")["messages"]
        assert [message["message_type"] for message in messages] == [
            "tool_call_message",
            "tool_return_message",
            "assistant_message",
        ]
        assert messages[1]["tool_return"] == "sunny in Rome"
        assert messages[2]["content"] == "It is sunny."
    assert said(talk, "something else") == "word0 word1 word2 word3 word4 word5"


def test_a_rule_goes_on_after_an_approval(talk: ServerClient) -> None:
    both = [Call("get_time"), Call("guarded")]
    talk.server.script.when("open", Turn(calls=both), Turn(calls=[Call("get_weather")]), "done")
    [call_id] = talk.pending("open it")
    approval = {"type": "approval", "tool_call_id": call_id, "approve": True}
    answer = talk.answer(messages=[{"type": "approval", "approvals": [approval]}])
    kinds = [message["message_type"] for message in answer["messages"]]
    assert kinds == ["tool_return_message", "tool_call_message", "tool_return_message", "assistant_message"]
    assert answer["messages"][-1]["content"] == "done"


def test_the_order_in_which_answers_are_looked_for(talk: ServerClient) -> None:
    script = talk.server.script
    script.say("first")
    script.when(re.compile(r"^h\w+$"), lambda text: f"a rule for {text}")
    script.when("h", "too late")
    assert [said(talk, "hello") for _ in range(2)] == ["first", "a rule for hello"]
    script.otherwise = lambda text: Turn(text=f"otherwise {text}")
    assert [said(talk, text) for text in ("x", "oh")] == ["otherwise x", "too late"]


def test_usage_is_told_wherever_it_is_told(talk: ServerClient) -> None:
    usage = Usage(prompt=900, completion=60, cached=400, reasoning=48)
    talk.server.script.say(Turn(text="42", usage=usage), Turn(text="42", usage=usage))
    for told in (talk.answer("x")["usage"], talk.stream("x", stream_tokens=True)[-2]):
        assert (told["prompt_tokens"], told["completion_tokens"], told["total_tokens"]) == (900, 60, 960)
        assert (told["cached_input_tokens"], told["reasoning_tokens"], told["context_tokens"]) == (400, 48, 960)
    for step in talk.steps():
        assert (step["prompt_tokens"], step["completion_tokens"], step["total_tokens"]) == (900, 60, 960)
        assert step["prompt_tokens_details"]["cached_tokens"] == 400
        assert step["completion_tokens_details"] == {"reasoning_tokens": 48}
        trace = talk.http.get(f"/v1/steps/{step['id']}/trace").json()
        assert trace["response_json"]["usage"]["total_tokens"] == 960


def test_delays_are_waited_for(talk: ServerClient) -> None:
    talk.server.script.say(Turn(text="a b c", delay=0.05, token_delay=0.02), Turn(text="a", delay=0.05))
    for least in (0.11, 0.05):
        started = time.monotonic()
        talk.stream("x", stream_tokens=True)
        assert time.monotonic() - started >= least


def test_tools_answer_as_they_are_told(talk: ServerClient) -> None:
    def weather(arguments: dict[str, object]) -> str:
        return f"rain in {arguments['town']}"

    tools = talk.server.script.tools
    tools |= {"get_weather": weather, "get_time": ToolResult("late", "error", stdout=["tick\n"])}
    talk.server.script.say(
        Turn(calls=[Call("get_weather", {"town": "Bath"}), Call("get_weather"), Call("get_time")]), "ok"
    )
    returns = talk.answer("x")["messages"][-2]["tool_returns"]
    assert [(each["status"], each["tool_return"]) for each in returns] == [
        ("success", "rain in Bath"),
        ("error", "Error executing function get_weather: KeyError: 'town'"),
        ("error", "late"),
    ]
    assert returns[2]["stdout"] == ["tick\n"]


def test_a_rule_needs_an_answer() -> None:
    with pytest.raises(ValueError, match="at least one response"):
        Script().when("x")


FILE_TEXT = """
agent: {system: You tell the weather., name: Wilma}
tools:
  - {name: get_weather, returns: sunny}
  - {name: open_window, returns: open, requires_approval: true}
say: [Good morning!]
when:
  - message: weather
    responses:
      - {calls: [{name: get_weather, arguments: {city: Rome}}]}
      - {text: It is sunny., reasoning: The tool says so., usage: {prompt: 200, completion: 20}, token_delay: 0}
  - {message: window, responses: [{calls: [{name: open_window}]}]}
  - {message: overload, responses: [{fail: 429}]}
otherwise: I only know about the weather.
faults:
  - {fault: respond, status: 503, retry_after: 1, on: steps.list}
  - {fault: lost_request, times: 2, on: POST /v1/*/compact}
delay: 0.001
kept_events: 50
order_relative_cursors: true
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text(FILE_TEXT, encoding="utf-8")
    return path


def test_a_scene_file(scenario: Path) -> None:
    import httpx

    with EmbeddedServer(scenario) as server, httpx.Client(base_url=server.base_url) as http:
        talk = ServerClient(server, http)
        assert said(talk, "hello") == "Good morning!"
        assert said(talk, "hello") == "I only know about the weather."
        answer = talk.answer("The weather?")
        assert [message["message_type"] for message in answer["messages"]] == [
            "tool_call_message",
            "tool_return_message",
            "reasoning_message",
            "assistant_message",
        ]
        assert answer["messages"][1]["tool_return"] == "sunny"
        assert answer["usage"]["prompt_tokens"] == 300
        assert talk.answer("The window?")["stop_reason"]["stop_reason"] == "requires_approval"
        refused = http.get("/v1/steps/")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert len(server.faults) == 1
        state = server.state
        assert (state.delay, state.kept_events, state.order_relative_cursors) == (0.001, 50, True)
        assert state.agents[server.agent_id].name == "Wilma"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("wen: []", "unknown key 'wen', expected agent, tools, say, when"),
        ("when: [{message: a}]", "when[0]: missing key 'responses'"),
        ("when: [{message: a, responses: [{txt: b}]}]", "when[0].responses[0]: unknown key 'txt', expected text"),
        ("when: [{message: 5, responses: [b]}]", "when[0].message: expected a string, got 5"),
        ("when: {a: b}", "when: expected a list, got {'a': 'b'}"),
        ("say: [{fail: high}]", "say[0].fail: expected an integer, got 'high'"),
        ("say: [{calls: [{arguments: {}}]}]", "say[0].calls[0]: missing key 'name'"),
        ("delay: true", "delay: expected a number, got True"),
        ("faults: [{fault: flood}]", "faults[0]: fault must be one of cut, stall, slow, lost_response, "),
        ("faults: [{fault: cut}]", "faults[0]: exactly one of events and bytes"),
        ("faults: [{fault: cut, events: 1, how: softly}]", "faults[0].how: expected one of 'close', 'reset', 'end'"),
        ("faults: [{fault: slow, on: steps.lst}]", "faults[0]: on must be one of agents"),
        ("faults: [cut]", "faults[0]: expected a mapping, got 'cut'"),
        ("tools: [{name: 'not a name'}]", "tools[0]: 400: "),
        ("[]", "expected a mapping, got []"),
        ("a: [", "while parsing a flow node"),
        ("\x01", "unacceptable character"),
    ],
)
def test_invalid_scenario_file_is_rejected(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        create_app(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_json_is_a_scene_too_and_an_empty_file_the_usual_one(tmp_path: Path) -> None:
    import json

    path = tmp_path / "scenario.json"
    scenarios: list[Any] = [{"otherwise": "yes"}, None]
    for scenario in scenarios:
        path.write_text(json.dumps(scenario) if scenario else "", encoding="utf-8")
        script = EmbeddedServer(str(path)).script
        assert script.otherwise == (scenario or {}).get("otherwise")

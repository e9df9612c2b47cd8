"""Scripts: the responses to messages, in code and in scenario files."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from letta_ext.testing import Call, EmbeddedServer, Script, ToolResult, Turn, Usage, create_app, echo

from .conftest import ServerClient


def response_text(api: ServerClient, text: str) -> str:
    return str(api.send_json(text)["messages"][-1]["content"])


def test_rule_applies_to_each_matching_message(api: ServerClient) -> None:
    """A rule applies to each matching message, from its first response on."""
    api.server.script.when("weather", Turn(calls=[Call("get_weather", {"city": "Rome"})]), "It is sunny.")
    for _ in range(2):
        messages = api.send_json("How is the WEATHER?")["messages"]
        assert [message["message_type"] for message in messages] == [
            "tool_call_message",
            "tool_return_message",
            "assistant_message",
        ]
        assert messages[1]["tool_return"] == "sunny in Rome"
        assert messages[2]["content"] == "It is sunny."
    assert response_text(api, "something else") == "Hello! How can I help you?"


def test_rule_continues_after_approval(api: ServerClient) -> None:
    """A rule continues after an approval."""
    both = [Call("get_time"), Call("guarded")]
    api.server.script.when("open", Turn(calls=both), Turn(calls=[Call("get_weather")]), "done")
    [call_id] = api.pending("open it")
    approval = {"type": "approval", "tool_call_id": call_id, "approve": True}
    response = api.send_json(messages=[{"type": "approval", "approvals": [approval]}])
    kinds = [message["message_type"] for message in response["messages"]]
    assert kinds == ["tool_return_message", "tool_call_message", "tool_return_message", "assistant_message"]
    assert response["messages"][-1]["content"] == "done"


def test_response_sources_apply_in_order(api: ServerClient) -> None:
    """Queued responses precede rules, `otherwise` and the commands in the message."""
    script = api.server.script
    script.say("first")
    script.when(re.compile(r"^h\w+$"), lambda text: f"a rule for {text}")
    script.when("h", "too late")
    assert [response_text(api, "hello") for _ in range(2)] == ["first", "a rule for hello"]
    script.otherwise = lambda text: Turn(text=f"otherwise {text}")
    assert [response_text(api, text) for text in ("x", "oh")] == ["otherwise x", "too late"]


def test_usage_is_reported_everywhere(api: ServerClient) -> None:
    """The usage of a turn is reported in responses, streams, steps and traces."""
    scripted = Usage(prompt=900, completion=60, cached=400, reasoning=48)
    api.server.script.say(Turn(text="42", usage=scripted), Turn(text="42", usage=scripted))
    for usage in (api.send_json("x")["usage"], api.stream("x", stream_tokens=True)[-2]):
        assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (900, 60, 960)
        assert (usage["cached_input_tokens"], usage["reasoning_tokens"], usage["context_tokens"]) == (400, 48, 960)
    for step in api.steps():
        assert (step["prompt_tokens"], step["completion_tokens"], step["total_tokens"]) == (900, 60, 960)
        assert step["prompt_tokens_details"]["cached_tokens"] == 400
        assert step["completion_tokens_details"] == {"reasoning_tokens": 48}
        trace = api.http.get(f"/v1/steps/{step['id']}/trace").json()
        assert trace["response_json"]["usage"]["total_tokens"] == 960


def test_delays_are_applied(api: ServerClient) -> None:
    """Delays of a turn and of its tokens are applied."""
    api.server.script.say(Turn(text="a b c", delay=0.05, token_delay=0.02), Turn(text="a", delay=0.05))
    for least in (0.11, 0.05):
        started = time.monotonic()
        api.stream("x", stream_tokens=True)
        assert time.monotonic() - started >= least


def test_scripted_tools_return_results(api: ServerClient) -> None:
    """Scripted tools return texts, results and errors."""

    def weather(arguments: dict[str, object]) -> str:
        return f"rain in {arguments['town']}"

    tools = api.server.script.tools
    tools |= {"get_weather": weather, "get_time": ToolResult("late", "error", stdout=["tick\n"])}
    api.server.script.say(
        Turn(calls=[Call("get_weather", {"town": "Bath"}), Call("get_weather"), Call("get_time")]), "ok"
    )
    returns = api.send_json("x")["messages"][-2]["tool_returns"]
    assert [(each["status"], each["tool_return"]) for each in returns] == [
        ("success", "rain in Bath"),
        ("error", "Error executing function get_weather: KeyError: 'town'"),
        ("error", "late"),
    ]
    assert returns[2]["stdout"] == ["tick\n"]


def test_rule_without_responses_is_rejected() -> None:
    """A rule without responses is rejected."""
    with pytest.raises(ValueError, match="at least one response"):
        Script().when("x")


def test_async_function_as_response_is_rejected() -> None:
    """A coroutine function is rejected where it is set, before it returns a coroutine that nothing awaits."""

    async def respond(message: str) -> str:
        return message

    function: Any = respond
    for add in (Script().say, lambda each: Script().when("x", each)):
        with pytest.raises(TypeError, match=r"responses\[0\] must be a function that is not async, got <function"):
            add(function)


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


def test_scenario_file_sets_scenario(scenario: Path) -> None:
    """A scenario file sets the agent, tools, responses, faults and settings."""
    import httpx

    with EmbeddedServer(scenario) as server, httpx.Client(base_url=server.base_url) as http:
        api = ServerClient(server, http)
        assert response_text(api, "hello") == "Good morning!"
        assert response_text(api, "hello") == "I only know about the weather."
        response = api.send_json("The weather?")
        assert [message["message_type"] for message in response["messages"]] == [
            "tool_call_message",
            "tool_return_message",
            "reasoning_message",
            "assistant_message",
        ]
        assert response["messages"][1]["tool_return"] == "sunny"
        assert response["usage"]["prompt_tokens"] == 300
        assert api.send_json("The window?")["stop_reason"]["stop_reason"] == "requires_approval"
        rejected = http.get("/v1/steps/")
        assert (rejected.status_code, rejected.headers["retry-after"]) == (503, "1")
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
    """An invalid scenario file raises an error with its path and location."""
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        create_app(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_json_and_empty_scenario_files_are_read(tmp_path: Path) -> None:
    """A scenario file can be JSON, and an empty file is the default scenario."""
    import json

    path = tmp_path / "scenario.json"
    scenarios: list[Any] = [{"otherwise": "yes"}, None]
    for scenario in scenarios:
        path.write_text(json.dumps(scenario) if scenario else "", encoding="utf-8")
        script = EmbeddedServer(str(path)).script
        assert script.otherwise == (scenario or {}).get("otherwise")


def test_echo_repeats_message() -> None:
    """The agent of the scenario `echo`, and a script with `echo`, repeat each message."""
    with EmbeddedServer("echo") as server, httpx.Client(base_url=server.base_url) as http:
        assert ServerClient(server, http).send_json("Say it  again.")["messages"][-1]["content"] == "Say it  again."
    with EmbeddedServer() as server, httpx.Client(base_url=server.base_url) as http:
        server.script.when("twice", lambda message: f"{message} {message}")
        server.script.otherwise = echo
        contents = [ServerClient(server, http).send_json(text)["messages"][-1]["content"] for text in ("twice", "once")]
    assert contents == ["twice twice", "once"]

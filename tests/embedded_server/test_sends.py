"""Sends: response modes, tools, approvals, failures and locks."""

from __future__ import annotations

from typing import Any

import pytest

from letta_ext.testing import Call, ToolResult, Turn
from letta_ext.testing.store.models import CompactionSettings

from .conftest import ServerClient, parse_events

WORDS = "Hello! How can I help you?"


def types(messages: list[dict[str, Any]]) -> list[str]:
    return [message.get("message_type", "[DONE]") for message in messages]


def approve(*call_ids: str, approved: bool = True) -> dict[str, Any]:
    approvals = [{"type": "approval", "tool_call_id": each, "approve": approved} for each in call_ids]
    return {"messages": [{"type": "approval", "approvals": approvals}]}


def returned(*call_ids: str) -> dict[str, Any]:
    returns = [{"tool_call_id": each, "tool_return": f"done {each}", "status": "success"} for each in call_ids]
    return {"messages": [{"type": "tool_return", "tool_returns": returns}]}


CLIENT_TOOLS = [{"name": "local", "description": "ours", "parameters": {"type": "object", "properties": {}}}]


def test_response_modes_contain_equal_text(api: ServerClient) -> None:
    """JSON, message and token responses contain the same text."""
    json_text = api.send_json("hello")["messages"][0]["content"]
    steps = api.stream("hello")[1]["content"]
    tokens = [event["content"] for event in api.stream("hello", stream_tokens=True) if "content" in event]
    assert json_text == steps == WORDS
    assert tokens == [f"{word} " for word in WORDS.split()]
    # Streamed text is stored as it was streamed.
    stored = [each["content"] for each in api.messages() if each["message_type"] == "assistant_message"]
    assert stored == [f"{WORDS} ", WORDS, WORDS]


def test_include_pings_false_omits_ping(api: ServerClient) -> None:
    """`include_pings=false` omits the first ping."""
    assert types(api.stream("hello", include_pings=False)) == [
        "assistant_message",
        "stop_reason",
        "usage_statistics",
        "[DONE]",
    ]


def test_parallel_calls_share_messages(api: ServerClient) -> None:
    """Parallel calls share one call message and one return message."""
    response = api.send_json("CALL get_weather get_time")
    call, tool_return, text_message = response["messages"]
    assert [each["name"] for each in call["tool_calls"]] == ["get_weather", "get_time"]
    assert [each["tool_call_id"] for each in tool_return["tool_returns"]] == [
        each["tool_call_id"] for each in call["tool_calls"]
    ]
    assert text_message["message_type"] == "assistant_message"
    assert response["usage"]["step_count"] == 2


def test_parallel_calls_not_allowed_keeps_first_call(api: ServerClient) -> None:
    """Without parallel tool calls, only the first call is kept."""
    api.server.state.agent(api.server.agent_id).parallel_tool_calls = False
    assert len(api.send_json("CALL get_weather get_time")["messages"][0]["tool_calls"]) == 1


@pytest.mark.letta(check=False)  # outside the specification
def test_max_steps_limits_run(api: ServerClient) -> None:
    """`max_steps` limits the steps of a run."""
    response = api.send_json("CALL get_weather", max_steps=1)
    assert response["stop_reason"]["stop_reason"] == "max_steps"
    assert types(response["messages"]) == ["tool_call_message", "tool_return_message"]
    nothing = api.send_json("hello", max_steps=0)
    assert nothing["messages"] == []
    assert nothing["usage"]["context_tokens"] is None


@pytest.mark.parametrize("tokens", [False, True])
def test_type_filter_keeps_final_events(api: ServerClient, tokens: bool) -> None:
    """The type filter keeps the final events of a stream."""
    wanted = {"include_return_message_types": ["tool_return_message"], "stream_tokens": tokens}
    assert types(api.stream("CALL get_weather", **wanted)) == [
        "ping",
        "tool_return_message",
        "stop_reason",
        "usage_statistics",
        "[DONE]",
    ]


def test_client_tool_waits_for_return(api: ServerClient) -> None:
    """A client tool waits for the client's return."""
    (call_id,) = api.pending("CALL local", client_tools=CLIENT_TOOLS)
    response = api.send_json(**returned(call_id), client_tools=CLIENT_TOOLS)
    tool_return, text_message = response["messages"]
    assert tool_return["tool_return"] == f"done {call_id}"
    assert tool_return["name"] is None
    assert text_message["content"] == WORDS
    assert types(api.messages(order="asc"))[1:] == [
        "user_message",
        "approval_request_message",
        "approval_response_message",
        "tool_return_message",
        "assistant_message",
    ]


def test_token_stream_omits_client_returns(api: ServerClient) -> None:
    """A token stream contains only returns of the server's own tools."""
    (call_id,) = api.pending("CALL local", client_tools=CLIENT_TOOLS)
    assert "tool_return_message" not in types(api.stream(**returned(call_id), stream_tokens=True))
    (call_id,) = api.pending()
    assert "tool_return_message" in types(api.stream(**approve(call_id), stream_tokens=True))


def test_approved_client_tool_returns_error(api: ServerClient) -> None:
    """An approved client tool returns an error."""
    (call_id,) = api.pending("CALL local", client_tools=CLIENT_TOOLS)
    tool_return = api.send_json(**approve(call_id))["messages"][0]
    assert (tool_return["tool_return"], tool_return["status"]) == ("Tool not found", "error")


def test_calls_without_approval_are_deferred(api: ServerClient) -> None:
    """Calls without approval are deferred until the other calls of the turn are approved."""
    response = api.send_json("CALL guarded get_weather")
    free, request = response["messages"]
    assert types([free, request]) == ["tool_call_message", "approval_request_message"]
    tool_return = api.send_json(**approve(request["tool_call"]["tool_call_id"]))["messages"][0]
    assert [each["tool_call_id"] for each in tool_return["tool_returns"]] == [
        request["tool_call"]["tool_call_id"],
        free["tool_call"]["tool_call_id"],
    ]


def test_partial_approval_is_rejected(api: ServerClient) -> None:
    """A partial approval is rejected, and all calls stay pending."""
    first, second = api.pending("CALL guarded local", client_tools=CLIENT_TOOLS)
    rejected = api.send(**approve(first), streaming=False)
    assert rejected.status_code == 400
    assert rejected.json() == {
        "detail": f"Invalid tool call IDs. Expected '['{first}', '{second}']', but received '['{first}']'."
    }
    failed = api.stream(**approve(first))
    assert failed[-2]["error_type"] == "internal_error"
    assert "Invalid tool call IDs" in failed[-2]["detail"]
    both = [
        {"type": "approval", "tool_call_id": first, "approve": False, "reason": "no"},
        {"type": "tool", "tool_call_id": second, "tool_return": "ok", "status": "success"},
    ]
    tool_return = api.send_json(messages=[{"type": "approval", "approvals": both}])["messages"][0]
    assert [each["tool_return"] for each in tool_return["tool_returns"]] == [
        "ok",
        "Error: request to call tool denied. User reason: no",
    ]


def test_repeated_tool_return_starts_another_turn(api: ServerClient) -> None:
    """A repeated tool return starts another turn."""
    (call_id,) = api.pending("CALL local", client_tools=CLIENT_TOOLS)
    api.send_json(**returned(call_id))
    again = api.send_json(**returned(call_id))
    assert types(again["messages"]) == ["assistant_message"]
    assert "keep-alive ping" in api.messages(limit=2)[1]["content"]


def test_approval_without_pending_call_is_rejected(api: ServerClient) -> None:
    """An approval without a pending call is rejected."""
    rejected = api.send(**approve("call_of_nobody"), streaming=False)
    assert rejected.status_code == 400
    assert "No tool call is currently awaiting approval" in rejected.json()["detail"]


def test_message_after_approval_is_processed_after_it(api: ServerClient) -> None:
    """A message after an approval is processed after it."""
    (call_id,) = api.pending()
    request = approve(call_id)
    request["messages"].append({"role": "user", "content": "LONG 2"})
    assert api.send_json(**request)["messages"][-1]["content"] == "word0 word1"
    assert types(api.messages(limit=3)) == ["assistant_message", "user_message", "tool_return_message"]


@pytest.mark.parametrize("background", [False, True])
def test_send_while_approval_pending_fails(api: ServerClient, background: bool) -> None:
    """A send during a pending approval gets a 409, or an error in the stream."""
    api.pending()
    rejected = api.send("hello", streaming=False)
    assert rejected.status_code == 409
    assert rejected.json()["detail"].startswith("CONFLICT: Cannot send a new message: The agent is waiting")
    events = api.stream("hello", background=background)
    assert types(events) == ["ping", "stop_reason", "error_message", *([] if background else ["[DONE]"])]
    assert events[1]["stop_reason"] == "error"
    assert events[2]["event"] == "event: error"
    assert events[2]["error_type"] == "internal_error"
    assert events[2]["detail"] == events[2]["message"] == rejected.json()["detail"]
    assert events[2]["seq_id"] == (3 if background else None)


@pytest.mark.parametrize(
    ("status", "response_status", "kind"),
    [
        (400, 400, "llm_bad_request"),
        (401, 401, "llm_authentication"),
        (404, 500, "llm_error"),
        (409, 400, "llm_bad_request"),
        (422, 500, "llm_error"),
        (429, 429, "llm_rate_limit"),
        (503, 500, "llm_error"),
    ],
)
def test_model_failure_has_equal_error_in_json_and_stream(
    api: ServerClient, status: int, response_status: int, kind: str
) -> None:
    """A failure of the model has the same error in JSON and in the stream."""
    rejected = api.send(f"FAIL {status}", streaming=False)
    assert rejected.status_code == response_status
    assert rejected.json()["error"]["type"] == kind
    events = api.stream(f"FAIL {status}")
    assert types(events) == ["ping", "stop_reason", "error_message", "[DONE]"]
    assert events[2]["error_type"] == kind.replace("bad_request", "error")
    assert events[2]["detail"] == rejected.json()["error"]["detail"]
    # A failed run stores only its step.
    assert types(api.messages()) == ["system_message"]
    assert [(step["status"], step["stop_reason"]) for step in api.steps()] == [("failed", "llm_api_error")] * 2


def test_model_failure_after_tokens_ends_stream_without_done(api: ServerClient) -> None:
    """A failure after the first token ends the stream without [DONE]."""
    api.server.state.script.say(Turn(text="I was about", fail=500))
    events = api.stream("hello", stream_tokens=True)
    assert types(events) == ["ping", *["assistant_message"] * 3, "stop_reason", "error_message"]
    assert events[-1]["message"] == "An error occurred during agent execution."


def test_script_precedes_commands_in_message(api: ServerClient) -> None:
    """Scripted responses precede the commands in the message."""
    script = api.server.state.script
    script.say(Turn(reasoning="hm", calls=[Call("get_time", {"zone": "UTC"})]), "It is noon. ")
    script.tools["get_time"] = ToolResult("12:00", stdout=("tick",))
    response = api.send_json("FAIL 500")
    assert types(response["messages"]) == [
        "reasoning_message",
        "tool_call_message",
        "tool_return_message",
        "assistant_message",
    ]
    assert response["messages"][1]["tool_call"]["arguments"] == '{"zone": "UTC"}'
    assert response["messages"][2]["stdout"] == ["tick"]
    assert response["messages"][3]["content"] == "It is noon. "
    script.say("It is noon. ")
    assert [event["content"] for event in api.stream("when", stream_tokens=True) if "content" in event] == [
        "It ",
        "is ",
        "noon. ",
    ]


def test_failing_tool_returns_error(api: ServerClient) -> None:
    """A failing tool returns its status and output."""
    api.server.state.script.tools["get_weather"] = ToolResult("no network", status="error", stderr=("trace",))
    tool_return = api.send_json("CALL get_weather")["messages"][1]
    assert (tool_return["status"], tool_return["tool_return"], tool_return["stderr"]) == (
        "error",
        "no network",
        ["trace"],
    )


def test_streaming_conversation_rejects_streams(api: ServerClient) -> None:
    """A conversation that is streaming rejects further streams with a 409."""
    api.server.state.delay = 0.01
    body = {"input": "LONG 20", "stream_tokens": True}
    with api.http.stream("POST", f"{api.conversation}/messages", json=body) as first:
        run_id = parse_events(next(first.iter_text()))[0]["run_id"]
        rejected = api.send("me too")
        assert rejected.status_code == 409
        assert rejected.json()["run_id"] == run_id
        assert f"(run_id={run_id})" in rejected.json()["detail"]
        # Letta does not lock conversations without streaming.
        assert api.send("me too", streaming=False).status_code == 200
    # The client has disconnected, and the run continues.
    assert api.send("me too").status_code == 409


def test_default_conversation_locks_agent(api: ServerClient) -> None:
    """A default conversation locks the agent for streams and JSON."""
    api.server.state.delay = 0.01
    agent = api.server.agent_id
    body = {"input": "LONG 20", "stream_tokens": True, "agent_id": agent}
    with api.http.stream("POST", "/v1/conversations/default/messages", json=body) as first:
        next(first.iter_text())
        for path in ("/v1/conversations/default", f"/v1/conversations/{agent}"):
            assert api.send("me too", path=path, agent_id=agent, streaming=False).status_code == 409
    assert api.send("me too", streaming=False).status_code == 200


def test_disconnected_run_is_stored(api: ServerClient) -> None:
    """A run whose client disconnects is finished and stored."""
    body = {"input": "LONG 2000", "stream_tokens": True}
    with api.http.stream("POST", f"{api.conversation}/messages", json=body) as response:
        next(response.iter_text())
    while len(found := api.messages()) < 3:
        pass
    assert found[0]["content"].endswith("word1999 ")


def test_full_context_is_compacted(api: ServerClient) -> None:
    """A run compacts a full context and returns the summary."""
    agent = api.server.state.agent(api.server.agent_id)
    agent.context_window, agent.compaction = 120, CompactionSettings("all")
    text_message, summary = api.send_json("hello")["messages"]
    assert text_message["message_type"] == "assistant_message"
    assert summary["message_type"] == "user_message"
    assert "post_step_context_check" in summary["content"]
    assert summary["otid"]
    # In this release, include_compaction_messages only omits the otid.
    assert api.send_json("hello", include_compaction_messages=True)["messages"][1]["otid"] is None
    events = api.stream("hello", include_compaction_messages=True)
    assert types(events)[1:3] == ["assistant_message", "user_message"]
    assert events[2]["otid"]

"""Sending: the three ways of answering, tools, approvals, failures and locks."""

from __future__ import annotations

from typing import Any

import pytest

from letta_ext.testing import Call, ToolResult, Turn

from .conftest import ServerClient, parse_events

WORDS = "word0 word1 word2 word3 word4 word5"


def types(messages: list[dict[str, Any]]) -> list[str]:
    return [message.get("message_type", "[DONE]") for message in messages]


def approve(*call_ids: str, yes: bool = True) -> dict[str, Any]:
    answers = [{"type": "approval", "tool_call_id": each, "approve": yes} for each in call_ids]
    return {"messages": [{"type": "approval", "approvals": answers}]}


def returned(*call_ids: str) -> dict[str, Any]:
    returns = [{"tool_call_id": each, "tool_return": f"done {each}", "status": "success"} for each in call_ids]
    return {"messages": [{"type": "tool_return", "tool_returns": returns}]}


CLIENT_TOOLS = [{"name": "local", "description": "ours", "parameters": {"type": "object", "properties": {}}}]


def test_the_three_ways_of_answering_say_the_same(talk: ServerClient) -> None:
    whole = talk.answer("hello")["messages"][0]["content"]
    steps = talk.stream("hello")[1]["content"]
    tokens = [event["content"] for event in talk.stream("hello", stream_tokens=True) if "content" in event]
    assert whole == steps == WORDS
    assert tokens == [f"word{number} " for number in range(6)]
    # What was streamed is stored as it was streamed.
    stored = [each["content"] for each in talk.messages() if each["message_type"] == "assistant_message"]
    assert stored == [f"{WORDS} ", WORDS, WORDS]


def test_pings_can_be_left_out(talk: ServerClient) -> None:
    assert types(talk.stream("hello", include_pings=False)) == [
        "assistant_message",
        "stop_reason",
        "usage_statistics",
        "[DONE]",
    ]


def test_parallel_calls_share_a_message_and_a_return(talk: ServerClient) -> None:
    answer = talk.answer("CALL get_weather get_time")
    call, back, said = answer["messages"]
    assert [each["name"] for each in call["tool_calls"]] == ["get_weather", "get_time"]
    assert [each["tool_call_id"] for each in back["tool_returns"]] == [
        each["tool_call_id"] for each in call["tool_calls"]
    ]
    assert said["message_type"] == "assistant_message"
    assert answer["usage"]["step_count"] == 2


def test_a_model_that_may_not_call_in_parallel_has_its_later_calls_dropped(talk: ServerClient) -> None:
    talk.server.state.agent(talk.server.agent_id).parallel_tool_calls = False
    assert len(talk.answer("CALL get_weather get_time")["messages"][0]["tool_calls"]) == 1


@pytest.mark.letta(check=False)  # the specification does not allow what is sent
def test_steps_are_limited(talk: ServerClient) -> None:
    answer = talk.answer("CALL get_weather", max_steps=1)
    assert answer["stop_reason"]["stop_reason"] == "max_steps"
    assert types(answer["messages"]) == ["tool_call_message", "tool_return_message"]
    nothing = talk.answer("hello", max_steps=0)
    assert nothing["messages"] == []
    assert nothing["usage"]["context_tokens"] is None


@pytest.mark.parametrize("tokens", [False, True])
def test_only_the_wanted_types_are_sent(talk: ServerClient, tokens: bool) -> None:
    wanted = {"include_return_message_types": ["tool_return_message"], "stream_tokens": tokens}
    assert types(talk.stream("CALL get_weather", **wanted)) == [
        "ping",
        "tool_return_message",
        "stop_reason",
        "usage_statistics",
        "[DONE]",
    ]


def test_client_tools_are_left_to_the_client(talk: ServerClient) -> None:
    (call_id,) = talk.pending("CALL local", client_tools=CLIENT_TOOLS)
    answer = talk.answer(**returned(call_id), client_tools=CLIENT_TOOLS)
    back, said = answer["messages"]
    assert back["tool_return"] == f"done {call_id}"
    assert back["name"] is None
    assert said["content"] == WORDS
    assert types(talk.messages(order="asc"))[1:] == [
        "user_message",
        "approval_request_message",
        "approval_response_message",
        "tool_return_message",
        "assistant_message",
    ]


def test_a_token_stream_does_not_repeat_what_the_client_returned(talk: ServerClient) -> None:
    (call_id,) = talk.pending("CALL local", client_tools=CLIENT_TOOLS)
    assert "tool_return_message" not in types(talk.stream(**returned(call_id), stream_tokens=True))
    (call_id,) = talk.pending()
    assert "tool_return_message" in types(talk.stream(**approve(call_id), stream_tokens=True))


def test_an_approved_client_tool_fails(talk: ServerClient) -> None:
    (call_id,) = talk.pending("CALL local", client_tools=CLIENT_TOOLS)
    back = talk.answer(**approve(call_id))["messages"][0]
    assert (back["tool_return"], back["status"]) == ("Tool not found", "error")


def test_calls_that_need_no_approval_wait_with_those_that_do(talk: ServerClient) -> None:
    answer = talk.answer("CALL guarded get_weather")
    free, request = answer["messages"]
    assert types([free, request]) == ["tool_call_message", "approval_request_message"]
    back = talk.answer(**approve(request["tool_call"]["tool_call_id"]))["messages"][0]
    assert [each["tool_call_id"] for each in back["tool_returns"]] == [
        request["tool_call"]["tool_call_id"],
        free["tool_call"]["tool_call_id"],
    ]


def test_a_partial_answer_is_refused_and_leaves_all_pending(talk: ServerClient) -> None:
    first, second = talk.pending("CALL guarded local", client_tools=CLIENT_TOOLS)
    refused = talk.send(**approve(first), streaming=False)
    assert refused.status_code == 400
    assert refused.json() == {
        "detail": f"Invalid tool call IDs. Expected '['{first}', '{second}']', but received '['{first}']'."
    }
    failed = talk.stream(**approve(first))
    assert failed[-2]["error_type"] == "internal_error"
    assert "Invalid tool call IDs" in failed[-2]["detail"]
    both = [
        {"type": "approval", "tool_call_id": first, "approve": False, "reason": "no"},
        {"type": "tool", "tool_call_id": second, "tool_return": "ok", "status": "success"},
    ]
    back = talk.answer(messages=[{"type": "approval", "approvals": both}])["messages"][0]
    assert [each["tool_return"] for each in back["tool_returns"]] == [
        "ok",
        "Error: request to call tool denied. User reason: no",
    ]


def test_an_answer_given_twice_makes_the_agent_take_another_turn(talk: ServerClient) -> None:
    (call_id,) = talk.pending("CALL local", client_tools=CLIENT_TOOLS)
    talk.answer(**returned(call_id))
    again = talk.answer(**returned(call_id))
    assert types(again["messages"]) == ["assistant_message"]
    assert "keep-alive ping" in talk.messages(limit=2)[1]["content"]


def test_an_answer_to_nothing_is_refused(talk: ServerClient) -> None:
    refused = talk.send(**approve("call_of_nobody"), streaming=False)
    assert refused.status_code == 400
    assert "No tool call is currently awaiting approval" in refused.json()["detail"]


def test_what_follows_an_approval_is_said_after_it(talk: ServerClient) -> None:
    (call_id,) = talk.pending()
    request = approve(call_id)
    request["messages"].append({"role": "user", "content": "LONG 2"})
    assert talk.answer(**request)["messages"][-1]["content"] == "word0 word1"
    assert types(talk.messages(limit=3)) == ["assistant_message", "user_message", "tool_return_message"]


@pytest.mark.parametrize("background", [False, True])
def test_a_pending_approval_is_a_409_or_an_error_in_the_stream(talk: ServerClient, background: bool) -> None:
    talk.pending()
    refused = talk.send("hello", streaming=False)
    assert refused.status_code == 409
    assert refused.json()["detail"].startswith("CONFLICT: Cannot send a new message: The agent is waiting")
    events = talk.stream("hello", background=background)
    assert types(events) == ["ping", "stop_reason", "error_message", *([] if background else ["[DONE]"])]
    assert events[1]["stop_reason"] == "error"
    assert events[2]["event"] == "event: error"
    assert events[2]["error_type"] == "internal_error"
    assert events[2]["detail"] == events[2]["message"] == refused.json()["detail"]
    assert events[2]["seq_id"] == (3 if background else None)


@pytest.mark.parametrize(
    ("status", "answered", "kind"),
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
def test_a_failing_model(talk: ServerClient, status: int, answered: int, kind: str) -> None:
    refused = talk.send(f"FAIL {status}", streaming=False)
    assert refused.status_code == answered
    assert refused.json()["error"]["type"] == kind
    events = talk.stream(f"FAIL {status}")
    assert types(events) == ["ping", "stop_reason", "error_message", "[DONE]"]
    assert events[2]["error_type"] == kind.replace("bad_request", "error")
    assert events[2]["detail"] == refused.json()["error"]["detail"]
    # Nothing is stored of what failed, but its step.
    assert types(talk.messages()) == ["system_message"]
    assert [(step["status"], step["stop_reason"]) for step in talk.steps()] == [("failed", "llm_api_error")] * 2


def test_a_model_that_fails_in_the_middle_ends_the_stream_without_done(talk: ServerClient) -> None:
    talk.server.state.script.say(Turn(text="I was about", fail=500))
    events = talk.stream("hello", stream_tokens=True)
    assert types(events) == ["ping", *["assistant_message"] * 3, "stop_reason", "error_message"]
    assert events[-1]["message"] == "An error occurred during agent execution."


def test_a_script_goes_before_what_the_user_asks_for(talk: ServerClient) -> None:
    script = talk.server.state.script
    script.say(Turn(reasoning="hm", calls=[Call("get_time", {"zone": "UTC"})]), "It is noon. ")
    script.tools["get_time"] = ToolResult("12:00", stdout=("tick",))
    answer = talk.answer("FAIL 500")
    assert types(answer["messages"]) == [
        "reasoning_message",
        "tool_call_message",
        "tool_return_message",
        "assistant_message",
    ]
    assert answer["messages"][1]["tool_call"]["arguments"] == '{"zone": "UTC"}'
    assert answer["messages"][2]["stdout"] == ["tick"]
    assert answer["messages"][3]["content"] == "It is noon. "
    script.say("It is noon. ")
    assert [event["content"] for event in talk.stream("when", stream_tokens=True) if "content" in event] == [
        "It ",
        "is ",
        "noon. ",
    ]


def test_a_tool_that_fails(talk: ServerClient) -> None:
    talk.server.state.script.tools["get_weather"] = ToolResult("no network", status="error", stderr=("trace",))
    back = talk.answer("CALL get_weather")["messages"][1]
    assert (back["status"], back["tool_return"], back["stderr"]) == ("error", "no network", ["trace"])


def test_a_conversation_answers_one_stream_at_a_time(talk: ServerClient) -> None:
    talk.server.state.delay = 0.01
    body = {"input": "LONG 20", "stream_tokens": True}
    with talk.http.stream("POST", f"{talk.conversation}/messages", json=body) as first:
        run_id = parse_events(next(first.iter_text()))[0]["run_id"]
        refused = talk.send("me too")
        assert refused.status_code == 409
        assert refused.json()["run_id"] == run_id
        assert f"(run_id={run_id})" in refused.json()["detail"]
        # Without streaming, the real server does not look.
        assert talk.send("me too", streaming=False).status_code == 200
    # The client hung up, and the run goes on.
    assert talk.send("me too").status_code == 409


def test_an_agents_default_conversation_locks_the_agent_whatever_the_way_of_answering(talk: ServerClient) -> None:
    talk.server.state.delay = 0.01
    agent = talk.server.agent_id
    body = {"input": "LONG 20", "stream_tokens": True, "agent_id": agent}
    with talk.http.stream("POST", "/v1/conversations/default/messages", json=body) as first:
        next(first.iter_text())
        for path in ("/v1/conversations/default", f"/v1/conversations/{agent}"):
            assert talk.send("me too", path=path, agent_id=agent, streaming=False).status_code == 409
    assert talk.send("me too", streaming=False).status_code == 200


def test_a_run_whose_client_hung_up_is_finished_and_stored(talk: ServerClient) -> None:
    body = {"input": "LONG 2000", "stream_tokens": True}
    with talk.http.stream("POST", f"{talk.conversation}/messages", json=body) as response:
        next(response.iter_text())
    while len(found := talk.messages()) < 3:
        pass
    assert found[0]["content"].endswith("word1999 ")


def test_a_full_context_is_compacted_by_the_run(talk: ServerClient) -> None:
    agent = talk.server.state.agent(talk.server.agent_id)
    agent.context_window, agent.compaction_mode = 120, "all"
    said, summary = talk.answer("hello")["messages"]
    assert said["message_type"] == "assistant_message"
    assert summary["message_type"] == "user_message"
    assert "post_step_context_check" in summary["content"]
    assert summary["otid"]
    # Asked for, they look the same, but for the otid: that is what this release does.
    assert talk.answer("hello", include_compaction_messages=True)["messages"][1]["otid"] is None
    events = talk.stream("hello", include_compaction_messages=True)
    assert types(events)[1:3] == ["assistant_message", "user_message"]
    assert events[2]["otid"]

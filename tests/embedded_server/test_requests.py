"""Requests that do not fit, answered in the real server's words; each was compared with what it said."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import ServerClient

NOBODY = "00000000-0000-4000-8000-000000000000"
TYPES = (
    "'system_message', 'user_message', 'assistant_message', 'reasoning_message', 'hidden_reasoning_message', "
    "'tool_call_message', 'tool_return_message', 'approval_request_message', 'approval_response_message', "
    "'summary_message' or 'event_message'"
)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            {},
            "[{'type': 'value_error', 'loc': ('body',), 'msg': \"Value error, Must specify either 'input' or "
            "'messages'.\", 'input': {}, "
            "'ctx': {'error': ValueError(\"Must specify either 'input' or 'messages'.\")}}]",
        ),
        (
            {"input": "x", "streaming": "maybe"},
            "[{'type': 'bool_parsing', 'loc': ('body', 'streaming'), "
            "'msg': 'Input should be a valid boolean, unable to interpret input', 'input': 'maybe'}]",
        ),
        (
            {"input": "x", "max_steps": "k"},
            "[{'type': 'int_parsing', 'loc': ('body', 'max_steps'), 'msg': 'Input should be a valid integer, unable to "
            "parse string as an integer', 'input': 'k'}]",
        ),
        (
            {"input": "x", "include_return_message_types": ["zzz"]},
            "[{'type': 'enum', 'loc': ('body', 'include_return_message_types', 0), "
            f"'msg': \"Input should be {TYPES}\", 'input': 'zzz', 'ctx': {{'expected': \"{TYPES}\"}}}}]",
        ),
        (
            [1],
            "[{'type': 'model_attributes_type', 'loc': ('body',), 'msg': 'Input should be a valid dictionary or object "
            "to extract fields from', 'input': [1]}]",
        ),
    ],
)
def test_bodies_that_do_not_fit(talk: ServerClient, body: Any, detail: str) -> None:
    refused = talk.http.post(f"{talk.conversation}/messages", json=body)
    assert refused.status_code == 422
    assert refused.json() == {"trace_id": "", "detail": detail}


def test_what_is_no_json(talk: ServerClient) -> None:
    refused = talk.http.post(
        f"{talk.conversation}/messages", content=b"{nope", headers={"content-type": "application/json"}
    )
    assert refused.json()["detail"] == (
        "[{'type': 'json_invalid', 'loc': ('body', 1), 'msg': 'JSON decode error', 'input': {}, "
        "'ctx': {'error': 'Expecting property name enclosed in double quotes'}}]"
    )


@pytest.mark.parametrize(
    ("content", "status", "detail"),
    [
        (b"\x9a", 400, "There was an error parsing the body"),
        (b'{"input": "\xff"}', 400, "There was an error parsing the body"),
        (b"[" * 100_000, 400, "There was an error parsing the body"),
        (b'{"input": NaN}', 422, "[{'type': 'string_type', 'loc': ('body', 'input', 'str')"),
        (b"\xef\xbb\xbf{}", 422, "[{'type': 'value_error', 'loc': ('body',)"),
    ],
    ids=["no text", "half a text", "too deep", "not a number", "byte order mark"],
)
def test_bodies_that_are_hardly_json(talk: ServerClient, content: bytes, status: int, detail: str) -> None:
    headers = {"content-type": "application/json"}
    refused = talk.http.post(f"{talk.conversation}/messages", content=content, headers=headers)
    assert refused.status_code == status
    assert refused.json()["detail"].startswith(detail)


def test_what_no_database_stores_is_left_out(talk: ServerClient) -> None:
    talk.http.post(
        f"{talk.conversation}/messages",
        content=b'{"input": "x\\ud800y\\u0000z\\ud83d\\ude00", "streaming": false}',
        headers={"content-type": "application/json"},
    )
    assert talk.messages()[1]["content"] == "xyz\U0001f600"


def test_queries_that_do_not_fit(talk: ServerClient) -> None:
    query = {"order": "q", "limit": "z", "has_feedback": "perhaps", "feedback": "meh"}
    refused = talk.http.get("/v1/steps/", params=query)
    assert refused.status_code == 422
    names = [part.partition("'")[0] for part in refused.json()["detail"].split("('query', '")[1:]]
    assert names == ["limit", "order", "feedback", "has_feedback"]


@pytest.mark.parametrize("path", ["/v1/steps/", "/v1/conversations/{id}/messages"])
def test_a_negative_limit_breaks_the_database(talk: ServerClient, path: str) -> None:
    refused = talk.http.get(path.format(id=talk.server.conversation_id), params={"limit": -1})
    assert (refused.status_code, refused.json()) == (500, {"detail": "A database error occurred."})


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("POST", "/v1/conversations/default/messages", 404, "Conversation not found with id='['default']'"),
        ("POST", "/v1/conversations/default/compact", 404, "Conversation not found with id='['default']'"),
        ("POST", "/v1/conversations/default/cancel", 404, "Conversation not found with id='['default']'"),
        ("POST", "/v1/conversations/default/stream", 400, "INVALID_ARGUMENT: No active runs found"),
        ("POST", f"/v1/conversations/conv-{NOBODY}/messages", 404, "Conversation not found"),
        ("POST", f"/v1/conversations/agent-{NOBODY}/messages", 404, f"Agent with ID agent-{NOBODY} not found"),
        ("POST", "/v1/conversations/", 422, "[{'type': 'missing', 'loc': ('query', 'agent_id')"),
        ("POST", f"/v1/conversations/?agent_id=agent-{NOBODY}", 404, "Agent not found"),
        ("GET", f"/v1/conversations/default/messages?agent_id=agent-{NOBODY}", 404, "Agent not found"),
        ("GET", "/v1/nothing", 404, "Not Found"),
        ("DELETE", "/v1/steps/", 405, "Method Not Allowed"),
    ],
)
def test_whom_nobody_knows(talk: ServerClient, method: str, path: str, status: int, detail: str) -> None:
    refused = talk.http.request(method, path, json={"input": "x"} if method == "POST" else None)
    assert refused.status_code == status
    assert refused.json()["detail"].startswith(detail)


@pytest.mark.parametrize("conversation", ["default", f"conv-{NOBODY}"])
def test_the_messages_of_a_conversation_that_is_not_there(talk: ServerClient, conversation: str) -> None:
    assert talk.messages(f"/v1/conversations/{conversation}") == []


def test_a_message_of_no_kind_is_told_why_it_is_none_of_the_three(talk: ServerClient) -> None:
    answers = [{"type": "approval", "tool_call_id": "x"}, {"type": "tool", "tool_call_id": "x", "tool_return": "y"}]
    message = {"type": "approval", "approvals": answers}
    refused = talk.http.post(f"{talk.conversation}/messages", json={"messages": [message]})
    assert refused.status_code == 422
    told = refused.json()["detail"]
    for wanted in (
        "MessageCreate]', 'type')",
        "MessageCreate]', 'role')",
        "MessageCreate]', 'content')",
        "ApprovalCreate]]', 'approvals', 0, 'approval', 'approve')",
        "ApprovalCreate]]', 'approvals', 1, 'tool', 'status')",
        "ToolReturnCreate]', 'type')",
        "ToolReturnCreate]', 'tool_returns')",
    ):
        assert wanted in told


def test_what_is_no_message_at_all(talk: ServerClient) -> None:
    refused = talk.http.post(f"{talk.conversation}/messages", json={"messages": ["x"]})
    assert refused.json()["detail"].count("Input should be a valid dictionary or object to extract fields from") == 3


def test_an_answer_without_answers(talk: ServerClient) -> None:
    talk.pending()
    refused = talk.send(messages=[{"type": "approval", "approvals": []}], streaming=False)
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("Invalid approval response.")
    old = {"approve": False, "approval_request_id": talk.messages()[0]["tool_call"]["tool_call_id"], "reason": "no"}
    assert talk.answer(messages=[old])["messages"][0]["status"] == "error"

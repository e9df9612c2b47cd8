"""Invalid requests get Letta's error responses."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import ServerClient

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
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
def test_invalid_body_is_rejected(api: ServerClient, body: Any, detail: str) -> None:
    """An invalid body gets a 422 with pydantic's errors."""
    rejected = api.http.post(f"{api.conversation}/messages", json=body)
    assert rejected.status_code == 422
    assert rejected.json() == {"trace_id": "", "detail": detail}


def test_malformed_json_is_rejected(api: ServerClient) -> None:
    """Malformed JSON gets a 422 with the position."""
    rejected = api.http.post(
        f"{api.conversation}/messages", content=b"{nope", headers={"content-type": "application/json"}
    )
    assert rejected.json()["detail"] == (
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
def test_undecodable_body_is_rejected(api: ServerClient, content: bytes, status: int, detail: str) -> None:
    """An undecodable body gets a 400, and JSON with odd values a 422."""
    headers = {"content-type": "application/json"}
    rejected = api.http.post(f"{api.conversation}/messages", content=content, headers=headers)
    assert rejected.status_code == status
    assert rejected.json()["detail"].startswith(detail)


def test_unstorable_characters_are_removed(api: ServerClient) -> None:
    """NUL and lone surrogates are removed from stored text."""
    api.http.post(
        f"{api.conversation}/messages",
        content=b'{"input": "x\\ud800y\\u0000z\\ud83d\\ude00", "streaming": false}',
        headers={"content-type": "application/json"},
    )
    assert api.messages()[1]["content"] == "xyz\U0001f600"


def test_invalid_query_is_rejected(api: ServerClient) -> None:
    """An invalid query gets a 422 that names all parameters."""
    query = {"order": "q", "limit": "z", "has_feedback": "perhaps", "feedback": "meh"}
    rejected = api.http.get("/v1/steps/", params=query)
    assert rejected.status_code == 422
    names = [part.partition("'")[0] for part in rejected.json()["detail"].split("('query', '")[1:]]
    assert names == ["limit", "order", "feedback", "has_feedback"]


@pytest.mark.parametrize("path", ["/v1/steps/", "/v1/conversations/{id}/messages"])
def test_negative_limit_gets_database_error(api: ServerClient, path: str) -> None:
    """A negative limit gets a 500, as in Letta."""
    rejected = api.http.get(path.format(id=api.server.conversation_id), params={"limit": -1})
    assert (rejected.status_code, rejected.json()) == (500, {"detail": "A database error occurred."})


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("POST", "/v1/conversations/default/messages", 404, "Conversation not found with id='['default']'"),
        ("POST", "/v1/conversations/default/compact", 404, "Conversation not found with id='['default']'"),
        ("POST", "/v1/conversations/default/cancel", 404, "Conversation not found with id='['default']'"),
        ("POST", "/v1/conversations/default/stream", 400, "INVALID_ARGUMENT: No active runs found"),
        ("POST", f"/v1/conversations/conv-{UNKNOWN_ID}/messages", 404, "Conversation not found"),
        (
            "POST",
            f"/v1/conversations/agent-{UNKNOWN_ID}/messages",
            404,
            f"Agent with ID agent-{UNKNOWN_ID} not found",
        ),
        ("POST", "/v1/conversations/", 422, "[{'type': 'missing', 'loc': ('query', 'agent_id')"),
        ("POST", f"/v1/conversations/?agent_id=agent-{UNKNOWN_ID}", 404, "Agent not found"),
        ("GET", f"/v1/conversations/default/messages?agent_id=agent-{UNKNOWN_ID}", 404, "Agent not found"),
        ("GET", "/v1/nothing", 404, "Not Found"),
        ("DELETE", "/v1/steps/", 405, "Method Not Allowed"),
    ],
)
def test_unknown_object_is_rejected(api: ServerClient, method: str, path: str, status: int, detail: str) -> None:
    """Unknown objects and paths get Letta's error texts."""
    rejected = api.http.request(method, path, json={"input": "x"} if method == "POST" else None)
    assert rejected.status_code == status
    assert rejected.json()["detail"].startswith(detail)


@pytest.mark.parametrize("conversation", ["default", f"conv-{UNKNOWN_ID}"])
def test_unknown_conversation_has_no_messages(api: ServerClient, conversation: str) -> None:
    """The messages of an unknown conversation are an empty list, as in Letta."""
    assert api.messages(f"/v1/conversations/{conversation}") == []


def test_invalid_message_gets_problems_of_all_types(api: ServerClient) -> None:
    """A message of no valid type gets the problems of all three types."""
    approvals = [{"type": "approval", "tool_call_id": "x"}, {"type": "tool", "tool_call_id": "x", "tool_return": "y"}]
    message = {"type": "approval", "approvals": approvals}
    rejected = api.http.post(f"{api.conversation}/messages", json={"messages": [message]})
    assert rejected.status_code == 422
    detail_text = rejected.json()["detail"]
    for expected in (
        "MessageCreate]', 'type')",
        "MessageCreate]', 'role')",
        "MessageCreate]', 'content')",
        "ApprovalCreate]]', 'approvals', 0, 'approval', 'approve')",
        "ApprovalCreate]]', 'approvals', 1, 'tool', 'status')",
        "ToolReturnCreate]', 'type')",
        "ToolReturnCreate]', 'tool_returns')",
    ):
        assert expected in detail_text


def test_message_that_is_not_an_object_is_rejected(api: ServerClient) -> None:
    """A message that is not an object gets one problem per type."""
    rejected = api.http.post(f"{api.conversation}/messages", json={"messages": ["x"]})
    assert rejected.json()["detail"].count("Input should be a valid dictionary or object to extract fields from") == 3


def test_empty_approvals_are_rejected(api: ServerClient) -> None:
    """An empty list of approvals is rejected, and the deprecated form is accepted."""
    api.pending()
    rejected = api.send(messages=[{"type": "approval", "approvals": []}], streaming=False)
    assert rejected.status_code == 400
    assert rejected.json()["detail"].startswith("Invalid approval response.")
    deprecated = {
        "approve": False,
        "approval_request_id": api.messages()[0]["tool_call"]["tool_call_id"],
        "reason": "no",
    }
    assert api.send_json(messages=[deprecated])["messages"][0]["status"] == "error"


@pytest.mark.parametrize(
    ("role", "content"),
    [
        ("system", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        ("system", [{"type": "tool_return", "tool_call_id": "c", "content": "x", "is_error": False}]),
        ("assistant", [{"type": "tool_call", "id": "c", "name": "n", "input": {}}]),
    ],
    ids=["texts", "tool return", "tool call"],
)
@pytest.mark.parametrize("streaming", [True, False])
def test_content_that_damages_a_conversation_is_rejected(
    api: ServerClient, role: str, content: Any, streaming: bool
) -> None:
    """Content after which Letta cannot read a conversation is rejected, and the conversation is unchanged."""
    before = api.messages()
    response = api.send(messages=[{"role": role, "content": content}], streaming=streaming)
    assert response.status_code == (200 if streaming else 400)
    assert not streaming or '"error_message"' in response.text
    assert api.messages() == before
    assert api.send_json("x")["messages"]

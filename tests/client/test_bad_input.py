"""Invalid arguments are rejected before anything is sent, and ids reach the right endpoint."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letta_api.models import LettaPing
from letta_ext import Letta, LettaError

from .helpers import BASE_URL, CONVERSATION, STEP, ClientDriver, recording, respond_with

Call = Callable[..., Any]

WITH_ID: dict[str, tuple[str, Callable[[Any], Call], str]] = {
    "steps.retrieve": ("GET", lambda c: c.steps.retrieve, "/v1/steps/{}"),
    "steps.metrics.retrieve": ("GET", lambda c: c.steps.metrics.retrieve, "/v1/steps/{}/metrics"),
    "steps.trace.retrieve": ("GET", lambda c: c.steps.trace.retrieve, "/v1/steps/{}/trace"),
    "steps.feedback.create": ("PATCH", lambda c: c.steps.feedback.create, "/v1/steps/{}/feedback"),
    "steps.messages.list": ("GET", lambda c: c.steps.messages.list, "/v1/steps/{}/messages"),
    "conversations.messages.list": ("GET", lambda c: c.conversations.messages.list, "/v1/conversations/{}/messages"),
    "conversations.messages.create": (
        "POST",
        lambda c: c.conversations.messages.create,
        "/v1/conversations/{}/messages",
    ),
    "conversations.messages.stream": ("POST", lambda c: c.conversations.messages.stream, "/v1/conversations/{}/stream"),
    "conversations.messages.compact": (
        "POST",
        lambda c: c.conversations.messages.compact,
        "/v1/conversations/{}/compact",
    ),
}
ALL: dict[str, Callable[[Any], Call]] = {
    "steps.list": lambda c: c.steps.list,
    **{name: function for name, (_, function, _) in WITH_ID.items()},
}


def rejected(driver: ClientDriver, function: Callable[[Any], Call], *ids: Any, **arguments: Any) -> Exception:
    """Return the exception of a call that must send nothing."""
    handler = respond_with(200)
    with pytest.raises((TypeError, ValueError)) as caught:
        driver.run(function(driver.client(handler))(*ids, **arguments))
    assert handler.requests == []
    return caught.value


def create(client: Any) -> Call:
    function: Call = client.conversations.messages.create
    return function


# Ids


@pytest.mark.parametrize("name", WITH_ID)
def test_id_of_wrong_type_raises_type_error(driver: ClientDriver, name: str) -> None:
    """An id that is not a string raises `TypeError`."""
    argument = "step_id" if name.startswith("steps") else "conversation_id"
    for bad in (None, 7, True, b"step-1", ["step-1"], object):
        error = rejected(driver, WITH_ID[name][1], bad)
        assert type(error) is TypeError, bad
        assert str(error).startswith(f"{argument} must be a string, got {bad!r}")


ODD = [
    "",
    ".",
    "..",
    "a/b",
    "../steps",
    "%2e%2e",
    "..%2f",
    "a?b=c",
    "a#b",
    "a;b",
    "a\\b",
    "a b",
    "ä",
    "\n",
    "...",
    "a%00",
    ":",
    "@",
    "*",
]


@pytest.mark.parametrize("name", WITH_ID)
def test_id_with_invalid_characters_raises_value_error(driver: ClientDriver, name: str) -> None:
    """An id with characters outside an id's alphabet raises `ValueError`."""
    argument = "step_id" if name.startswith("steps") else "conversation_id"
    for odd in ODD:
        error = rejected(driver, WITH_ID[name][1], odd)
        assert type(error) is ValueError, odd
        assert str(error).startswith(f"{argument} must be an id such as '")
        assert str(error).endswith(f", got {odd!r}")


@pytest.mark.parametrize("name", WITH_ID)
@pytest.mark.parametrize("known", ["step-1", "conv-1", "default", "agent-123e4567-e89b-42d3-8456-426614174000", "a_b"])
def test_valid_id_is_put_into_path_unchanged(driver: ClientDriver, name: str, known: str) -> None:
    """A valid id becomes one path segment of the endpoint."""
    method, function, path = WITH_ID[name]
    handler = respond_with(404)
    content = {"input": "hello", "agent_id": "agent-1"} if name == "conversations.messages.create" else {}
    with pytest.raises(LettaError):
        driver.run(function(driver.client(handler))(known, **content))
    (request,) = handler.requests
    assert (request.method, request.url.path) == (method, path.replace("{}", known))


@given(st.text(max_size=30))
def test_arbitrary_id_is_one_path_segment_or_rejected(value: str) -> None:
    """Any text is one path segment or is rejected."""
    handler = respond_with(404)
    http = httpx.Client(transport=httpx.MockTransport(handler))
    with http, Letta(base_url=BASE_URL, http_client=http) as client, pytest.raises((LettaError, ValueError)):
        client.steps.metrics.retrieve(value)
    for request in handler.requests:
        assert request.url.raw_path.decode("ascii") == f"/v1/steps/{value}/metrics"


@pytest.mark.parametrize("name", WITH_ID)
def test_id_too_long_for_url_raises_short_value_error(driver: ClientDriver, name: str) -> None:
    """An id that exceeds the length of a URL raises a short `ValueError`."""
    error = rejected(driver, WITH_ID[name][1], "x" * 70_000)
    assert type(error) is ValueError
    assert len(str(error)) < 200


# Keyword arguments


@pytest.mark.parametrize("name", ALL)
def test_unknown_keyword_raises_type_error_naming_it(driver: ClientDriver, name: str) -> None:
    """An unknown keyword raises a `TypeError` that names it."""
    ids = [STEP] if name in WITH_ID else []
    error = rejected(driver, ALL[name], *ids, colour="red", flavour="sweet")
    assert type(error) is TypeError
    assert str(error).startswith(f"{name}() has no argument 'colour'. Valid arguments: ")


def test_unknown_keyword_error_lists_accepted_keywords(driver: ClientDriver) -> None:
    """The error for an unknown keyword lists the accepted ones."""
    error = rejected(driver, ALL["conversations.messages.compact"], CONVERSATION, mode="all")
    assert str(error) == (
        "conversations.messages.compact() has no argument 'mode'. Valid arguments: agent_id, compaction_settings."
    )
    error = rejected(driver, ALL["steps.retrieve"], STEP, mode="all")
    assert str(error) == "steps.retrieve() has no argument 'mode'. Valid arguments: only ids."


USER = {"role": "user", "content": "hi"}
RETURN = {"tool_call_id": "call_1", "tool_return": "done", "status": "success"}

WRONG: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("steps.list", {"limit": "3"}, TypeError, "limit must be an integer or None, got '3'"),
    ("steps.list", {"limit": 3.5}, TypeError, "limit must be an integer or None, got 3.5"),
    ("steps.list", {"limit": True}, TypeError, "limit must be an integer or None, got True"),
    ("steps.list", {"order": "up"}, ValueError, "order must be 'asc' or 'desc', got 'up'"),
    ("steps.list", {"feedback": "meh"}, ValueError, "feedback must be 'positive', 'negative' or None, got 'meh'"),
    ("steps.list", {"has_feedback": 1}, TypeError, "has_feedback must be True, False or None, got 1"),
    ("steps.list", {"tags": "one"}, TypeError, "tags must be a list or None, got 'one'"),
    ("steps.list", {"tags": ["one", 2]}, TypeError, "tags[1] must be a string, got 2"),
    ("steps.list", {"model": b"x"}, TypeError, "model must be a string or None, got b'x'"),
    (
        "steps.feedback.create",
        {"feedback": "meh"},
        ValueError,
        "feedback must be 'positive', 'negative' or None, got 'meh'",
    ),
    (
        "conversations.messages.stream",
        {"starting_after": "5"},
        TypeError,
        "starting_after must be an integer or None, got '5'",
    ),
    (
        "conversations.messages.stream",
        {"poll_interval": "1"},
        TypeError,
        "poll_interval must be a number or None, got '1'",
    ),
    (
        "conversations.messages.compact",
        {"compaction_settings": {"mode": "sideways"}},
        ValueError,
        "compaction_settings.mode must be 'all', 'sliding_window', 'self_compact_all', 'self_compact_sliding_window'"
        " or None, got 'sideways'",
    ),
    (
        "conversations.messages.compact",
        {"compaction_settings": "all"},
        TypeError,
        "compaction_settings must be a mapping or None, got 'all'",
    ),
    ("conversations.messages.create", {"messages": USER}, TypeError, f"messages must be a list or None, got {USER}"),
    ("conversations.messages.create", {"messages": [7]}, TypeError, "messages[0] must be a mapping, got 7"),
    (
        "conversations.messages.create",
        {"messages": [USER, {"role": "user"}]},
        ValueError,
        "messages[1] must have the key 'content', got {'role': 'user'}",
    ),
    (
        "conversations.messages.create",
        {"messages": [{"role": "boss", "content": "hi"}]},
        ValueError,
        "messages[0].role must be 'user', 'system' or 'assistant', got 'boss'",
    ),
    (
        "conversations.messages.create",
        {"messages": [{"role": "user", "content": 7}]},
        TypeError,
        "messages[0].content must be a list or a string, got 7",
    ),
    (
        "conversations.messages.create",
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        ValueError,
        "messages[0].content[0] must have the key 'text', got {'type': 'text'}",
    ),
    (
        "conversations.messages.create",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]},
        TypeError,
        "messages[0].content[0].text must be a string, got 7",
    ),
    (
        "conversations.messages.create",
        {"messages": [{**USER, "type": "letter"}]},
        ValueError,
        "messages[0].type must be 'message', 'approval' or 'tool_return', got 'letter'",
    ),
    (
        "conversations.messages.create",
        {"messages": [{"type": "tool_return", "tool_returns": [{**RETURN, "status": "fine"}]}]},
        ValueError,
        "messages[0].tool_returns[0].status must be 'success' or 'error', got 'fine'",
    ),
    (
        "conversations.messages.create",
        {"messages": [{"type": "tool_return", "tool_returns": [{"tool_return": "done", "status": "success"}]}]},
        ValueError,
        "messages[0].tool_returns[0] must have the key 'tool_call_id', got {'tool_return': 'done', 'status': 'su",
    ),
    (
        "conversations.messages.create",
        {"messages": [{"type": "approval", "approvals": [{"tool_call_id": "call_1", "approve": "yes"}]}]},
        TypeError,
        "messages[0].approvals[0].approve must be True or False, got 'yes'",
    ),
    (
        "conversations.messages.create",
        {"client_tools": [{"description": "no name"}]},
        ValueError,
        "client_tools[0] must have the key 'name', got {'description': 'no name'}",
    ),
    (
        "conversations.messages.create",
        {"client_tools": [{"name": "n", "parameters": {1: 2}}]},
        TypeError,
        "client_tools[0].parameters must have strings as keys, got 1",
    ),
    ("conversations.messages.create", {"streaming": "no"}, TypeError, "streaming must be True, False or None"),
    ("conversations.messages.create", {"max_steps": 2.0}, TypeError, "max_steps must be an integer or None"),
    (
        "conversations.messages.create",
        {"include_return_message_types": ["assistant"]},
        ValueError,
        "include_return_message_types[0] must be 'system_message', 'user_message', ",
    ),
    (
        "conversations.messages.create",
        {"input": "hi", "messages": [USER]},
        ValueError,
        "input and messages are mutually exclusive: input is a single user message",
    ),
    ("steps.retrieve", {"timeout": "soon"}, TypeError, "timeout must be a number of seconds, an httpx.Timeout or None"),
    (
        "steps.retrieve",
        {"timeout": 0},
        ValueError,
        "timeout must be a positive number of seconds up to 10000000, got 0",
    ),
    (
        "steps.retrieve",
        {"timeout": float("nan")},
        ValueError,
        "timeout must be a positive number of seconds up to 10000000, got nan",
    ),
    ("steps.retrieve", {"timeout": float("inf")}, ValueError, "timeout must be "),
    ("steps.retrieve", {"retry": 3}, TypeError, "retry must be "),
    ("steps.retrieve", {"extra_headers": {"X": "a\nb"}}, ValueError, "header X must be printable ASCII"),
    ("steps.retrieve", {"extra_headers": {"a b": "c"}}, ValueError, "a header name must be an HTTP token, got 'a b'"),
    ("steps.retrieve", {"extra_headers": {"X": 7}}, TypeError, "header X must be a string, got int"),
    ("steps.retrieve", {"extra_query": 7}, TypeError, "extra_query must be "),
    ("steps.retrieve", {"extra_query": {"a": ...}}, TypeError, "extra_query['a'] must be a string, a number"),
    ("steps.retrieve", {"stream_limits": 7}, TypeError, "stream_limits must be a StreamLimits, got int"),
    ("steps.retrieve", {"hooks": 7}, TypeError, "hooks must be a Hooks, got int"),
    ("conversations.messages.create", {"extra_body": 7}, TypeError, "extra_body must be "),
    # Parameters of the library itself, which are not sent.
    ("steps.list", {"prefetch": "yes"}, TypeError, "prefetch must be True or False, got 'yes'"),
    ("steps.list", {"checkpoint": "step-1"}, TypeError, "checkpoint must be a dict"),
    ("steps.list", {"checkpoint": {}}, ValueError, "checkpoint must have version 1, got {}"),
    (
        "conversations.messages.list",
        {"include_return_message_types": "user_message"},
        TypeError,
        "include_return_message_types must be a list or None, got 'user_message'",
    ),
    (
        "conversations.messages.list",
        {"include_return_message_types": ["user"]},
        ValueError,
        "include_return_message_types[0] must be 'system_message', ",
    ),
    # The server ignores these cursors and starts at the top.
    ("conversations.messages.list", {"after": ""}, ValueError, "after must be an id, got ''"),
    ("conversations.messages.list", {"before": "a/b"}, ValueError, "before must be an id, got 'a/b'"),
    ("steps.list", {"order": None}, TypeError, "order must be 'asc' or 'desc', got None"),
    # The server fails or hangs on these.
    ("steps.list", {"limit": -1}, ValueError, "limit must be "),
    ("conversations.messages.list", {"limit": -1}, ValueError, "limit must be "),
    ("conversations.messages.stream", {"batch_size": 1}, ValueError, "batch_size must be "),
    ("conversations.messages.stream", {"batch_size": 0}, ValueError, "batch_size must be "),
    # JSON cannot represent these.
    ("conversations.messages.create", {"input": "\ud800"}, ValueError, "input must be text that UTF-8 can encode"),
    (
        "conversations.messages.create",
        {"client_tools": [{"name": "n", "parameters": {"x": float("nan")}}]},
        ValueError,
        "client_tools[0].parameters['x'] must be a finite number, got nan",
    ),
    (
        "conversations.messages.create",
        {"client_tools": [{"name": "n", "parameters": {"x": {1, 2}}}]},
        TypeError,
        "client_tools[0].parameters['x'] must be a JSON value, got set",
    ),
]


@pytest.mark.parametrize(
    ("name", "arguments", "error_class", "message"),
    WRONG,
    ids=[f"{name} {arguments}"[:70] for name, arguments, *_ in WRONG],
)
def test_invalid_argument_raises_error_naming_it_before_sending(
    driver: ClientDriver, name: str, arguments: dict[str, Any], error_class: type[Exception], message: str
) -> None:
    """An invalid argument is named in the error, and nothing is sent."""
    error = rejected(driver, ALL[name], *([STEP] if name in WITH_ID else []), **arguments)
    assert str(error).startswith(message)
    assert type(error) is error_class


def test_model_of_wrong_class_raises_before_sending(driver: ClientDriver) -> None:
    """A model of another class than the parameter's is rejected."""
    ping = LettaPing(id="ping-1", date=datetime.fromisoformat("2026-01-01T00:00:00Z"))
    error = rejected(driver, create, CONVERSATION, messages=[ping])
    assert str(error).startswith("messages[0] must be ")


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_arbitrary_messages_value_is_sent_or_rejected_by_name(value: Any) -> None:
    """Any value for `messages` is sent or rejected with an error that names it."""
    handler = respond_with(404)
    http = httpx.Client(transport=httpx.MockTransport(handler))
    with http, Letta(base_url=BASE_URL, http_client=http) as client:
        try:
            client.conversations.messages.create(CONVERSATION, messages=value)
        except LettaError:
            assert len(handler.requests) == 1
        except (TypeError, ValueError) as error:
            assert handler.requests == []
            names = ("messages", "input or messages", "conversations.messages.create()")
            assert str(error).startswith(names)  # noqa: PT017  # only some values raise


# Sends that the server rejects in any state

USELESS: dict[str, tuple[str, dict[str, Any], str]] = {
    "nothing": (CONVERSATION, {}, "input or messages must be given"),
    "nothing, as JSON": (CONVERSATION, {"streaming": False}, "input or messages must be given"),
    "nothing, in the background": (CONVERSATION, {"background": True}, "input or messages must be given"),
    "nothing, to an agent": ("agent-1", {}, "input or messages must be given"),
    "nothing, to the default": ("default", {"agent_id": "agent-1"}, "input or messages must be given"),
    "None": (CONVERSATION, {"input": None, "messages": None}, "input or messages must be given"),
    "no messages": (CONVERSATION, {"messages": []}, "messages must not be empty"),
    "no messages in the body": (CONVERSATION, {"extra_body": {"messages": []}}, "messages must not be empty"),
    "default without an agent": ("default", {"input": "hi"}, "agent_id must be given"),
    "default, as JSON": ("default", {"input": "hi", "streaming": False}, "agent_id must be given"),
    "default with None": ("default", {"messages": [USER], "agent_id": None}, "agent_id must be given"),
}
USEFUL: dict[str, tuple[str, dict[str, Any]]] = {
    "the documented example": ("default", {}),
    "the documented example, as JSON": ("default", {"streaming": False}),
    "an empty text": (CONVERSATION, {"input": ""}),
    "an agent": ("agent-1", {"input": "hi"}),
    "default with an agent": ("default", {"input": "hi", "agent_id": "agent-1"}),
    "content in the body": (CONVERSATION, {"extra_body": {"input": "hi"}}),
    "agent in the body": ("default", {"input": "hi", "extra_body": {"agent_id": "agent-1"}}),
}


@pytest.mark.parametrize("name", USELESS)
def test_send_that_cannot_succeed_raises_value_error_with_remedy(driver: ClientDriver, name: str) -> None:
    """A send that the server rejects in any state is not sent, and the error names argument and remedy."""
    conversation, arguments, start = USELESS[name]
    error = rejected(driver, create, conversation, **arguments)
    assert type(error) is ValueError
    assert str(error).startswith(start)
    assert "Pass " in str(error)


@pytest.mark.parametrize("name", USEFUL)
def test_send_that_some_server_accepts_is_sent(driver: ClientDriver, name: str) -> None:
    """A send that can succeed is sent, as is the example of Letta's documentation."""
    conversation, arguments = USEFUL[name]
    handler = respond_with(404)
    with pytest.raises(LettaError):
        driver.run(create(driver.client(handler))(conversation, **arguments))
    assert len(handler.requests) == 1


def test_unknown_field_of_typed_dict_is_sent(driver: ClientDriver) -> None:
    """A field that the library does not know is sent unchanged."""
    handler = respond_with(recording("send_json").response)
    messages = [{**USER, "mood": "good"}]
    driver.run(create(driver.client(handler))(CONVERSATION, messages=messages, streaming=False))
    assert b'"mood":"good"' in handler.requests[0].content

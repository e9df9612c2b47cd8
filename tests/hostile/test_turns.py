"""Tool turns: arguments that would fail after the first request, and malformed tool calls."""

from __future__ import annotations

import itertools
from typing import Any, Final

import httpx
import pytest

from letta_ext import APIResponseValidationError, LettaError
from letta_ext.testing import EmbeddedServer

from ..client.helpers import CONVERSATION, NO_DELAY, ClientDriver, event_stream, respond_with, sse
from .mutating import FIELDS
from .playing import Time
from .test_lists import message

STOP: Final = {"message_type": "stop_reason", "stop_reason": "requires_approval"}
DONE: Final = b"data: [DONE]\n\n"
CALL: Final = {"name": "add", "arguments": "{}", "tool_call_id": "call_1"}


class RecordingTool(list[str]):
    """A tool that records its calls."""

    def add(self) -> int:
        """Record the call."""
        self.append("add")
        return 1


# Arguments


@pytest.mark.parametrize(
    ("arguments", "kind", "name"),
    [
        ({"streaming": False}, ValueError, "streaming"),
        ({"streaming": None}, ValueError, "streaming"),
        ({"streaming": "no"}, ValueError, "streaming"),
        ({"max_rounds": "3"}, TypeError, "max_rounds"),
        ({"max_rounds": 1.5}, TypeError, "max_rounds"),
        ({"max_rounds": True}, TypeError, "max_rounds"),
        ({"max_rounds": None}, TypeError, "max_rounds"),
        ({"max_rounds": -1}, ValueError, "max_rounds"),
        ({"client_tools": 5}, TypeError, "client_tools"),
        ({"client_tools": "add"}, TypeError, "client_tools"),
        ({"client_tools": [{"description": "no name"}]}, ValueError, "client_tools"),
        ({"include_return_message_types": "user_message"}, TypeError, "include_return_message_types"),
        ({"include_return_message_types": 5}, TypeError, "include_return_message_types"),
        ({"background": "no"}, TypeError, "background"),
        ({"stream_tokens": 1}, TypeError, "stream_tokens"),
        ({"max_steps": "5"}, TypeError, "max_steps"),
        ({"agent_id": 5}, TypeError, "agent_id"),
        ({"no_such": 5}, TypeError, "no_such"),
        ({"timeout": "5"}, TypeError, "timeout"),
        ({"retry": 5}, TypeError, "retry"),
        ({"hooks": 5}, TypeError, "hooks"),
        ({"extra_headers": 5}, TypeError, "extra_headers"),
        ({"extra_query": 5}, TypeError, "extra_query"),
        ({"extra_body": 5}, TypeError, "extra_body"),
        ({"extra_body": {"streaming": False}}, ValueError, "extra_body"),
        ({"extra_body": {"messages": []}}, ValueError, "extra_body"),
        ({"extra_body": {"input": "again"}}, ValueError, "extra_body"),
        ({"extra_body": {"background": False}}, ValueError, "extra_body"),
        ({"extra_body": {"client_tools": []}}, ValueError, "extra_body"),
        ({"extra_body": {"include_return_message_types": []}}, ValueError, "extra_body"),
        ({"input": None}, ValueError, "input"),
        ({"input": 5}, TypeError, "content"),
        ({"input": None, "messages": []}, ValueError, "messages"),
        ({"input": None, "messages": 5}, ValueError, "messages"),
        ({"input": None, "messages": [{"role": "unknown", "content": "x"}]}, ValueError, "messages"),
    ],
    ids=repr,
)
def test_run_tools_with_invalid_argument_raises_before_sending(
    driver: ClientDriver, server: EmbeddedServer, arguments: dict[str, Any], kind: type[Exception], name: str
) -> None:
    """`run_tools` rejects an unusable argument by name when it is called."""
    run_tools = driver.client(base_url=server.base_url).conversations.messages.run_tools
    with pytest.raises(kind, match=name):
        run_tools(server.conversation_id, **{"input": "hi", **arguments})
    assert server.requests == []


@pytest.mark.parametrize("id", ["", "..", "a/b", "\ud800", "x" * 5000])
def test_run_tools_with_invalid_conversation_id_raises_before_sending(
    driver: ClientDriver, server: EmbeddedServer, id: str
) -> None:
    """An invalid id is rejected by name."""
    with pytest.raises(ValueError, match="conversation_id"):
        driver.client(base_url=server.base_url).conversations.messages.run_tools(id, input="hi")
    assert server.requests == []


# Tool calls

WRONG: Final[tuple[Any, ...]] = (5, [], {}, ["c"], True)

REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "no id": {"id": ...},
    "no date": {"date": ...},
    "no call": {"tool_call": ..., "tool_calls": ...},
    **{f"tool_call {value!r}": {"tool_call": value, "tool_calls": ...} for value in FIELDS["tool_call"]},
    **{f"tool_calls {value!r}": {"tool_calls": value} for value in FIELDS["tool_calls"] if value is not None},
    **{
        f"{name} {value!r:.20}": {"tool_calls": [{**CALL, name: value}]}
        for name in ("tool_call_id", "name", "arguments")
        for value in WRONG
    },
    "no id of the call": {"tool_calls": [{**CALL, "tool_call_id": None}]},
    "no name": {"tool_calls": [{**CALL, "name": None}]},
    "an empty id": {"tool_calls": [{**CALL, "tool_call_id": ""}]},
    "one of two": {"tool_calls": [CALL, {**CALL, "tool_call_id": ["c"]}]},
}


@pytest.mark.parametrize("fields", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("background", [True, False])
def test_malformed_approval_request_raises_and_runs_no_tool(
    driver: ClientDriver, fields: dict[str, Any], background: bool
) -> None:
    """A malformed approval request raises, and no tool of it runs."""
    request = {**message("message-2", run_id="run-1"), "message_type": "approval_request_message", "tool_call": CALL}
    request = {key: value for key, value in {**request, "tool_calls": [CALL], **fields}.items() if value is not ...}
    handler = respond_with(lambda: event_stream(sse(message("message-1", run_id="run-1"), request, STOP) + DONE))
    ran = RecordingTool()
    turn = driver.client(handler, retry=NO_DELAY).conversations.messages.run_tools(
        CONVERSATION, input="hi", tools=[ran.add], max_rounds=1, background=background
    )
    for _ in range(2):
        with pytest.raises(APIResponseValidationError, match=r"cannot be decoded|contained no tool calls"):
            driver.run(turn.result())
    assert ran == []
    assert len(handler.requests) == 1


def test_valid_approval_request_runs_tool(driver: ClientDriver) -> None:
    """The same request, well-formed, runs the tool."""
    request = {**message("message-2", run_id="run-1"), "message_type": "approval_request_message", "tool_call": CALL}
    end = {**STOP, "stop_reason": "end_turn"}
    handler = respond_with(
        lambda: event_stream(sse({**request, "tool_calls": [CALL]}, STOP) + DONE),
        lambda: event_stream(sse(message("message-3", run_id="run-2"), end) + DONE),
    )
    ran = RecordingTool()
    turn = driver.client(handler).conversations.messages.run_tools(CONVERSATION, input="hi", tools=[ran.add])
    assert driver.run(turn.result()).stop_reason.stop_reason == "end_turn"
    assert ran == ["add"]


ODD_USAGE: Final = (5, True, "5", [5], {"a": 5}, None, 10**30)


@pytest.mark.parametrize(("one", "other"), [*itertools.product(ODD_USAGE, repeat=2)], ids=repr)
def test_usage_of_any_type_does_not_lose_turn(driver: ClientDriver, one: Any, other: Any) -> None:
    """Usage that is not a number does not lose the turn."""
    request = {**message("message-2", run_id="run-1"), "message_type": "approval_request_message", "tool_call": CALL}
    usage = {"message_type": "usage_statistics", "step_count": 1}
    end = {**STOP, "stop_reason": "end_turn"}
    handler = respond_with(
        lambda: event_stream(sse(request, STOP, {**usage, "total_tokens": one}) + DONE),
        lambda: event_stream(sse(end, {**usage, "total_tokens": other}) + DONE),
    )
    turn = driver.client(handler).conversations.messages.run_tools(
        CONVERSATION, input="hi", tools=[RecordingTool().add]
    )
    try:
        result = driver.run(turn.result())
    except LettaError:
        return
    if type(one) is type(other) is int:
        assert result.usage.total_tokens == one + other
    assert result.rounds == 2


@pytest.mark.parametrize(
    "run", [None, [], {}, {"status": []}, {"status": {}}, {"status": "completed", "stop_reason": []}]
)
def test_malformed_run_counts_as_ended(driver: ClientDriver, run: Any, virtual_time: Time) -> None:
    """A turn whose events are lost continues from the list, for any JSON of its run."""
    stored = [{**message("message-2", run_id="run-1"), "message_type": "assistant_message"}]

    def handler(request: httpx.Request) -> httpx.Response:
        if "/runs/" in request.url.path:
            return httpx.Response(200, json=run)
        if request.method == "GET":
            return httpx.Response(200, json=stored)
        if request.url.path.endswith("/stream"):
            return httpx.Response(410, json={"detail": "expired"})
        return event_stream(sse(message("message-1", n=1, run_id="run-1", seq_id=1)))

    turn = driver.client(handler, retry=NO_DELAY).conversations.messages.run_tools(CONVERSATION, input="hi")
    assert [each.id for each in driver.run(turn.result()).messages] == ["message-1", "message-2"]
    assert virtual_time.now < 1

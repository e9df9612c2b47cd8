"""Wrong types in events and errors: accumulated messages, and waits for a run with an odd id."""

from __future__ import annotations

import json
import logging
import pickle
from typing import Any, Final

import httpx
import pytest

from letta_ext import APIError, BusyPolicy, ConversationBusyError, LettaError
from letta_ext.types import is_unknown

from ..client.helpers import (
    CONVERSATION,
    EVENTS,
    NO_DELAY,
    NO_RETRIES,
    STEP,
    ClientDriver,
    event_stream,
    respond_with,
    sse,
)
from .mutating import FIELDS
from .playing import Time
from .test_lists import message

STOP: Final = {"message_type": "stop_reason", "stop_reason": "end_turn"}
DONE: Final = b"data: [DONE]\n\n"
CALL: Final = {"name": "add", "arguments": "{}", "tool_call_id": "call_1"}
WRONG: Final[tuple[Any, ...]] = (5, True, [], ["a"], {"a": 1})
ODD_CONTENTS: Final[tuple[Any, ...]] = (5, True, {}, [5], [None])


def make_message(kind: str, **fields: Any) -> dict[str, Any]:
    return {**message("message-1"), "message_type": f"{kind}_message", **fields}


EVENTS_OF_WRONG_TYPES: Final = [
    *(make_message("reasoning", source="reasoner_model", reasoning=value) for value in WRONG),
    *(make_message("tool_call", tool_call=CALL, tool_calls={**CALL, name: value}) for name in CALL for value in WRONG),
    *(make_message("tool_call", tool_call={**CALL, name: value}) for name in CALL for value in WRONG),
    *(
        make_message("approval_request", tool_call=CALL, tool_calls=[{**CALL, name: value}])
        for name in CALL
        for value in WRONG
    ),
    *(make_message("assistant", content=value) for value in ODD_CONTENTS),
]


@pytest.mark.parametrize("event", EVENTS_OF_WRONG_TYPES, ids=lambda event: json.dumps(event)[110:200])
def test_event_with_wrong_type_is_unknown_and_others_are_complete(driver: ClientDriver, event: dict[str, Any]) -> None:
    """A result has the messages before and after a malformed event, and the event as an unknown message."""
    before, after = message("message-0"), message("message-2")
    handler = respond_with(lambda: event_stream(sse(before, event, after, STOP) + DONE))
    create = driver.client(handler).conversations.messages.create
    messages = driver.run(driver.run(create(CONVERSATION, input="hi")).result()).messages
    assert [getattr(each, "id", None) for each in messages] == ["message-0", "message-1", "message-2"]
    assert is_unknown(messages[1])
    assert json.loads(json.dumps(messages[1].raw))["message_type"] == event["message_type"]
    assert driver.items(driver.run(create(CONVERSATION, input="hi")).messages()) == messages
    assert isinstance("".join(driver.items(driver.run(create(CONVERSATION, input="hi")).text())), str)


@pytest.mark.parametrize("value", WRONG)
def test_tool_return_with_wrong_id_type_is_kept(driver: ClientDriver, value: Any) -> None:
    """A tool return whose id matches no call is kept."""
    event = make_message("tool_return", tool_return="x", status="success", tool_call_id=value, tool_returns=None)
    handler = respond_with(lambda: event_stream(sse(make_message("tool_call", tool_call=CALL), event, STOP) + DONE))
    stream = driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi"))
    kinds = [each.message_type for each in driver.run(stream.result()).messages]
    assert kinds == ["tool_call_message", "tool_return_message"]


@pytest.mark.parametrize("number", [*FIELDS["seq_id"], 1.5, 2**63, -(10**30), "x"])
@pytest.mark.parametrize("end", [DONE, b""])
def test_sequence_number_of_any_type_ends_or_interrupts_stream(driver: ClientDriver, number: Any, end: bytes) -> None:
    """An invalid sequence number counts as none."""
    body = sse(message("message-1", seq_id=number, run_id="run-1")) + end
    handler = respond_with(lambda: event_stream(body))
    stream = driver.run(
        driver.client(handler, retry=NO_DELAY).conversations.messages.create(CONVERSATION, input="hi", background=True)
    )
    _, fault = driver.drain(stream)
    assert fault is None or isinstance(fault, LettaError)


@pytest.mark.parametrize("run_id", FIELDS["run_id"])
def test_invalid_run_id_does_not_prevent_resume(driver: ClientDriver, run_id: Any) -> None:
    """A run without a usable id is found by the idempotency key of its message."""
    handler = respond_with(
        lambda: event_stream(sse(message("message-1", seq_id=2, run_id=run_id))),
        lambda: event_stream(sse(message("message-1", seq_id=3, run_id="run-1"), STOP) + DONE),
    )
    client = driver.client(handler, retry=NO_DELAY)
    stream = driver.run(client.conversations.messages.create(CONVERSATION, input="hi", background=True))
    events, fault = driver.drain(stream)
    assert (len(events), fault) == (3, None)


# Busy conversations


@pytest.mark.parametrize("run_id", [*FIELDS["run_id"], "a/b", "\0", 10**30, ["run-1"], {"id": 1}])
@pytest.mark.parametrize("form", ["flat", "nested"])
def test_busy_wait_with_odd_run_id_does_not_poll_it(driver: ClientDriver, run_id: Any, form: str) -> None:
    """A run id that no URL can hold is not polled; the send itself shows when the conversation is free."""
    detail: Any = "is currently being processed"
    body = {"detail": detail, "run_id": run_id} if form == "flat" else {"detail": {"message": detail, "run_id": run_id}}
    virtual = Time()
    paths: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        virtual.now += 1
        if "/runs/" in request.url.path:
            return httpx.Response(200, json={"status": "completed"})
        if len(paths) > 2:
            return httpx.Response(200, headers=EVENTS, content=sse(STOP) + DONE)
        return httpx.Response(409, content=json.dumps(body))

    policy = BusyPolicy(deadline=60, initial_delay=0, clock=virtual.clock)
    create = driver.client(handler, retry=NO_RETRIES).conversations.messages.create
    assert len(driver.items(driver.run(create(CONVERSATION, input="hi", when_busy=policy)))) == 1
    assert not any(path.strip("/").endswith(("runs", "..", "b")) for path in paths)


@pytest.mark.parametrize("run", [None, 5, [], {}, {"status": []}, {"status": {}}, {"status": None}, {"status": 5}])
def test_busy_wait_with_malformed_run_ends_at_deadline(driver: ClientDriver, run: Any) -> None:
    """A malformed run counts as ended, and the wait ends at its deadline."""
    virtual = Time()

    def handler(request: httpx.Request) -> httpx.Response:
        virtual.now += 1
        if "/runs/" in request.url.path:
            return httpx.Response(200, json=run)
        return httpx.Response(409, json={"detail": "is currently being processed", "run_id": "run-1"})

    policy = BusyPolicy(deadline=10, initial_delay=0, clock=virtual.clock)
    with pytest.raises(ConversationBusyError):
        driver.run(
            driver.client(handler, retry=NO_RETRIES).conversations.messages.create(
                CONVERSATION, input="x", when_busy=policy
            )
        )
    assert virtual.now < 20


# Deep nesting


@pytest.mark.parametrize("levels", [50, 99, 101, 480, 900, 980, 3000, 100_000])
@pytest.mark.parametrize("status", [200, 307, 409, 422, 500])
def test_error_with_deeply_nested_body_can_be_pickled(driver: ClientDriver, levels: int, status: int) -> None:
    """An error can be pickled for any nesting of its body."""
    body = b'{"detail": ' + b"[" * levels + b"]" * levels + b"}"
    handler = respond_with(lambda: httpx.Response(status, content=body))
    with pytest.raises(APIError) as caught:
        driver.run(driver.client(handler, retry=NO_RETRIES).steps.retrieve(STEP))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    if levels < 100:
        assert caught.value.body == json.loads(body)


@pytest.mark.parametrize("levels", [50, 300, 480, 700, 900, 980, 3000, 100_000])
def test_deeply_nested_event_is_unknown_and_others_are_complete(driver: ClientDriver, levels: int) -> None:
    """An event that is nested too deeply to parse or serialize is unknown."""
    nested = "[" * levels + "]" * levels
    event = json.dumps(make_message("reasoning", reasoning="?")).replace('"?"', nested)
    handler = respond_with(lambda: event_stream(sse(message("message-0"), event, message("message-2"), STOP) + DONE))
    stream = driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi"))
    messages = driver.run(stream.result()).messages
    assert len(messages) == 3
    unknown = messages[1]
    assert is_unknown(unknown)
    expected = "message-1" if isinstance(unknown.raw, dict) else None  # text that no parser accepts has no fields
    assert [getattr(each, "id", None) for each in messages] == ["message-0", expected, "message-2"]


@pytest.mark.parametrize("levels", [480, 700, 900, 980])
def test_deeply_nested_event_is_logged_without_breaking_stream(
    driver: ClientDriver, levels: int, caplog: pytest.LogCaptureFixture
) -> None:
    """An event that cannot be logged leaves the stream unaffected."""
    with caplog.at_level(logging.DEBUG, "letta_ext"):
        test_deeply_nested_event_is_unknown_and_others_are_complete(driver, levels)

"""Wrong types in events and errors: what an accumulated stream keeps of them, and waiting for a run with an odd id."""

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


def of(kind: str, **fields: Any) -> dict[str, Any]:
    return {**message("message-1"), "message_type": f"{kind}_message", **fields}


EVENTS_OF_WRONG_TYPES: Final = [
    *(of("reasoning", source="reasoner_model", reasoning=value) for value in WRONG),
    *(of("tool_call", tool_call=CALL, tool_calls={**CALL, name: value}) for name in CALL for value in WRONG),
    *(of("tool_call", tool_call={**CALL, name: value}) for name in CALL for value in WRONG),
    *(of("approval_request", tool_call=CALL, tool_calls=[{**CALL, name: value}]) for name in CALL for value in WRONG),
    *(of("assistant", content=value) for value in ODD_CONTENTS),
]


@pytest.mark.parametrize("event", EVENTS_OF_WRONG_TYPES, ids=lambda event: json.dumps(event)[110:200])
def test_an_event_of_a_wrong_type_is_unknown_and_takes_no_other_with_it(
    driver: ClientDriver, event: dict[str, Any]
) -> None:
    """A result has the messages before and behind an event that cannot be folded, and the event as it came."""
    before, behind = message("message-0"), message("message-2")
    handler = respond_with(lambda: event_stream(sse(before, event, behind, STOP) + DONE))
    create = driver.client(handler).conversations.messages.create
    messages = driver.run(driver.run(create(CONVERSATION, input="hi")).result()).messages
    assert [getattr(each, "id", None) for each in messages] == ["message-0", None, "message-2"]
    assert is_unknown(messages[1])
    assert json.loads(json.dumps(messages[1].raw))["message_type"] == event["message_type"]
    assert driver.items(driver.run(create(CONVERSATION, input="hi")).messages()) == messages
    assert isinstance("".join(driver.items(driver.run(create(CONVERSATION, input="hi")).text())), str)


@pytest.mark.parametrize("value", WRONG)
def test_a_tool_return_for_a_call_of_a_wrong_type_is_kept(driver: ClientDriver, value: Any) -> None:
    """An id that cannot be looked up answers no call."""
    event = of("tool_return", tool_return="x", status="success", tool_call_id=value, tool_returns=None)
    handler = respond_with(lambda: event_stream(sse(of("tool_call", tool_call=CALL), event, STOP) + DONE))
    stream = driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi"))
    kinds = [each.message_type for each in driver.run(stream.result()).messages]
    assert kinds == ["tool_call_message", "tool_return_message"]


@pytest.mark.parametrize("number", [*FIELDS["seq_id"], 1.5, 2**63, -(10**30), "x"])
@pytest.mark.parametrize("end", [DONE, b""])
def test_sequence_numbers_of_any_kind_end_or_interrupt_a_stream(driver: ClientDriver, number: Any, end: bytes) -> None:
    """A number that cannot be one counts as none, and is never asked for."""
    body = sse(message("message-1", seq_id=number, run_id="run-1")) + end
    handler = respond_with(lambda: event_stream(body))
    stream = driver.run(
        driver.client(handler, retry=NO_DELAY).conversations.messages.create(CONVERSATION, input="hi", background=True)
    )
    _, fault = driver.drain(stream)
    assert fault is None or isinstance(fault, LettaError)


@pytest.mark.parametrize("run_id", FIELDS["run_id"])
def test_a_run_id_that_is_none_does_not_break_a_resumed_stream(driver: ClientDriver, run_id: Any) -> None:
    """A run that cannot be named is found by the otid of its message."""
    handler = respond_with(
        lambda: event_stream(sse(message("message-1", seq_id=2, run_id=run_id))),
        lambda: event_stream(sse(message("message-1", seq_id=3, run_id="run-1"), STOP) + DONE),
    )
    client = driver.client(handler, retry=NO_DELAY)
    stream = driver.run(client.conversations.messages.create(CONVERSATION, input="hi", background=True))
    events, fault = driver.drain(stream)
    assert (len(events), fault) == (3, None)


# Waiting for another run.


@pytest.mark.parametrize("run_id", [*FIELDS["run_id"], "a/b", "\0", 10**30, ["run-1"], {"id": 1}])
@pytest.mark.parametrize("form", ["flat", "nested"])
def test_waiting_for_a_run_with_an_odd_id_ends_in_time(driver: ClientDriver, run_id: Any, form: str) -> None:
    """A run that no address can hold is not asked for; the send itself shows whether it is its turn."""
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
def test_waiting_for_a_run_without_a_status_ends_in_time(driver: ClientDriver, run: Any) -> None:
    """A run that cannot be read counts as ended; the wait is bounded all the same."""
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


# Deep nesting.


@pytest.mark.parametrize("levels", [50, 99, 101, 480, 900, 980, 3000, 100_000])
@pytest.mark.parametrize("status", [200, 307, 409, 422, 500])
def test_an_error_of_a_deeply_nested_body_can_be_pickled(driver: ClientDriver, levels: int, status: int) -> None:
    """An error goes to another process, however deep the body that it holds."""
    body = b'{"detail": ' + b"[" * levels + b"]" * levels + b"}"
    handler = respond_with(lambda: httpx.Response(status, content=body))
    with pytest.raises(APIError) as caught:
        driver.run(driver.client(handler, retry=NO_RETRIES).steps.retrieve(STEP))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    if levels < 100:
        assert caught.value.body == json.loads(body)


@pytest.mark.parametrize("levels", [50, 300, 480, 700, 900, 980, 3000, 100_000])
def test_a_deeply_nested_event_takes_no_other_with_it(driver: ClientDriver, levels: int) -> None:
    """An event that is nested too deeply to be read, or to be written again, is unknown."""
    nested = "[" * levels + "]" * levels
    event = json.dumps(of("reasoning", reasoning="?")).replace('"?"', nested)
    handler = respond_with(lambda: event_stream(sse(message("message-0"), event, message("message-2"), STOP) + DONE))
    stream = driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi"))
    messages = driver.run(stream.result()).messages
    assert [getattr(each, "id", None) for each in messages] == ["message-0", None, "message-2"]


@pytest.mark.parametrize("levels", [480, 700, 900, 980])
def test_a_deeply_nested_event_that_is_logged_takes_no_other_with_it(
    driver: ClientDriver, levels: int, caplog: pytest.LogCaptureFixture
) -> None:
    """An event that cannot be written into a log line leaves the stream as it is."""
    with caplog.at_level(logging.DEBUG, "letta_ext"):
        test_a_deeply_nested_event_takes_no_other_with_it(driver, levels)

"""Streams: their events, their endings, and that whoever leaves one leaves nothing open."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import httpx
import pytest

from letta_ext import (
    APIError,
    APIStatusError,
    APITimeoutError,
    LettaError,
    PendingApprovalError,
    RunError,
    StreamInterrupted,
)
from letta_ext.testing import EmbeddedServer
from letta_ext.types import UnknownStreamEvent, is_unknown, stream_event_from_dict

from .helpers import (
    CONVERSATION,
    DISCONNECT,
    Body,
    ClientDriver,
    Recording,
    ResponseQueue,
    event_stream,
    loopback,
    plain,
    recording,
    recordings,
    respond_with,
    sse,
)

FAILED = ["model_error_stream", "model_bad_request_stream"]
STREAMS = [each for each in recordings("_stream") if each.name not in FAILED]
DONE = b"data: [DONE]\n\n"
RUN = "run-0b057c92-3fdb-40db-97de-89af3a69cdcf"


def message(text: str = "hi", number: int | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": "message-1",
        "date": "2026-01-01T00:00:00+00:00",
        "message_type": "assistant_message",
        "content": text,
        "run_id": RUN,
        "seq_id": number,
        **fields,
    }


def stop(reason: str) -> dict[str, Any]:
    return {"message_type": "stop_reason", "stop_reason": reason}


FAULT = {
    "message_type": "error_message",
    "run_id": RUN,
    "error_type": "llm_error",
    "message": "The model failed.",
    "detail": "INTERNAL_SERVER_ERROR: a long story",
    "seq_id": None,
}


def opened(driver: ClientDriver, *bodies: bytes | list[bytes], fault: Exception | None = None) -> Any:
    """A foreground stream with this body; a background one, if it is told to go on, finds nothing more."""
    handler = respond_with(*(partial(event_stream, body, fault) for body in (*bodies, b"")))
    return driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi"))


@pytest.mark.parametrize("recorded", STREAMS, ids=lambda each: each.name)
@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
def test_recorded_streams_give_their_events(driver: ClientDriver, recorded: Recording, size: int) -> None:
    content = recorded.content
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    if size == 1:
        chunks = [*chunks[:2000], content[2000:]]
    stream = recorded.call(driver, driver.client(lambda _: event_stream(chunks)))
    events = driver.items(stream)
    expected = recorded.events()
    assert [plain(event.to_dict()) for event in events] == plain(expected)
    assert events == [stream_event_from_dict(data) for data in expected]
    assert not any(map(is_unknown, events))
    assert stream.response.is_closed


def test_text_that_is_null_where_it_should_not_be_is_no_text(driver: ClientDriver) -> None:
    parts = [{"type": "text", "text": None}, {"type": "text", "text": "hi"}]
    thought = {**message(id="b"), "message_type": "reasoning_message", "reasoning": None}
    body = sse(message(id="a", content=parts)) + sse(thought) + sse(stop("end_turn")) + DONE
    assert driver.items(opened(driver, body).text()) == ["hi"]
    result = driver.run(opened(driver, body).result())
    assert [each.message_type for each in result.messages] == ["assistant_message", "reasoning_message"]


@pytest.mark.parametrize("recorded", STREAMS, ids=lambda each: each.name)
def test_streams_know_their_run_and_their_number(driver: ClientDriver, recorded: Recording) -> None:
    stream = recorded.call(driver, driver.client(lambda _: recorded.response()))
    driver.items(stream)
    events = recorded.events()
    # resume_after_last brings only events that name neither.
    after = (recorded.body or {}).get("starting_after")
    assert stream.run_id == next((e["run_id"] for e in events if e.get("run_id")), None)
    assert stream.last_seq_id == max((e["seq_id"] for e in events if e.get("seq_id")), default=after)


def interrupted(driver: ClientDriver, stream: Any) -> tuple[list[Any], StreamInterrupted]:
    events, fault = driver.drain(stream)
    assert isinstance(fault, StreamInterrupted), fault
    assert stream.response.is_closed
    return events, fault


@pytest.mark.parametrize("recorded", STREAMS, ids=lambda each: each.name)
def test_a_stream_that_is_cut_anywhere_says_so(driver: ClientDriver, recorded: Recording) -> None:
    content = recorded.content
    blocks = content.split(b"\n\n")
    edges = [len(b"\n\n".join(blocks[:number])) + 2 for number in range(1, len(blocks))]
    last = len(content) - len(DONE)
    assert content.endswith(DONE)
    # Around the ends of events, and every so often within them, but before the end is whole.
    places = {place + by for place in edges for by in (-3, -1, 0, 1)} | set(range(0, len(content), 499))
    for place in sorted(place for place in places if place < len(content) - 1)[-120:]:
        body = content[:place]
        handler = respond_with(partial(event_stream, body), lambda: event_stream(b""))
        stream = recorded.call(driver, driver.client(handler))
        events, fault = interrupted(driver, stream)
        whole = [stream_event_from_dict(data) for data in recorded.events()][: content[:place].count(b"\n\n")]
        assert events == whole if place <= last else events == whole[: len(recorded.events())]
        assert fault.run_id == next((e.run_id for e in events if getattr(e, "run_id", None)), None)
        numbers = [e.seq_id for e in events if getattr(e, "seq_id", None)]
        assert fault.last_seq_id == (numbers[-1] if numbers else (recorded.body or {}).get("starting_after"))


@pytest.mark.parametrize("fault", [httpx.ReadError("reset by peer"), httpx.RemoteProtocolError("incomplete")])
def test_a_connection_that_fails_cuts_a_stream(driver: ClientDriver, fault: Exception) -> None:
    events, caught = interrupted(driver, opened(driver, sse(message("a"), message("b")), fault=fault))
    assert [event.content for event in events] == ["a", "b"]
    assert caught.run_id == RUN
    assert str(fault) in str(caught)
    assert caught.__cause__ is fault


def test_what_breaks_behind_the_end_is_nobodys_loss(driver: ClientDriver) -> None:
    stream = opened(driver, sse(message()) + DONE, fault=httpx.ReadError("reset by peer"))
    assert len(driver.items(stream)) == 1


def test_an_empty_body_is_a_cut_stream(driver: ClientDriver) -> None:
    events, fault = interrupted(driver, opened(driver, b""))
    assert events == []
    assert (fault.run_id, fault.last_seq_id, fault.gap) == (None, None, None)


def test_a_cancelled_foreground_stream_ends_without_done(driver: ClientDriver) -> None:
    events = driver.items(opened(driver, sse(message("a")) + sse(stop("cancelled"), event="cancelled")))
    assert [type(event).__name__ for event in events] == ["AssistantMessage", "LettaStopReason"]


@pytest.mark.parametrize("reason", ["end_turn", "error", "max_steps", "requires_approval"])
def test_no_other_reason_ends_a_stream(driver: ClientDriver, reason: str) -> None:
    interrupted(driver, opened(driver, sse(message("a"), stop(reason))))


def test_a_cancelled_background_stream_ends_with_done(driver: ClientDriver) -> None:
    body = sse(message("a", 1), stop("cancelled"))
    assert len(driver.items(opened(driver, body + DONE))) == 2
    interrupted(driver, opened(driver, body))


# Failed runs.


@pytest.mark.parametrize("name", FAILED)
def test_a_recorded_failure_is_raised(driver: ClientDriver, name: str) -> None:
    recorded = recording(name)
    stream = recorded.call(driver, driver.client(lambda _: recorded.response()))
    events, fault = driver.drain(stream)
    ping, reason, error = recorded.events()
    assert events == [stream_event_from_dict(ping), stream_event_from_dict(reason)]
    assert isinstance(fault, RunError)
    assert (fault.error_type, fault.detail, fault.run_id) == ("llm_error", error["detail"], error["run_id"])
    assert fault.body == error
    assert stream.response.is_closed


@pytest.mark.parametrize("ending", [b"", DONE])
@pytest.mark.parametrize("event", ["error", None])
def test_an_error_event_ends_a_stream_whatever_follows(driver: ClientDriver, event: str | None, ending: bytes) -> None:
    events, fault = driver.drain(opened(driver, sse(message("a", 1)) + sse(FAULT, event=event) + ending))
    assert len(events) == 1
    assert isinstance(fault, RunError)
    assert "\n" not in str(fault)


@pytest.mark.parametrize("data", ["{}", "[]", "null", "plain words", '{"message": "plain words"}'])
def test_an_error_event_of_any_shape_is_a_failed_run(driver: ClientDriver, data: str) -> None:
    events, fault = driver.drain(opened(driver, sse(message("a")) + sse(data, event="error") + DONE))
    assert len(events) == 1
    assert isinstance(fault, RunError)
    if "plain words" in data:
        assert "plain words" in str(fault)


def test_a_failure_that_waits_for_approval_is_what_it_is(driver: ClientDriver) -> None:
    detail = "CONFLICT: Cannot send a new message: The agent is waiting for approval on a tool call."
    fault = {**FAULT, "error_type": "internal_error", "detail": detail}
    with pytest.raises(PendingApprovalError) as caught:
        driver.items(opened(driver, sse(stop("error")) + sse(fault, event="error") + DONE))
    assert (caught.value.run_id, caught.value.detail) == (RUN, detail)


def test_sending_while_tools_wait_is_the_same_error_in_either_form(
    driver: ClientDriver, server: EmbeddedServer
) -> None:
    messages = driver.client(base_url=server.base_url).conversations.messages
    driver.run(messages.create(server.conversation_id, input="CALL guarded", streaming=False))
    with pytest.raises(PendingApprovalError):
        driver.run(messages.create(server.conversation_id, input="hello", streaming=False))
    stream = driver.run(messages.create(server.conversation_id, input="hello"))
    events, fault = driver.drain(stream)
    assert isinstance(fault, PendingApprovalError)
    assert fault.run_id == stream.run_id
    assert all(event.message_type in ("ping", "stop_reason") for event in events)


# Numbers.


def test_missing_numbers_are_a_gap(driver: ClientDriver) -> None:
    events, fault = interrupted(driver, opened(driver, sse(message("a", 1), message("b", 5))))
    assert [event.content for event in events] == ["a"]
    assert (fault.last_seq_id, fault.gap, fault.run_id) == (1, (2, 4), RUN)


def test_pings_and_unnumbered_events_leave_no_gap(driver: ClientDriver) -> None:
    ping = {"message_type": "ping", "id": "ping-1", "date": "2026-01-01T00:00:00Z", "run_id": RUN, "seq_id": 1}
    # The reason consumes number 2 without carrying it; keepalive pings consume none.
    body = sse(message("a", 1), ping, ping, stop("end_turn"), message("b", 3)) + DONE
    assert [event.message_type for event in driver.items(opened(driver, body))] == [
        "assistant_message",
        "ping",
        "ping",
        "stop_reason",
        "assistant_message",
    ]


# What is not known.


UNKNOWN: list[Any] = [
    {"message_type": "hologram", "id": "x", "run_id": RUN},
    {"message_type": "assistant_message", "content": "no id and no date"},
    {"message_type": "stop_reason"},
    {"message_type": 7},
    {"message_type": None},
    {"message_type": ["ping"]},
    {},
    [],
    "words",
    None,
    7,
]


@pytest.mark.parametrize("data", UNKNOWN, ids=json.dumps)
def test_unknown_events_come_as_what_they_are(driver: ClientDriver, data: Any) -> None:
    body = sse(message("a"), json.dumps(data), message("b")) + DONE
    first, unknown, last = driver.items(opened(driver, body))
    assert isinstance(unknown, UnknownStreamEvent)
    assert unknown.raw == data
    assert unknown.reason
    assert (first.content, last.content) == ("a", "b")


@pytest.mark.parametrize("data", ["{", "not json", "[1,", pytest.param("[" * 200_000, id="deep")])
def test_an_event_that_is_no_json_takes_no_other_with_it(driver: ClientDriver, data: str) -> None:
    _, unknown, last = driver.items(opened(driver, sse(message("a")) + sse(data) + sse(message("b")) + DONE))
    assert isinstance(unknown, UnknownStreamEvent)
    assert unknown.raw == data
    assert last.content == "b"


@pytest.mark.parametrize("name", ["message", "custom", "update"])
def test_the_name_of_an_event_does_not_matter(driver: ClientDriver, name: str) -> None:
    (event,) = driver.items(opened(driver, sse(message("a"), event=name) + DONE))
    assert event.content == "a"


def test_empty_data_and_comments_are_passed_over(driver: ClientDriver) -> None:
    body = b": hello\n\ndata:\n\n" + sse(message("a")) + b"data: \n\n: bye\n\n" + DONE
    assert len(driver.items(opened(driver, body))) == 1


@pytest.mark.parametrize(
    "response",
    [
        lambda: httpx.Response(200, html="<h1>Welcome to the proxy</h1>"),
        lambda: httpx.Response(200, json={"messages": []}),
    ],
)
def test_an_answer_that_is_no_stream_is_an_error(driver: ClientDriver, response: Any) -> None:
    with pytest.raises(APIError):
        driver.items(
            driver.run(driver.client(respond_with(response)).conversations.messages.create(CONVERSATION, input="hi"))
        )


def test_a_refused_stream_is_the_refusal(driver: ClientDriver) -> None:
    recorded = recording("send_missing_404")
    with pytest.raises(APIStatusError) as caught:
        recorded.call(driver, driver.client(lambda _: recorded.response()))
    assert caught.value.body == json.loads(recorded.content)


# Leaving a stream.

LONG = [sse(message(str(number))) for number in range(10)]


def kept_open(driver: ClientDriver) -> tuple[Any, Body]:
    body = Body([*LONG, DONE])
    handler = ResponseQueue([lambda: httpx.Response(200, stream=body)])
    return driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi")), body


def test_the_end_of_a_stream_closes_it(driver: ClientDriver) -> None:
    stream, body = kept_open(driver)
    assert not stream.response.is_closed
    assert len(driver.items(stream)) == 10
    assert stream.response.is_closed
    assert body.closed


def test_leaving_the_loop_closes_the_response(driver: ClientDriver) -> None:
    stream, body = kept_open(driver)
    events, fault = driver.drain(stream, stop=lambda event: event.content == "2")
    assert (len(events), fault) == (3, None)
    assert stream.response.is_closed
    assert body.closed


def test_an_exception_in_the_loop_closes_the_response(driver: ClientDriver) -> None:
    stream, body = kept_open(driver)
    _, fault = driver.drain(stream, stop=lambda _: 1 // 0 > 0)
    assert isinstance(fault, ZeroDivisionError)
    del fault  # its traceback holds the frame of the loop
    driver.drain(kept_open(driver)[0])  # the async one is closed within the loop's next turns
    assert stream.response.is_closed
    assert body.closed


def test_closing_closes_the_response_and_may_be_done_again(driver: ClientDriver) -> None:
    stream, body = kept_open(driver)
    for _ in range(2):
        driver.run(stream.close())
        assert stream.response.is_closed
        assert body.closed


def test_a_with_block_closes_the_response(driver: ClientDriver) -> None:
    stream, body = kept_open(driver)

    async def within() -> None:
        async with stream as entered:
            assert entered is stream
            assert not body.closed

    if driver.is_async:
        driver.run(within())
    else:
        with stream as entered:
            assert entered is stream
            assert not body.closed
    assert stream.response.is_closed
    assert body.closed


def test_a_with_block_closes_what_an_exception_leaves(driver: ClientDriver) -> None:
    stream, body = kept_open(driver)

    async def within_async() -> None:
        async with stream:
            async for _ in stream:
                raise KeyError

    def within() -> Any:
        with stream:
            for _ in stream:
                raise KeyError

    with pytest.raises(KeyError):
        driver.run(within_async() if driver.is_async else within())
    assert body.closed


def test_a_stream_is_gone_over_once(driver: ClientDriver) -> None:
    stream, _ = kept_open(driver)
    driver.items(stream)
    for _ in range(2):
        with pytest.raises(LettaError, match="can be iterated once"):
            driver.items(stream)


def test_a_stream_that_was_left_cannot_be_taken_up(driver: ClientDriver) -> None:
    stream, _ = kept_open(driver)
    driver.drain(stream, stop=lambda _: True)
    with pytest.raises(LettaError, match="can be iterated once"):
        driver.items(stream)


# On real connections.


def chunked(*parts: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


END = b"0\r\n\r\n"


def test_a_finished_stream_gives_its_connection_back(driver: ClientDriver) -> None:
    with loopback(chunked(sse(message()), DONE) + END) as server:
        messages = driver.client(base_url=server.base_url).conversations.messages
        for _ in range(3):
            assert len(driver.items(driver.run(messages.create(CONVERSATION, input="hi")))) == 1
        assert (server.connections, len(server.requests)) == (1, 3)


@pytest.mark.parametrize("cut", [DISCONNECT, b"5\r\nda" + DISCONNECT, END])
def test_a_cut_connection_is_a_cut_stream(driver: ClientDriver, cut: bytes) -> None:
    with loopback(chunked(sse(message("a"))) + cut) as server:
        stream = driver.run(
            driver.client(base_url=server.base_url).conversations.messages.create(CONVERSATION, input="hi")
        )
        events, fault = interrupted(driver, stream)
        assert ([event.content for event in events], fault.run_id) == (["a"], RUN)
        assert len(server.requests) == 1


def test_a_silent_connection_is_a_cut_stream(driver: ClientDriver) -> None:
    with loopback(chunked(sse(message("a"))), b"") as server:
        create = driver.client(base_url=server.base_url).conversations.messages.create
        stream = driver.run(create(CONVERSATION, input="hi", timeout=httpx.Timeout(5, read=0.05)))
        events, fault = driver.drain(stream)
        assert isinstance(fault, StreamInterrupted | APITimeoutError)
        assert len(events) == 1


def test_a_left_stream_leaves_the_client_usable(driver: ClientDriver, server: EmbeddedServer) -> None:
    client = driver.client(base_url=server.base_url)
    stream = driver.run(
        client.conversations.messages.create(server.conversation_id, input="LONG 500", stream_tokens=True)
    )
    driver.drain(stream, stop=lambda event: event.message_type == "assistant_message")
    assert stream.response.is_closed
    assert driver.run(client.steps.list()).items is not None


def test_a_cancelled_run_ends_its_stream(driver: ClientDriver, server: EmbeddedServer) -> None:
    server.state.delay = 0.001
    path = f"{server.base_url}/v1/conversations/{server.conversation_id}/cancel"
    messages = driver.client(base_url=server.base_url).conversations.messages
    stream = driver.run(messages.create(server.conversation_id, input="LONG 2000", stream_tokens=True))
    cancelled: list[int] = []

    def cancel(event: Any) -> bool:
        if event.message_type == "assistant_message" and not cancelled:
            cancelled.append(httpx.post(path).status_code)
        return False

    events, fault = driver.drain(stream, stop=cancel)
    assert (cancelled, fault) == ([200], None)
    assert events[-1].stop_reason == "cancelled"
    assert len(events) < 2000

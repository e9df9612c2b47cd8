"""Streams: their events, their ends, and the release of their connections."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import httpx
import pytest

from letta_ext import (
    APIError,
    APIStatusError,
    PendingApprovalError,
    RunError,
    StreamInterrupted,
)
from letta_ext.testing import EmbeddedServer
from letta_ext.types import UnknownStreamEvent, is_unknown, stream_event_from_dict

from .helpers import (
    CONVERSATION,
    DISCONNECT,
    ClientDriver,
    Recording,
    event_stream,
    loopback,
    parse_timestamps,
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


ERROR_EVENT = {
    "message_type": "error_message",
    "run_id": RUN,
    "error_type": "llm_error",
    "message": "The model failed.",
    "detail": "INTERNAL_SERVER_ERROR: a long story",
    "seq_id": None,
}


def open_stream(driver: ClientDriver, *bodies: bytes | list[bytes], fault: Exception | None = None) -> Any:
    """Return a foreground stream of these bodies; later requests get an empty one."""
    handler = respond_with(*(partial(event_stream, body, fault) for body in (*bodies, b"")))
    return driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi"))


@pytest.mark.parametrize("recorded", STREAMS, ids=lambda each: each.name)
@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
def test_recorded_stream_yields_its_events(driver: ClientDriver, recorded: Recording, size: int) -> None:
    """A recorded stream yields its events in chunks of any size."""
    content = recorded.content
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    if size == 1:
        chunks = [*chunks[:2000], content[2000:]]
    stream = recorded.call(driver, driver.client(lambda _: event_stream(chunks)))
    events = driver.items(stream)
    expected = recorded.events()
    assert [parse_timestamps(event.to_dict()) for event in events] == parse_timestamps(expected)
    assert events == [stream_event_from_dict(data) for data in expected]
    assert not any(map(is_unknown, events))
    assert stream.response.is_closed


def test_null_text_is_ignored(driver: ClientDriver) -> None:
    """Text that is null, against the schema, is ignored."""
    parts = [{"type": "text", "text": None}, {"type": "text", "text": "hi"}]
    reasoning = {**message(id="b"), "message_type": "reasoning_message", "reasoning": None}
    body = sse(message(id="a", content=parts)) + sse(reasoning) + sse(stop("end_turn")) + DONE
    assert driver.items(open_stream(driver, body).text()) == ["hi"]
    result = driver.run(open_stream(driver, body).result())
    assert [each.message_type for each in result.messages] == ["assistant_message", "reasoning_message"]


@pytest.mark.parametrize("recorded", STREAMS, ids=lambda each: each.name)
def test_stream_tracks_run_id_and_last_seq_id(driver: ClientDriver, recorded: Recording) -> None:
    """A stream has the run id and the last sequence number of its events."""
    stream = recorded.call(driver, driver.client(lambda _: recorded.response()))
    driver.items(stream)
    events = recorded.events()
    # The events of resume_after_last have neither.
    after = (recorded.body or {}).get("starting_after")
    assert stream.run_id == next((e["run_id"] for e in events if e.get("run_id")), None)
    assert stream.last_seq_id == max((e["seq_id"] for e in events if e.get("seq_id")), default=after)


def interrupted(driver: ClientDriver, stream: Any) -> tuple[list[Any], StreamInterrupted]:
    events, fault = driver.drain(stream)
    assert isinstance(fault, StreamInterrupted), fault
    assert stream.response.is_closed
    return events, fault


@pytest.mark.parametrize("recorded", STREAMS, ids=lambda each: each.name)
def test_stream_interrupted_anywhere_raises_stream_interrupted(driver: ClientDriver, recorded: Recording) -> None:
    """A stream truncated at any byte yields its complete events and raises."""
    content = recorded.content
    blocks = content.split(b"\n\n")
    edges = [len(b"\n\n".join(blocks[:number])) + 2 for number in range(1, len(blocks))]
    last = len(content) - len(DONE)
    assert content.endswith(DONE)
    # Around the ends of events and every 499 bytes, before the complete end.
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
def test_connection_error_raises_stream_interrupted_with_cause(driver: ClientDriver, fault: Exception) -> None:
    """A connection error raises `StreamInterrupted` whose cause it is."""
    events, caught = interrupted(driver, open_stream(driver, sse(message("a"), message("b")), fault=fault))
    assert [event.content for event in events] == ["a", "b"]
    assert caught.run_id == RUN
    assert str(fault) in str(caught)
    assert caught.__cause__ is fault


def test_connection_error_after_terminal_event_is_ignored(driver: ClientDriver) -> None:
    """A connection error after `[DONE]` is ignored."""
    stream = open_stream(driver, sse(message()) + DONE, fault=httpx.ReadError("reset by peer"))
    assert len(driver.items(stream)) == 1


def test_empty_body_raises_stream_interrupted(driver: ClientDriver) -> None:
    """An empty body raises `StreamInterrupted`, whose message names the remedy."""
    events, fault = interrupted(driver, open_stream(driver, b""))
    assert events == []
    assert str(fault).endswith("The run continues on the server: list the messages before you send again.")
    assert (fault.run_id, fault.last_seq_id, fault.gap) == (None, None, None)


def test_cancelled_foreground_stream_is_complete_without_done(driver: ClientDriver) -> None:
    """A `cancelled` event ends a foreground stream."""
    events = driver.items(open_stream(driver, sse(message("a")) + sse(stop("cancelled"), event="cancelled")))
    assert [type(event).__name__ for event in events] == ["AssistantMessage", "LettaStopReason"]


@pytest.mark.parametrize("reason", ["end_turn", "error", "max_steps", "requires_approval"])
def test_stop_reason_without_done_raises_stream_interrupted(driver: ClientDriver, reason: str) -> None:
    """A stop reason alone does not end a stream."""
    interrupted(driver, open_stream(driver, sse(message("a"), stop(reason))))


def test_cancelled_background_stream_requires_done(driver: ClientDriver) -> None:
    """A cancelled background stream ends with `[DONE]`."""
    body = sse(message("a", 1), stop("cancelled"))
    assert len(driver.items(open_stream(driver, body + DONE))) == 2
    interrupted(driver, open_stream(driver, body))


# Failed runs


@pytest.mark.parametrize("name", FAILED)
def test_recorded_failed_run_raises_run_error(driver: ClientDriver, name: str) -> None:
    """A recorded failed run yields its events and raises `RunError`."""
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
def test_error_event_raises_run_error_with_or_without_done(
    driver: ClientDriver, event: str | None, ending: bytes
) -> None:
    """An error event raises `RunError`, with or without an event name and `[DONE]`."""
    events, fault = driver.drain(open_stream(driver, sse(message("a", 1)) + sse(ERROR_EVENT, event=event) + ending))
    assert len(events) == 1
    assert isinstance(fault, RunError)
    assert "\n" not in str(fault)


@pytest.mark.parametrize("data", ["{}", "[]", "null", "plain words", '{"message": "plain words"}'])
def test_malformed_error_event_raises_run_error(driver: ClientDriver, data: str) -> None:
    """An error event with any data raises `RunError`."""
    events, fault = driver.drain(open_stream(driver, sse(message("a")) + sse(data, event="error") + DONE))
    assert len(events) == 1
    assert isinstance(fault, RunError)
    if "plain words" in data:
        assert "plain words" in str(fault)


def test_streamed_pending_approval_raises_pending_approval_error(driver: ClientDriver) -> None:
    """A streamed pending approval raises `PendingApprovalError`."""
    detail = "CONFLICT: Cannot send a new message: The agent is waiting for approval on a tool call."
    fault = {**ERROR_EVENT, "error_type": "internal_error", "detail": detail}
    with pytest.raises(PendingApprovalError) as caught:
        driver.items(open_stream(driver, sse(stop("error")) + sse(fault, event="error") + DONE))
    assert (caught.value.run_id, caught.value.detail) == (RUN, detail)


def test_send_with_pending_approval_raises_same_error_streamed_or_not(
    driver: ClientDriver, server: EmbeddedServer
) -> None:
    """A pending approval raises the same error with and without streaming."""
    messages = driver.client(base_url=server.base_url).conversations.messages
    driver.run(messages.create(server.conversation_id, input="CALL guarded", streaming=False))
    with pytest.raises(PendingApprovalError):
        driver.run(messages.create(server.conversation_id, input="hello", streaming=False))
    stream = driver.run(messages.create(server.conversation_id, input="hello"))
    events, fault = driver.drain(stream)
    assert isinstance(fault, PendingApprovalError)
    assert fault.run_id == stream.run_id
    assert all(event.message_type in ("ping", "stop_reason") for event in events)


# Sequence numbers


def test_missing_sequence_numbers_raise_stream_interrupted_with_gap(driver: ClientDriver) -> None:
    """Missing sequence numbers raise with the gap."""
    events, fault = interrupted(driver, open_stream(driver, sse(message("a", 1), message("b", 5))))
    assert [event.content for event in events] == ["a"]
    assert (fault.last_seq_id, fault.gap, fault.run_id) == (1, (2, 4), RUN)


def test_pings_and_unnumbered_events_are_not_gaps(driver: ClientDriver) -> None:
    """Pings and unnumbered events are not gaps."""
    ping = {"message_type": "ping", "id": "ping-1", "date": "2026-01-01T00:00:00Z", "run_id": RUN, "seq_id": 1}
    # The stop reason takes number 2 without a field; keepalive pings take none.
    body = sse(message("a", 1), ping, ping, stop("end_turn"), message("b", 3)) + DONE
    assert [event.message_type for event in driver.items(open_stream(driver, body))] == [
        "assistant_message",
        "ping",
        "ping",
        "stop_reason",
        "assistant_message",
    ]


# Unknown events


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
def test_unknown_event_is_unknown_stream_event_with_raw_json(driver: ClientDriver, data: Any) -> None:
    """An unknown event is an `UnknownStreamEvent` with its raw JSON; the others are unaffected."""
    body = sse(message("a"), json.dumps(data), message("b")) + DONE
    first, unknown, last = driver.items(open_stream(driver, body))
    assert isinstance(unknown, UnknownStreamEvent)
    assert unknown.raw == data
    assert unknown.reason
    assert (first.content, last.content) == ("a", "b")


@pytest.mark.parametrize("data", ["{", "not json", "[1,", pytest.param("[" * 200_000, id="deep")])
def test_event_with_invalid_json_is_unknown_stream_event(driver: ClientDriver, data: str) -> None:
    """An event that is not JSON is an `UnknownStreamEvent`; the others are unaffected."""
    _, unknown, last = driver.items(open_stream(driver, sse(message("a")) + sse(data) + sse(message("b")) + DONE))
    assert isinstance(unknown, UnknownStreamEvent)
    assert unknown.raw == data
    assert last.content == "b"


@pytest.mark.parametrize("name", ["message", "custom", "update"])
def test_event_name_is_ignored(driver: ClientDriver, name: str) -> None:
    """The SSE event name is ignored."""
    (event,) = driver.items(open_stream(driver, sse(message("a"), event=name) + DONE))
    assert event.content == "a"


def test_empty_data_and_comments_are_ignored(driver: ClientDriver) -> None:
    """Empty data and comments are ignored."""
    body = b": hello\n\ndata:\n\n" + sse(message("a")) + b"data: \n\n: bye\n\n" + DONE
    assert len(driver.items(open_stream(driver, body))) == 1


@pytest.mark.parametrize(
    "response",
    [
        lambda: httpx.Response(200, html="<h1>Welcome to the proxy</h1>"),
        lambda: httpx.Response(200, json={"messages": []}),
    ],
)
def test_response_that_is_not_event_stream_raises_api_error(driver: ClientDriver, response: Any) -> None:
    """A response that is not an event stream raises `APIError`."""
    with pytest.raises(APIError):
        driver.items(
            driver.run(driver.client(respond_with(response)).conversations.messages.create(CONVERSATION, input="hi"))
        )


def test_error_response_to_streamed_send_raises_api_status_error(driver: ClientDriver) -> None:
    """An error response to a streamed send raises `APIStatusError` with its body."""
    recorded = recording("send_missing_404")
    with pytest.raises(APIStatusError) as caught:
        recorded.call(driver, driver.client(lambda _: recorded.response()))
    assert caught.value.body == json.loads(recorded.content)


# Real connections


def chunked(*parts: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


END = b"0\r\n\r\n"


def test_completed_stream_releases_connection_for_reuse(driver: ClientDriver) -> None:
    """A completed stream releases its connection for reuse."""
    with loopback(chunked(sse(message()), DONE) + END) as server:
        messages = driver.client(base_url=server.base_url).conversations.messages
        for _ in range(3):
            assert len(driver.items(driver.run(messages.create(CONVERSATION, input="hi")))) == 1
        assert (server.connections, len(server.requests)) == (1, 3)


@pytest.mark.parametrize("cut", [DISCONNECT, b"5\r\nda" + DISCONNECT, END])
def test_broken_connection_raises_stream_interrupted(driver: ClientDriver, cut: bytes) -> None:
    """A closed connection, a truncated chunk or an early end raises `StreamInterrupted`, without a retry."""
    with loopback(chunked(sse(message("a"))) + cut) as server:
        stream = driver.run(
            driver.client(base_url=server.base_url).conversations.messages.create(CONVERSATION, input="hi")
        )
        events, fault = interrupted(driver, stream)
        assert ([event.content for event in events], fault.run_id) == (["a"], RUN)
        assert len(server.requests) == 1


def test_silent_connection_raises_stream_interrupted(driver: ClientDriver) -> None:
    """A read timeout in a foreground stream raises `StreamInterrupted`."""
    with loopback(chunked(sse(message("a"))), b"") as server:
        create = driver.client(base_url=server.base_url).conversations.messages.create
        stream = driver.run(create(CONVERSATION, input="hi", timeout=httpx.Timeout(5, read=0.05)))
        events, fault = driver.drain(stream)
        assert isinstance(fault, StreamInterrupted)
        assert isinstance(fault.__cause__, httpx.ReadTimeout)
        assert (len(events), len(server.requests)) == (1, 1)


def test_client_is_usable_after_stream_is_left(driver: ClientDriver, server: EmbeddedServer) -> None:
    """After `break`, the client reads the steps of the run that was left."""
    client = driver.client(base_url=server.base_url)
    stream = driver.run(
        client.conversations.messages.create(server.conversation_id, input="LONG 500", stream_tokens=True)
    )
    driver.drain(stream, stop=lambda event: event.message_type == "assistant_message")
    assert stream.response.is_closed
    (run_id,) = server.state.runs
    assert stream.run_id == run_id
    again = driver.run(client.conversations.messages.create(server.conversation_id, input="hi", streaming=False))
    assert again.stop_reason.stop_reason == "end_turn"
    newest = driver.run(client.steps.list(limit=1)).items[0]
    assert driver.run(client.steps.retrieve(newest.id)).id == newest.id


def test_cancelled_run_ends_stream_with_stop_reason(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A run cancelled on the server ends its stream with the stop reason `cancelled`."""
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

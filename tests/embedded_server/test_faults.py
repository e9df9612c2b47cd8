"""Faults: what the client observes, and how the server processes the request."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any

import httpx
import pytest

from letta_ext.testing import (
    BadChunk,
    Cut,
    EmbeddedServer,
    ExtraFields,
    Fault,
    LostRequest,
    LostResponse,
    Malformed,
    Redirect,
    Refuse,
    Respond,
    Slow,
    Stall,
    Trim,
    UnknownMessage,
    WrongType,
)

from .conftest import SAMPLED, TLS, ServerClient

CREATE = "conversations.messages.create"


def raw_response(api: ServerClient, body: dict[str, Any]) -> bytes:
    """Return the bytes that a plain socket receives for a send. A reset raises."""
    content = json.dumps(body).encode()
    head = f"POST {api.conversation}/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    head += "content-type: application/json\r\n"
    url = httpx.URL(api.server.base_url)
    with socket.create_connection((url.host, url.port), timeout=5) as connection:
        connection.sendall(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def count_user_messages(api: ServerClient) -> int:
    """Return the number of stored user messages."""
    known = api.server.state.conversations[api.server.conversation_id].thread.stored
    return sum(placed.message.role == "user" for placed in known)


def wait_for_runs(api: ServerClient) -> None:
    """Wait until all runs have ended."""
    deadline = time.monotonic() + 5
    while any(run.active for run in api.server.state.runs.values()):
        assert time.monotonic() < deadline
        time.sleep(0.001)


@SAMPLED
@pytest.mark.parametrize("body", [{"input": "x"}, {"input": "x", "streaming": False}])
def test_cut_after_bytes_sends_exactly_these_bytes(api: ServerClient, body: dict[str, Any]) -> None:
    """`Cut(bytes=n)` sends exactly n bytes, and the server processes the request."""
    whole = raw_response(api, body)
    # Dates and ids have constant lengths, so that all responses have the same length.
    places = range(0, len(whole), 1 if os.environ.get("LETTA_STRESS") == "full" else 37)
    for place in places:
        api.server.faults.add(Cut(bytes=place), on=CREATE)
        received = raw_response(api, body)
        assert len(received) == place
        assert received[:15] == b"HTTP/1.1 200 OK"[:place]
        wait_for_runs(api)
    assert len(api.server.faults) == 0
    assert count_user_messages(api) == 1 + len(places)


@pytest.mark.parametrize("events", [0, 1, 3, 5])
def test_cut_after_events_sends_these_events(api: ServerClient, events: int) -> None:
    """`Cut(events=n)` sends n events, and the run is stored."""
    api.server.faults.add(Cut(events=events))
    read: list[str] = []
    with (
        pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
        api.http.stream("POST", f"{api.conversation}/messages", json={"input": "x"}) as response,
    ):
        read.extend(response.iter_text())
    assert "".join(read).count("\n\n") == events
    wait_for_runs(api)
    assert len(api.messages()) == 3  # system, user and assistant message


def test_fault_with_forwarding_header_acts_on_connection(api: ServerClient) -> None:
    """A fault acts on the connection of the request, independent of its forwarding headers."""
    api.server.faults.add(Cut(events=1))
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        api.http.post(f"{api.conversation}/messages", json={"input": "x"}, headers={"x-forwarded-for": "192.0.2.1"})


def test_lost_request_of_disconnected_client_does_not_fail_server(api: ServerClient) -> None:
    """A fault on a closed connection does not fail the server."""
    api.server.faults.add(LostRequest(), on=CREATE)
    url = httpx.URL(api.server.base_url)
    with socket.create_connection((url.host, url.port), timeout=5) as connection:
        head = f"POST {api.conversation}/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n"
        connection.sendall(f"{head}half of it".encode())
        while not api.server.requests:  # the request has begun
            pass
    deadline = time.monotonic() + 5
    while api.server.faults.unused:
        assert time.monotonic() < deadline
    assert api.http.get("/v1/health/").status_code == 200
    assert api.server.requests[0].problems == []


def test_cut_with_reset_raises_connection_reset(api: ServerClient) -> None:
    """`how="reset"` raises a connection reset."""
    api.server.faults.add(Cut(events=1, how="reset"))
    with pytest.raises(httpx.ReadError):
        api.send("x")
    api.server.faults.add(Cut(bytes=0, how="reset"))
    with pytest.raises(ConnectionResetError):
        raw_response(api, {"input": "x"})


def test_cut_with_end_ends_stream_early(api: ServerClient) -> None:
    """`how="end"` ends the stream early with valid framing."""
    api.server.faults.add(Cut(events=2, how="end"))
    assert len(api.stream("x")) == 2
    assert len(api.stream("x")) == 5


def test_stall_with_seconds_delays_response(api: ServerClient) -> None:
    """`Stall(seconds=...)` delays the rest of the response."""
    api.server.faults.add(Stall(events=2, seconds=0.05), Stall(bytes=30, seconds=0.05))
    for _ in range(2):
        started = time.monotonic()
        assert len(api.stream("x")) == 5
        assert time.monotonic() - started >= 0.05


@pytest.mark.parametrize("fault", [Stall(events=2), Stall(bytes=400), Stall(bytes=0)])
def test_stall_without_seconds_times_out(api: ServerClient, fault: Fault) -> None:
    """`Stall` without `seconds` causes a read timeout, and the run is finished."""
    api.server.faults.add(fault)
    with pytest.raises(httpx.ReadTimeout):
        api.http.post(f"{api.conversation}/messages", json={"input": "x"}, timeout=0.05)
    wait_for_runs(api)
    assert len(api.stream("and again")) == 5


def test_slow_sends_complete_response_in_chunks(api: ServerClient) -> None:
    """`Slow` pauses between chunks and sends the complete response."""
    api.server.faults.add(Slow(size=100, pause=0.001), None)
    started = time.monotonic()
    slow = api.send_json("x")
    assert time.monotonic() - started > 0.01
    assert slow.keys() == api.send_json("x").keys()


@pytest.mark.parametrize("streaming", [True, False])
def test_lost_response_processes_request(api: ServerClient, streaming: bool) -> None:
    """`LostResponse` stores the message of the request."""
    api.server.faults.add(LostResponse())
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        api.send("x", streaming=streaming)
    wait_for_runs(api)
    assert count_user_messages(api) == 1


def test_lost_request_is_not_processed(api: ServerClient) -> None:
    """`LostRequest` stores nothing."""
    api.server.faults.add(LostRequest())
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        api.send("x")
    assert count_user_messages(api) == 0
    assert [(request.status, request.fault) for request in api.server.requests] == [(None, LostRequest())]


def test_refuse_rejects_connections_for_a_time(api: ServerClient) -> None:
    """`Refuse` rejects connections for some time, then the server accepts them again."""
    api.server.faults.add(Refuse(0.1))
    with pytest.raises(httpx.ConnectError):
        api.send("x")
    deadline = time.monotonic() + 5
    while not api.server.requests and time.monotonic() < deadline:
        try:
            api.send("x")
        except httpx.ConnectError:
            time.sleep(0.01)
    assert count_user_messages(api) == 1


@pytest.mark.parametrize("reused", [False, True])
def test_refuse_applies_right_after_a_response(reused: bool) -> None:
    """`Refuse` applies immediately after the previous response, on a new and on a reused connection."""
    for _ in range(10):
        with EmbeddedServer() as server, httpx.Client(base_url=server.base_url, verify=TLS) as http:
            api = ServerClient(server, http)
            if reused:
                api.messages()
            # Longer than the test: a short outage can end before a busy machine sends the next request.
            server.faults.add(None, Refuse(60))
            assert api.send_json("x")
            with pytest.raises(httpx.ConnectError):
                api.send("x")


def test_down_rejects_connections_in_its_block(api: ServerClient) -> None:
    """`server.down()` rejects connections while its block runs."""
    api.send_json("x")
    for _ in range(3):
        with api.server.down():
            for _ in range(3):
                with pytest.raises(httpx.ConnectError):
                    api.send("y")
        assert api.send_json("z")
    with api.server.down():
        pass
    assert api.send_json("z")


@pytest.mark.parametrize(
    ("fault", "status", "retry_after", "text"),
    [
        (Respond(408), 408, None, '{"detail": "Request Timeout"}'),
        (Respond(429, retry_after=3), 429, "3", '{"detail": "Too Many Requests"}'),
        (Respond(503, "<h1>down</h1>", "Wed, 21 Oct 2026 07:28:00 GMT"), 503, "Wed, 21 Oct 2026 07:28:00 GMT", None),
        (Respond(502, {"error": 1}, headers={"content-type": "application/problem+json"}), 502, None, '{"error": 1}'),
    ],
)
def test_respond_replaces_the_response(
    api: ServerClient, fault: Respond, status: int, retry_after: str | None, text: str | None
) -> None:
    """`Respond` sends its status, headers and body, and the request is not processed."""
    api.server.faults.add(fault)
    response = api.send("x")
    assert (response.status_code, response.headers.get("retry-after")) == (status, retry_after)
    assert response.text == (text or fault.body)
    assert response.headers["content-type"] == fault.headers.get(
        "content-type", "text/plain; charset=utf-8" if text is None else "application/json"
    )
    assert count_user_messages(api) == 0


def test_incomplete_request_is_not_processed(api: ServerClient) -> None:
    """An incomplete request body is rejected, and nothing is stored."""
    url = httpx.URL(api.server.base_url)
    with socket.create_connection((url.host, url.port), timeout=5) as connection:
        head = f"POST {api.conversation}/messages HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        connection.sendall(f'{head}content-length: 50\r\n\r\n{{"input":'.encode())
    deadline = time.monotonic() + 5
    while not (api.server.requests and api.server.requests[0].status) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert count_user_messages(api) == 0  # and at the end nothing is held against the server


def test_redirect_sends_status_and_location(api: ServerClient) -> None:
    """`Redirect` sends its status and location."""
    api.server.faults.add(Redirect("https://elsewhere.test/v1", 301), Redirect())
    response = api.send("x")
    assert (response.status_code, response.headers["location"]) == (301, "https://elsewhere.test/v1")
    response = api.send("x")
    assert (response.status_code, response.headers["location"]) == (307, f"{api.conversation}/messages")


def test_malformed_truncates_json(api: ServerClient) -> None:
    """`Malformed` truncates JSON in a complete response."""
    api.server.faults.add(Malformed(), Malformed(events=1))
    response = api.send("x", streaming=False)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        response.json()
    blocks = api.send("x").text.split("\n\n")
    json.loads(blocks[0].removeprefix("data: "))
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        json.loads(blocks[1].removeprefix("data: "))
    assert blocks[-2] == "data: [DONE]"


def test_unknown_message_is_inserted(api: ServerClient) -> None:
    """`UnknownMessage` inserts a message into streams, responses and lists."""
    for _ in range(3):
        api.server.faults.add(UnknownMessage("hologram_message", events=1))
    kinds = [event.get("message_type") for event in api.stream("x")]
    assert kinds == ["ping", "hologram_message", "assistant_message", "stop_reason", "usage_statistics", None]
    assert [message["message_type"] for message in api.send_json("x")["messages"]][1] == "hologram_message"
    assert [message["message_type"] for message in api.messages()][1] == "hologram_message"


def test_extra_fields_are_added(api: ServerClient) -> None:
    """`ExtraFields` adds fields to events, messages and list items."""
    for _ in range(4):
        api.server.faults.add(ExtraFields({"colour": "green"}))
    assert [event.get("colour") for event in api.stream("x")] == ["green"] * 4 + [None]
    response = api.send_json("x")
    assert (response["colour"], response["messages"][0]["colour"]) == ("green", "green")
    assert {message["colour"] for message in api.messages()} == {"green"}
    assert {step["colour"] for step in api.steps()} == {"green"}


@pytest.mark.parametrize("streaming", [True, False])
def test_wrong_type_replaces_content_type(api: ServerClient, streaming: bool) -> None:
    """`WrongType` replaces only the content type."""
    api.server.faults.add(WrongType())
    response = api.send("x", streaming=streaming)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "assistant_message" in response.text


@pytest.mark.parametrize("streaming", [True, False])
def test_bad_chunk_breaks_framing(api: ServerClient, streaming: bool) -> None:
    """`BadChunk` breaks the chunked encoding."""
    api.server.faults.add(BadChunk(events=0 if not streaming else 2))
    with pytest.raises(httpx.RemoteProtocolError, match="illegal chunk header"):
        api.send("x", streaming=streaming)


def test_trim_drops_oldest_events(api: ServerClient) -> None:
    """`Trim` drops the oldest events of a run, for requests of its operation only."""
    events = api.stream("x", background=True)
    api.server.faults.add(Trim(keep=2), on="conversations.messages.stream")
    assert len(api.messages()) == 3  # the fault applies to another operation
    assert api.resume(run_id=events[0]["run_id"], starting_after=1) == events[-2:]


def test_faults_apply_to_selected_requests(api: ServerClient) -> None:
    """Faults apply to the requests that `on` selects, as often as `times`."""
    faults = api.server.faults
    faults.add(Respond(503), on="steps.list", times=2)
    faults.add(Respond(500), on="GET /v1/steps/step-*", times=None)
    faults.add(None, Respond(429))
    step = "/v1/steps/step-00000000-0000-4000-8000-000000000000"
    got = [api.http.get(path).status_code for path in ["/v1/steps/"] * 4 + [step, step, "/v1/steps/"]]
    assert got == [503, 503, 200, 429, 500, 500, 200]
    assert len(faults) == 1
    faults.clear()
    assert api.http.get(step).status_code == 404


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda server: server.faults.add(None, on="steps.lst"), "on must be one of agents"),
        (lambda server: server.faults.add(None, times=0), "times must be at least 1, got 0"),
        (
            lambda server: server.faults.add(Refuse(1), on="steps.list"),
            "cannot be combined with Refuse",
        ),
        (lambda _: Cut(), "exactly one of events and bytes must be set"),
        (lambda _: Cut(events=1, bytes=1), "exactly one of events and bytes must be set"),
        (lambda _: Cut(bytes=1, how="end"), "bytes must be None with how=.end."),
        (lambda _: Cut(bytes=-1), "bytes must be at least 0, got -1"),
        (lambda _: Slow(size=0), "size must be at least 1, got 0"),
        (lambda _: Respond(99), "status must be between 200 and 599, got 99"),
        (lambda _: Redirect(status=200), "status must be one of 301, 302, 303, 307, 308, got 200"),
        (lambda _: Trim(-1), "keep must be at least 0, got -1"),
    ],
)
def test_invalid_fault_is_rejected(make: Any, message: str) -> None:
    """Invalid faults and plans raise `ValueError`."""
    with pytest.raises(ValueError, match=message):
        make(EmbeddedServer())


def test_cut_with_end_truncates_json_response() -> None:
    """`Cut(how="end")` ends a JSON response early with valid framing."""
    with EmbeddedServer() as server:
        server.faults.add(Cut(events=0, how="end"))
        assert httpx.get(f"{server.base_url}/v1/steps/").content == b""

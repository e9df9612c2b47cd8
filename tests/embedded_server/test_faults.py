"""Faults: what a client sees on the wire when each of them happens, and what the server has made of the request."""

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

from .conftest import SAMPLED, ServerClient

CREATE = "conversations.messages.create"


def wire(talk: ServerClient, body: dict[str, Any]) -> bytes:
    """All that a plain socket gets in answer to a send; a reset raises."""
    content = json.dumps(body).encode()
    head = f"POST {talk.conversation}/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    head += "content-type: application/json\r\n"
    url = httpx.URL(talk.server.base_url)
    with socket.create_connection((url.host, url.port), timeout=5) as connection:
        connection.sendall(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def stored(talk: ServerClient) -> int:
    """How many messages of a user's the server has."""
    known = talk.server.state.conversations[talk.server.conversation_id].thread.stored
    return sum(placed.message.role == "user" for placed in known)


def runs_end(talk: ServerClient) -> None:
    """Wait until no run goes on."""
    deadline = time.monotonic() + 5
    while any(run.active for run in talk.server.state.runs.values()):
        assert time.monotonic() < deadline
        time.sleep(0.001)


@SAMPLED
@pytest.mark.parametrize("body", [{"input": "x"}, {"input": "x", "streaming": False}])
def test_a_cut_after_every_byte(talk: ServerClient, body: dict[str, Any]) -> None:
    whole = wire(talk, body)
    # The head's date and the ids are of one length, so that any two answers have the same.
    places = range(0, len(whole), 1 if os.environ.get("LETTA_STRESS") == "full" else 37)
    for place in places:
        talk.server.faults.add(Cut(bytes=place), on=CREATE)
        received = wire(talk, body)
        assert len(received) == place
        assert received[:15] == b"HTTP/1.1 200 OK"[:place]
        runs_end(talk)
    assert len(talk.server.faults) == 0
    assert stored(talk) == 1 + len(places)


@pytest.mark.parametrize("events", [0, 1, 3, 5])
def test_a_cut_after_an_event(talk: ServerClient, events: int) -> None:
    talk.server.faults.add(Cut(events=events))
    read: list[str] = []
    with (
        pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
        talk.http.stream("POST", f"{talk.conversation}/messages", json={"input": "x"}) as response,
    ):
        read.extend(response.iter_text())
    assert "".join(read).count("\n\n") == events
    runs_end(talk)
    assert len(talk.messages()) == 3  # the system's, the user's and the answer


def test_a_fault_finds_its_connection_behind_a_proxy(talk: ServerClient) -> None:
    """The connection of a request is the one that it came on, whatever its headers say."""
    talk.server.faults.add(Cut(events=1))
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        talk.http.post(f"{talk.conversation}/messages", json={"input": "x"}, headers={"x-forwarded-for": "192.0.2.1"})


def test_a_client_that_leaves_while_its_request_is_lost_is_no_failure(talk: ServerClient) -> None:
    """A connection that is closed already can be cut."""
    talk.server.faults.add(LostRequest(), on=CREATE)
    url = httpx.URL(talk.server.base_url)
    with socket.create_connection((url.host, url.port), timeout=5) as connection:
        head = f"POST {talk.conversation}/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n"
        connection.sendall(f"{head}half of it".encode())
        while not talk.server.requests:  # the request has begun
            pass
    deadline = time.monotonic() + 5
    while talk.server.faults.unused:
        assert time.monotonic() < deadline
    assert talk.http.get("/v1/health/").status_code == 200
    assert talk.server.requests[0].problems == []


def test_a_reset_is_told_from_an_end(talk: ServerClient) -> None:
    talk.server.faults.add(Cut(events=1, how="reset"))
    with pytest.raises(httpx.ReadError):
        talk.send("x")
    talk.server.faults.add(Cut(bytes=0, how="reset"))
    with pytest.raises(ConnectionResetError):
        wire(talk, {"input": "x"})


def test_a_proxy_that_ends_the_body_early(talk: ServerClient) -> None:
    talk.server.faults.add(Cut(events=2, how="end"))
    assert len(talk.stream("x")) == 2
    assert len(talk.stream("x")) == 5


def test_a_stall_that_ends(talk: ServerClient) -> None:
    talk.server.faults.add(Stall(events=2, seconds=0.05), Stall(bytes=30, seconds=0.05))
    for _ in range(2):
        started = time.monotonic()
        assert len(talk.stream("x")) == 5
        assert time.monotonic() - started >= 0.05


@pytest.mark.parametrize("fault", [Stall(events=2), Stall(bytes=400), Stall(bytes=0)])
def test_a_stall_for_ever(talk: ServerClient, fault: Fault) -> None:
    talk.server.faults.add(fault)
    with pytest.raises(httpx.ReadTimeout):
        talk.http.post(f"{talk.conversation}/messages", json={"input": "x"}, timeout=0.05)
    runs_end(talk)
    assert len(talk.stream("and again")) == 5


def test_slow_bytes(talk: ServerClient) -> None:
    talk.server.faults.add(Slow(size=100, pause=0.001), None)
    started = time.monotonic()
    slow = talk.answer("x")
    assert time.monotonic() - started > 0.01
    assert slow.keys() == talk.answer("x").keys()


@pytest.mark.parametrize("streaming", [True, False])
def test_a_lost_answer_was_processed(talk: ServerClient, streaming: bool) -> None:
    talk.server.faults.add(LostResponse())
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        talk.send("x", streaming=streaming)
    runs_end(talk)
    assert stored(talk) == 1


def test_a_lost_request_was_not(talk: ServerClient) -> None:
    talk.server.faults.add(LostRequest())
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        talk.send("x")
    assert stored(talk) == 0
    assert [(request.status, request.fault) for request in talk.server.requests] == [(None, LostRequest())]


def test_a_refused_connection(talk: ServerClient) -> None:
    talk.server.faults.add(Refuse(0.1))
    with pytest.raises(httpx.ConnectError):
        talk.send("x")
    deadline = time.monotonic() + 5
    while not talk.server.requests and time.monotonic() < deadline:
        try:
            talk.send("x")
        except httpx.ConnectError:
            time.sleep(0.01)
    assert stored(talk) == 1


def test_a_connection_that_is_refused_after_an_answer(talk: ServerClient) -> None:
    for _ in range(20):
        talk.server.faults.add(None, Refuse(0.02))
        assert talk.answer("x")  # on whichever connection there is
        with pytest.raises(httpx.ConnectError):
            talk.send("x")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                talk.messages()
            except httpx.ConnectError:
                continue
            break


def test_a_server_that_is_down_for_a_while(talk: ServerClient) -> None:
    talk.answer("x")
    for _ in range(3):
        with talk.server.down():
            for _ in range(3):
                with pytest.raises(httpx.ConnectError):
                    talk.send("y")
        assert talk.answer("z")
    with talk.server.down():
        pass
    assert talk.answer("z")


@pytest.mark.parametrize(
    ("fault", "status", "retry_after", "text"),
    [
        (Respond(408), 408, None, '{"detail": "Request Timeout"}'),
        (Respond(429, retry_after=3), 429, "3", '{"detail": "Too Many Requests"}'),
        (Respond(503, "<h1>down</h1>", "Wed, 21 Oct 2026 07:28:00 GMT"), 503, "Wed, 21 Oct 2026 07:28:00 GMT", None),
        (Respond(502, {"error": 1}, headers={"content-type": "application/problem+json"}), 502, None, '{"error": 1}'),
    ],
)
def test_somebody_else_answers(
    talk: ServerClient, fault: Respond, status: int, retry_after: str | None, text: str | None
) -> None:
    talk.server.faults.add(fault)
    response = talk.send("x")
    assert (response.status_code, response.headers.get("retry-after")) == (status, retry_after)
    assert response.text == (text or fault.body)
    assert response.headers["content-type"] == fault.headers.get(
        "content-type", "text/plain; charset=utf-8" if text is None else "application/json"
    )
    assert stored(talk) == 0


def test_a_client_that_leaves_in_the_middle_of_its_request(talk: ServerClient) -> None:
    url = httpx.URL(talk.server.base_url)
    with socket.create_connection((url.host, url.port), timeout=5) as connection:
        head = f"POST {talk.conversation}/messages HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        connection.sendall(f'{head}content-length: 50\r\n\r\n{{"input":'.encode())
    deadline = time.monotonic() + 5
    while not (talk.server.requests and talk.server.requests[0].status) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert stored(talk) == 0  # and at the end nothing is held against the server


def test_a_redirect(talk: ServerClient) -> None:
    talk.server.faults.add(Redirect("https://elsewhere.test/v1", 301), Redirect())
    response = talk.send("x")
    assert (response.status_code, response.headers["location"]) == (301, "https://elsewhere.test/v1")
    response = talk.send("x")
    assert (response.status_code, response.headers["location"]) == (307, f"{talk.conversation}/messages")


def test_malformed_json(talk: ServerClient) -> None:
    talk.server.faults.add(Malformed(), Malformed(events=1))
    response = talk.send("x", streaming=False)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        response.json()
    blocks = talk.send("x").text.split("\n\n")
    json.loads(blocks[0].removeprefix("data: "))
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        json.loads(blocks[1].removeprefix("data: "))
    assert blocks[-2] == "data: [DONE]"


def test_an_unknown_message(talk: ServerClient) -> None:
    for _ in range(3):
        talk.server.faults.add(UnknownMessage("hologram_message", events=1))
    kinds = [event.get("message_type") for event in talk.stream("x")]
    assert kinds == ["ping", "hologram_message", "assistant_message", "stop_reason", "usage_statistics", None]
    assert [message["message_type"] for message in talk.answer("x")["messages"]][1] == "hologram_message"
    assert [message["message_type"] for message in talk.messages()][1] == "hologram_message"


def test_extra_fields(talk: ServerClient) -> None:
    for _ in range(4):
        talk.server.faults.add(ExtraFields({"colour": "green"}))
    assert [event.get("colour") for event in talk.stream("x")] == ["green"] * 4 + [None]
    answer = talk.answer("x")
    assert (answer["colour"], answer["messages"][0]["colour"]) == ("green", "green")
    assert {message["colour"] for message in talk.messages()} == {"green"}
    assert {step["colour"] for step in talk.steps()} == {"green"}


@pytest.mark.parametrize("streaming", [True, False])
def test_a_wrong_content_type(talk: ServerClient, streaming: bool) -> None:
    talk.server.faults.add(WrongType())
    response = talk.send("x", streaming=streaming)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "assistant_message" in response.text


@pytest.mark.parametrize("streaming", [True, False])
def test_garbage_for_a_chunk(talk: ServerClient, streaming: bool) -> None:
    talk.server.faults.add(BadChunk(events=0 if not streaming else 2))
    with pytest.raises(httpx.RemoteProtocolError, match="illegal chunk header"):
        talk.send("x", streaming=streaming)


def test_a_trimmed_run(talk: ServerClient) -> None:
    events = talk.stream("x", background=True)
    talk.server.faults.add(Trim(keep=2), on="conversations.messages.stream")
    assert len(talk.messages()) == 3  # is none of that fault's requests
    assert talk.resume(run_id=events[0]["run_id"], starting_after=1) == events[-2:]


def test_faults_are_for_whom_they_are_meant(talk: ServerClient) -> None:
    faults = talk.server.faults
    faults.add(Respond(503), on="steps.list", times=2)
    faults.add(Respond(500), on="GET /v1/steps/step-*", times=None)
    faults.add(None, Respond(429))
    step = "/v1/steps/step-00000000-0000-4000-8000-000000000000"
    got = [talk.http.get(path).status_code for path in ["/v1/steps/"] * 4 + [step, step, "/v1/steps/"]]
    assert got == [503, 503, 200, 429, 500, 500, 200]
    assert len(faults) == 1
    faults.clear()
    assert talk.http.get(step).status_code == 404


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
def test_what_makes_no_sense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(EmbeddedServer())


def test_a_json_body_that_ends_early_ends_properly() -> None:
    """`Cut(how="end")` cuts a response that is not a stream in a way that HTTP takes for whole."""
    with EmbeddedServer() as server:
        server.faults.add(Cut(events=0, how="end"))
        assert httpx.get(f"{server.base_url}/v1/steps/").content == b""

"""Background runs: numbers, resuming, idempotent sends, cancelling and expiry."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from letta_ext.testing import EmbeddedServer, Keepalive, TickingClock
from letta_ext.testing.engine.runs import Journal

from .conftest import ServerClient, parse_events


def user(text: str, otid: str | None = None) -> list[dict[str, Any]]:
    message = {"role": "user", "content": text}
    return [message if otid is None else {**message, "otid": otid}]


def send(talk: ServerClient, otid: str, text: str = "hello", **body: Any) -> list[dict[str, Any]]:
    return talk.stream(messages=user(text, otid), background=True, **body)


def clock(talk: ServerClient) -> TickingClock:
    told = talk.server.state.clock
    assert isinstance(told, TickingClock)
    return told


def test_only_background_runs_number_their_events(talk: ServerClient) -> None:
    assert {event.get("seq_id") for event in talk.stream("hello")} == {None}
    events = send(talk, "a", stream_tokens=True)
    assert [event.get("seq_id") for event in events] == [1, 2, 3, 4, 5, 6, 7, None, None, None]
    assert all("seq_id" not in event for event in events[-3:])


@pytest.mark.letta(check=False)  # the specification does not allow what is sent
@pytest.mark.parametrize("after", [-3, 0, 1, 7])
def test_resuming_goes_on_after_the_last_number(talk: ServerClient, after: int) -> None:
    events = send(talk, "a", stream_tokens=True)
    run_id = events[0]["run_id"]
    for whom in ({"otid": "a"}, {"run_id": run_id}):
        assert talk.resume(**whom, starting_after=after, batch_size=2, poll_interval=0.5) == events[max(after, 0) :]


def test_stop_reason_usage_and_done_consume_a_number(talk: ServerClient) -> None:
    events = send(talk, "a")  # ping 1, answer 2, stop reason 3, usage 4, [DONE] 5
    assert talk.resume(otid="a", starting_after=3) == events[3:]
    assert talk.resume(otid="a", starting_after=4) == [{"done": True}]


@pytest.mark.parametrize(
    "body", [{"starting_after": 5}, {"starting_after": 99}, {"batch_size": 1, "starting_after": 1}]
)
def test_past_the_end_there_is_silence(talk: ServerClient, body: dict[str, Any]) -> None:
    send(talk, "a")
    with pytest.raises(httpx.ReadTimeout):
        talk.http.post(f"{talk.conversation}/stream", json={"otid": "a", **body}, timeout=0.05)


@pytest.mark.letta(check=False)  # the specification does not allow what is sent
def test_a_batch_of_one_is_read_again_and_again(talk: ServerClient) -> None:
    events = send(talk, "a")
    body = {"otid": "a", "batch_size": 1}
    with talk.http.stream("POST", f"{talk.conversation}/stream", json=body, timeout=0.05) as response:
        chunks = response.iter_text()
        assert parse_events(next(chunks)) == events[:1]
        with pytest.raises(httpx.ReadTimeout):
            next(chunks)


@pytest.mark.letta(check=False)  # the specification does not allow what is sent
@pytest.mark.parametrize("size", [0, -1])
def test_an_impossible_batch_is_a_500(talk: ServerClient, size: int) -> None:
    send(talk, "a")
    assert talk.post(f"{talk.conversation}/stream", otid="a", batch_size=size).status_code == 500


@pytest.mark.letta(check=False)  # the specification does not allow what is sent
def test_a_silent_stream_is_kept_open_by_pings_that_repeat_the_last_number(talk: ServerClient) -> None:
    talk.server.state.keepalive = Keepalive(interval=0.01, limit=0.045)
    run_id = send(talk, "a")[0]["run_id"]
    pings = talk.resume(otid="a", starting_after=5)
    assert [(ping["message_type"], ping["seq_id"], ping["run_id"]) for ping in pings] == [("ping", None, run_id)] * 4
    pings = talk.resume(otid="a", batch_size=1)
    assert [ping["seq_id"] for ping in pings] == [1] * 5


def test_a_foreground_run_has_nothing_to_resume(talk: ServerClient) -> None:
    talk.server.state.keepalive = Keepalive(interval=0.01, limit=0.015)
    events = talk.stream(messages=user("hello", "a"))
    pings = talk.resume(run_id=events[0]["run_id"])
    assert [(ping["message_type"], ping["seq_id"]) for ping in pings] == [("ping", None)]
    # And so a background send under its otid gets no answer either.
    assert [event["message_type"] for event in send(talk, "a")] == ["ping"]


def test_an_active_run_is_found_by_its_conversation(talk: ServerClient) -> None:
    talk.server.state.delay = 0.005
    body = {"input": "LONG 30", "background": True, "stream_tokens": True}
    with talk.http.stream("POST", f"{talk.conversation}/messages", json=body) as response:
        run_id = parse_events(next(response.iter_text()))[0]["run_id"]
    events = talk.resume(starting_after=3)
    assert [event.get("seq_id") for event in events] == [*range(4, 32), None, None, None]
    assert {event["run_id"] for event in events[:-3]} == {run_id}
    assert talk.post(f"{talk.conversation}/stream").json() == {
        "detail": "INVALID_ARGUMENT: No active runs found for this conversation."
    }


def test_an_agents_runs_are_found_by_the_agent(talk: ServerClient) -> None:
    talk.server.state.delay = 0.005
    agent = talk.server.agent_id
    body = {"input": "LONG 10", "background": True, "stream_tokens": True}
    with talk.http.stream("POST", f"{talk.conversation}/messages", json=body) as response:
        next(response.iter_text())
    found = talk.post("/v1/conversations/default/stream", agent_id=agent)
    assert found.status_code == 200
    assert "word9" in found.text


def test_a_foreground_run_cannot_be_retrieved(talk: ServerClient) -> None:
    talk.server.state.delay = 0.005
    with talk.http.stream(
        "POST", f"{talk.conversation}/messages", json={"input": "hi", "stream_tokens": True}
    ) as first:
        next(first.iter_text())
        refused = talk.post(f"{talk.conversation}/stream")
    assert refused.status_code == 400
    assert refused.json()["detail"].endswith("Run was not created in background mode, so it cannot be retrieved.")


def test_the_same_otids_are_the_same_run_whatever_they_say_and_wherever(talk: ServerClient) -> None:
    first = send(talk, "a", "LONG 2")
    assert send(talk, "a", "LONG 3") == first
    other = talk.http.post("/v1/conversations/", params={"agent_id": talk.server.agent_id}).json()["id"]
    again = talk.send(path=f"/v1/conversations/{other}", messages=user("LONG 4", "a"), background=True)
    assert parse_events(again.text) == first
    assert len(talk.messages()) == 3


def test_otids_count_in_their_order(talk: ServerClient) -> None:
    both = [*user("one", "a"), *user("two", "b")]
    first = talk.stream(messages=both, background=True)
    assert talk.stream(messages=both, background=True) == first
    assert talk.stream(messages=both[::-1], background=True) != first
    # Each alone finds the last run it was in.
    assert talk.resume(otid="a") != first
    assert send(talk, "b") != first


@pytest.mark.parametrize("body", [{}, {"streaming": False}])
def test_in_the_foreground_an_otid_protects_from_nothing(talk: ServerClient, body: dict[str, Any]) -> None:
    for _ in range(2):
        assert talk.send(messages=user("hello", "a"), **body).status_code == 200
    assert [each["message_type"] for each in talk.messages()].count("user_message") == 2


def test_three_hours_later_nothing_is_left(talk: ServerClient) -> None:
    run_id = send(talk, "a")[0]["run_id"]
    clock(talk).advance(timedelta(hours=2, minutes=59))
    assert talk.resume(run_id=run_id)[0]["run_id"] == run_id
    clock(talk).advance(timedelta(minutes=2))
    expired = talk.post(f"{talk.conversation}/stream", run_id=run_id)
    assert expired.status_code == 410
    assert expired.json() == {"detail": "EXPIRED: Run was created more than 3 hours ago, and is now expired."}
    assert talk.post(f"{talk.conversation}/stream", otid="a").status_code == 404
    assert send(talk, "a")[0]["run_id"] != run_id


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"run_id": "nope"}, 400, "INVALID_ARGUMENT: Invalid run ID format: nope. Expected format: 'run-<uuid4>'"),
        ({"run_id": "run-00000000-0000-4000-8000-000000000000"}, 404, "Run not found with id="),
        ({"otid": "nope"}, 404, "No run found for otid=nope. The run may have expired or never existed."),
        ({}, 400, "INVALID_ARGUMENT: No active runs found for this conversation."),
        ({"starting_after": None}, 422, "[{'type': 'int_type', 'loc': ('body', 'starting_after')"),
    ],
)
def test_what_cannot_be_resumed(talk: ServerClient, body: dict[str, Any], status: int, detail: str) -> None:
    refused = talk.http.post(f"{talk.conversation}/stream", json=body)
    assert refused.status_code == status
    assert refused.json()["detail"].startswith(detail)


@pytest.mark.parametrize("background", [False, True])
def test_cancelling(talk: ServerClient, background: bool) -> None:
    talk.server.state.delay = 0.005
    body = {"input": "LONG 2000", "stream_tokens": True, "background": background}
    with talk.http.stream("POST", f"{talk.conversation}/messages", json=body) as response:
        lines = response.iter_lines()
        next(lines)
        (status,) = talk.post(f"{talk.conversation}/cancel").json().values()
        ending = [line for line in lines if line][-2:]
    assert status == "cancelled"
    cancelled = 'data: {"message_type": "stop_reason", "stop_reason": "cancelled"}'
    # In the foreground the stream just ends.
    assert ending[-2:] == [cancelled, "data: [DONE]"] if background else ending[-1] == cancelled
    assert [each["message_type"] for each in talk.messages()] == ["system_message"]
    assert [(step["status"], step["error_type"]) for step in talk.steps()] == [("failed", "Unknown")]
    nothing = talk.post(f"{talk.conversation}/cancel")
    assert nothing.status_code == 409
    assert nothing.json()["detail"].startswith("CONFLICT: No active runs to cancel for conversation conv-")


def test_a_long_run_keeps_its_newest_events(talk: ServerClient) -> None:
    events = send(talk, "a", "LONG 10600", stream_tokens=True)
    assert [event["seq_id"] for event in events[:-3]] == [*range(1, 10602)]
    resumed = talk.resume(otid="a", starting_after=500)
    assert resumed[0]["seq_id"] == 606
    assert resumed == events[605:]


def test_a_foreground_answer_waits_for_its_reader(server: EmbeddedServer) -> None:
    talk = ServerClient(server, httpx.Client(base_url=server.base_url))
    body = {"input": "LONG 60000", "stream_tokens": True}
    with talk.http, talk.http.stream("POST", f"{talk.conversation}/messages", json=body) as response:
        run_id = parse_events(next(response.iter_text()))[0]["run_id"]
        assert len(server.state.runs[run_id].outlet) <= 256


def test_a_journal_forgets() -> None:
    journal = Journal(keep=2)
    for number in range(1, 5):
        journal.append(str(number), final=number == 4)
    # The last one makes room for the one that nobody reads.
    assert (journal.first, journal.next, len(journal)) == (4, 5, 1)
    assert journal.get(3) is None
    last = journal.get(4)
    assert last is not None
    assert last.final

"""Background runs: sequence numbers, resuming, idempotent sends, cancellation and expiry."""

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


def send(api: ServerClient, otid: str, text: str = "hello", **body: Any) -> list[dict[str, Any]]:
    return api.stream(messages=user(text, otid), background=True, **body)


def clock(api: ServerClient) -> TickingClock:
    known_clock = api.server.state.clock
    assert isinstance(known_clock, TickingClock)
    return known_clock


def test_only_background_events_have_numbers(api: ServerClient) -> None:
    """Only events of background runs have sequence numbers."""
    assert {event.get("seq_id") for event in api.stream("hello")} == {None}
    events = send(api, "a", stream_tokens=True)
    assert [event.get("seq_id") for event in events] == [1, 2, 3, 4, 5, 6, 7, None, None, None]
    assert all("seq_id" not in event for event in events[-3:])


@pytest.mark.letta(check=False)  # outside the specification
@pytest.mark.parametrize("after", [-3, 0, 1, 7])
def test_resumed_stream_starts_after_last_number(api: ServerClient, after: int) -> None:
    """A resumed stream starts after the last number, by otid or by run."""
    events = send(api, "a", stream_tokens=True)
    run_id = events[0]["run_id"]
    for selector in ({"otid": "a"}, {"run_id": run_id}):
        assert api.resume(**selector, starting_after=after, batch_size=2, poll_interval=0.5) == events[max(after, 0) :]


def test_last_events_consume_numbers(api: ServerClient) -> None:
    """The last three events consume numbers without containing them."""
    events = send(api, "a")  # ping 1, message 2, stop reason 3, usage 4, [DONE] 5
    assert api.resume(otid="a", starting_after=3) == events[3:]
    assert api.resume(otid="a", starting_after=4) == [{"done": True}]


@pytest.mark.parametrize(
    "body", [{"starting_after": 5}, {"starting_after": 99}, {"batch_size": 1, "starting_after": 1}]
)
def test_resume_beyond_end_is_silent(api: ServerClient, body: dict[str, Any]) -> None:
    """A stream resumed beyond its end is silent, as in Letta."""
    send(api, "a")
    with pytest.raises(httpx.ReadTimeout):
        api.http.post(f"{api.conversation}/stream", json={"otid": "a", **body}, timeout=0.05)


@pytest.mark.letta(check=False)  # outside the specification
def test_batch_of_one_repeats_first_event(api: ServerClient) -> None:
    """A batch size of one sends only the first event, as in Letta."""
    events = send(api, "a")
    body = {"otid": "a", "batch_size": 1}
    with api.http.stream("POST", f"{api.conversation}/stream", json=body, timeout=0.05) as response:
        chunks = response.iter_text()
        assert parse_events(next(chunks)) == events[:1]
        with pytest.raises(httpx.ReadTimeout):
            next(chunks)


@pytest.mark.letta(check=False)  # outside the specification
@pytest.mark.parametrize("size", [0, -1])
def test_invalid_batch_size_gets_server_error(api: ServerClient, size: int) -> None:
    """A batch size below one gets a 500, as in Letta."""
    send(api, "a")
    assert api.post(f"{api.conversation}/stream", otid="a", batch_size=size).status_code == 500


@pytest.mark.letta(check=False)  # outside the specification
def test_ping_repeats_last_number(api: ServerClient) -> None:
    """Pings in a silent stream repeat the last number, up to the limit."""
    api.server.state.keepalive = Keepalive(interval=0.01, limit=0.045)
    run_id = send(api, "a")[0]["run_id"]
    pings = api.resume(otid="a", starting_after=5)
    assert [(ping["message_type"], ping["seq_id"], ping["run_id"]) for ping in pings] == [("ping", None, run_id)] * 4
    pings = api.resume(otid="a", batch_size=1)
    assert [ping["seq_id"] for ping in pings] == [1] * 5


def test_resumed_foreground_run_sends_only_pings(api: ServerClient) -> None:
    """A resumed foreground run sends only pings."""
    api.server.state.keepalive = Keepalive(interval=0.01, limit=0.015)
    events = api.stream(messages=user("hello", "a"))
    pings = api.resume(run_id=events[0]["run_id"])
    assert [(ping["message_type"], ping["seq_id"]) for ping in pings] == [("ping", None)]
    # A background send with the same otid resumes the foreground run.
    assert [event["message_type"] for event in send(api, "a")] == ["ping"]


def test_resume_by_conversation_finds_active_run(api: ServerClient) -> None:
    """An active run is resumed without an id, and a finished one is not."""
    api.server.state.delay = 0.005
    body = {"input": "LONG 30", "background": True, "stream_tokens": True}
    with api.http.stream("POST", f"{api.conversation}/messages", json=body) as response:
        run_id = parse_events(next(response.iter_text()))[0]["run_id"]
    events = api.resume(starting_after=3)
    assert [event.get("seq_id") for event in events] == [*range(4, 32), None, None, None]
    assert {event["run_id"] for event in events[:-3]} == {run_id}
    assert api.post(f"{api.conversation}/stream").json() == {
        "detail": "INVALID_ARGUMENT: No active runs found for this conversation."
    }


def test_resume_by_agent_finds_active_run(api: ServerClient) -> None:
    """An active run is resumed by the id of its agent."""
    api.server.state.delay = 0.005
    agent = api.server.agent_id
    body = {"input": "LONG 10", "background": True, "stream_tokens": True}
    with api.http.stream("POST", f"{api.conversation}/messages", json=body) as response:
        next(response.iter_text())
    found = api.post("/v1/conversations/default/stream", agent_id=agent)
    assert found.status_code == 200
    assert "word9" in found.text


def test_active_foreground_run_cannot_be_resumed(api: ServerClient) -> None:
    """An active foreground run cannot be resumed."""
    api.server.state.delay = 0.005
    with api.http.stream("POST", f"{api.conversation}/messages", json={"input": "hi", "stream_tokens": True}) as first:
        next(first.iter_text())
        rejected = api.post(f"{api.conversation}/stream")
    assert rejected.status_code == 400
    assert rejected.json()["detail"].endswith("Run was not created in background mode, so it cannot be retrieved.")


def test_repeated_otid_returns_first_run(api: ServerClient) -> None:
    """A repeated otid returns the first run, independent of content and conversation."""
    first = send(api, "a", "LONG 2")
    assert send(api, "a", "LONG 3") == first
    other = api.http.post("/v1/conversations/", params={"agent_id": api.server.agent_id}).json()["id"]
    again = api.send(path=f"/v1/conversations/{other}", messages=user("LONG 4", "a"), background=True)
    assert parse_events(again.text) == first
    assert len(api.messages()) == 3


def test_otids_identify_request_in_order(api: ServerClient) -> None:
    """The otids of a request identify it in their order."""
    both = [*user("one", "a"), *user("two", "b")]
    first = api.stream(messages=both, background=True)
    assert api.stream(messages=both, background=True) == first
    assert api.stream(messages=both[::-1], background=True) != first
    # A single otid refers to the last run that contained it.
    assert api.resume(otid="a") != first
    assert send(api, "b") != first


@pytest.mark.parametrize("body", [{}, {"streaming": False}])
def test_repeated_otid_in_foreground_is_stored_twice(api: ServerClient, body: dict[str, Any]) -> None:
    """A repeated otid in the foreground is stored twice, as in Letta."""
    for _ in range(2):
        assert api.send(messages=user("hello", "a"), **body).status_code == 200
    assert [each["message_type"] for each in api.messages()].count("user_message") == 2


def test_runs_and_otids_expire_after_three_hours(api: ServerClient) -> None:
    """Runs and otids expire after three hours."""
    run_id = send(api, "a")[0]["run_id"]
    clock(api).advance(timedelta(hours=2, minutes=59))
    assert api.resume(run_id=run_id)[0]["run_id"] == run_id
    clock(api).advance(timedelta(minutes=2))
    expired = api.post(f"{api.conversation}/stream", run_id=run_id)
    assert expired.status_code == 410
    assert expired.json() == {"detail": "EXPIRED: Run was created more than 3 hours ago, and is now expired."}
    assert api.post(f"{api.conversation}/stream", otid="a").status_code == 404
    assert send(api, "a")[0]["run_id"] != run_id


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
def test_invalid_resume_is_rejected(api: ServerClient, body: dict[str, Any], status: int, detail: str) -> None:
    """Invalid requests to resume get Letta's error texts."""
    rejected = api.http.post(f"{api.conversation}/stream", json=body)
    assert rejected.status_code == status
    assert rejected.json()["detail"].startswith(detail)


@pytest.mark.parametrize("background", [False, True])
def test_cancelled_run_ends_stream(api: ServerClient, background: bool) -> None:
    """A cancelled run ends its stream, and its messages are not stored."""
    api.server.state.delay = 0.005
    body = {"input": "LONG 2000", "stream_tokens": True, "background": background}
    with api.http.stream("POST", f"{api.conversation}/messages", json=body) as response:
        lines = response.iter_lines()
        next(lines)
        (status,) = api.post(f"{api.conversation}/cancel").json().values()
        ending = [line for line in lines if line][-2:]
    assert status == "cancelled"
    cancelled = 'data: {"message_type": "stop_reason", "stop_reason": "cancelled"}'
    # A foreground stream ends without [DONE].
    assert ending[-2:] == [cancelled, "data: [DONE]"] if background else ending[-1] == cancelled
    assert [each["message_type"] for each in api.messages()] == ["system_message"]
    assert [(step["status"], step["error_type"]) for step in api.steps()] == [("failed", "Unknown")]
    nothing = api.post(f"{api.conversation}/cancel")
    assert nothing.status_code == 409
    assert nothing.json()["detail"].startswith("CONFLICT: No active runs to cancel for conversation conv-")


def test_long_run_keeps_newest_events(api: ServerClient) -> None:
    """A long run keeps its newest 10,000 events."""
    events = send(api, "a", "LONG 10600", stream_tokens=True)
    assert [event["seq_id"] for event in events[:-3]] == [*range(1, 10602)]
    resumed = api.resume(otid="a", starting_after=500)
    assert resumed[0]["seq_id"] == 606
    assert resumed == events[605:]


def test_foreground_run_waits_for_reader(server: EmbeddedServer) -> None:
    """A foreground run waits for its reader when the buffer is full."""
    api = ServerClient(server, httpx.Client(base_url=server.base_url))
    body = {"input": "LONG 60000", "stream_tokens": True}
    with api.http, api.http.stream("POST", f"{api.conversation}/messages", json=body) as response:
        run_id = parse_events(next(response.iter_text()))[0]["run_id"]
        assert len(server.state.runs[run_id].outlet) <= 256


def test_journal_drops_oldest_events() -> None:
    """A journal drops its oldest events."""
    journal = Journal(keep=2)
    for number in range(1, 5):
        journal.append(str(number), final=number == 4)
    # Letta's second [DONE] occupies an entry.
    assert (journal.first, journal.next, len(journal)) == (4, 5, 1)
    assert journal.get(3) is None
    last = journal.get(4)
    assert last is not None
    assert last.final

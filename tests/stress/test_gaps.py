"""Events that the server has dropped are reported as a gap."""

from __future__ import annotations

from typing import Any

import pytest

from letta_ext import RetryPolicy, StreamInterrupted
from letta_ext.testing import EmbeddedServer

from ..client.helpers import ClientDriver
from .figures import figure
from .replay import CONVERSATION, END, error_response, full_response, recorded_body, replay_server

pytestmark = pytest.mark.stress


def long_run(driver: ClientDriver, server: EmbeddedServer, words: int) -> tuple[Any, Any]:
    """Return the client and the stream of a run of this many words."""
    client = driver.client(base_url=server.base_url)
    create = client.conversations.messages.create
    text = f"LONG {words}"
    stream = driver.run(create(server.conversation_id, input=text, background=True, stream_tokens=True))
    driver.items(stream)
    return client, stream


@pytest.mark.parametrize("after", [1, 57, 60])
def test_resume_before_dropped_events_raises_with_gap(driver: ClientDriver, server: EmbeddedServer, after: int) -> None:
    """A resume before the dropped events raises with their first and last number."""
    server.state.kept_events = 100
    client, run = long_run(driver, server, 160)
    first = server.state.runs[run.run_id].journal.first
    resumed = client.conversations.messages.stream(server.conversation_id, run_id=run.run_id, starting_after=after)
    events, fault = driver.drain(driver.run(resumed))
    assert events == []
    assert isinstance(fault, StreamInterrupted)
    assert (fault.gap, fault.run_id, fault.last_seq_id) == ((after + 1, first - 1), run.run_id, after)
    assert f"Events {after + 1} to {first - 1}" in str(fault)
    figure("gap", f"after {after} of {run.last_seq_id}, missing {fault.gap}")


def test_resume_at_first_kept_event_has_no_gap(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A resume at the first kept event yields the rest."""
    server.state.kept_events = 100
    client, run = long_run(driver, server, 160)
    first = server.state.runs[run.run_id].journal.first
    resumed = client.conversations.messages.stream(server.conversation_id, run_id=run.run_id, starting_after=first - 1)
    assert len(driver.items(driver.run(resumed))) == run.last_seq_id - first + 3


@pytest.mark.parametrize("lost", [range(1, 4), range(5, 6), range(2, 20)], ids=str)
def test_gap_within_stream_raises_with_gap(driver: ClientDriver, lost: range) -> None:
    """Missing events within a stream raise with the gap."""
    with replay_server(recorded_body(), keep=lambda entry: entry.number not in lost) as replay:
        client = driver.client(base_url=replay.base_url)
        stream = driver.run(client.conversations.messages.create(CONVERSATION, input="hi", background=True))
        events, fault = driver.drain(stream)
    assert len(events) == lost.start - 1
    assert isinstance(fault, StreamInterrupted)
    assert fault.gap == (lost.start, lost.stop - 1)


# Missing runs


@pytest.mark.parametrize(
    ("status", "words"), [(404, "No run found"), (410, "EXPIRED: Run was created more than 3 hours ago")]
)
def test_resume_of_missing_run_raises_stream_interrupted_naming_it(
    driver: ClientDriver, status: int, words: str
) -> None:
    """A run that the server no longer has raises `StreamInterrupted` without the remedy to resume."""
    with replay_server(recorded_body()) as replay:
        after_fifth_event = len(full_response(replay.entries[:5])) - len(END)
        replay.plan.extend([after_fifth_event, error_response(status, {"detail": words})])
        client = driver.client(base_url=replay.base_url, retry=RetryPolicy(initial_delay=0))
        stream = driver.run(client.conversations.messages.create(CONVERSATION, input="hi", background=True))
        events, fault = driver.drain(stream)
        assert len(replay.requests) == 2
    assert len(events) == 5
    assert isinstance(fault, StreamInterrupted)
    assert (fault.run_id, fault.last_seq_id, fault.gap) == (stream.run_id, 5, None)
    assert f"the server no longer has the run ({status}): {words}" in str(fault)
    assert "Resume it" not in str(fault)

"""Events that the server no longer has are named, not passed over."""

from __future__ import annotations

from typing import Any

import pytest

from letta_ext import RetryPolicy, StreamInterrupted
from letta_ext.testing import EmbeddedServer

from ..client.helpers import ClientDriver
from .figures import figure
from .replay import CONVERSATION, END, recorded, refusal, replaying, whole_answer

pytestmark = pytest.mark.stress


def long_run(driver: ClientDriver, server: EmbeddedServer, words: int) -> tuple[Any, Any]:
    """A run of so many words, and the client that sent it."""
    client = driver.client(base_url=server.base_url)
    create = client.conversations.messages.create
    text = f"LONG {words}"
    stream = driver.run(create(server.conversation_id, input=text, background=True, stream_tokens=True))
    driver.items(stream)
    return client, stream


@pytest.mark.parametrize("after", [1, 57, 60])
def test_a_gap_is_an_error_that_names_it(driver: ClientDriver, server: EmbeddedServer, after: int) -> None:
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


def test_what_the_server_still_has_is_no_gap(driver: ClientDriver, server: EmbeddedServer) -> None:
    server.state.kept_events = 100
    client, run = long_run(driver, server, 160)
    first = server.state.runs[run.run_id].journal.first
    resumed = client.conversations.messages.stream(server.conversation_id, run_id=run.run_id, starting_after=first - 1)
    assert len(driver.items(driver.run(resumed))) == run.last_seq_id - first + 3


@pytest.mark.parametrize("lost", [range(1, 4), range(5, 6), range(2, 20)], ids=str)
def test_a_gap_within_a_resumed_stream_is_one_too(driver: ClientDriver, lost: range) -> None:
    with replaying(recorded(), keep=lambda entry: entry.number not in lost) as replay:
        client = driver.client(base_url=replay.base_url)
        stream = driver.run(client.conversations.messages.create(CONVERSATION, input="hi", background=True))
        events, fault = driver.drain(stream)
    assert len(events) == lost.start - 1
    assert isinstance(fault, StreamInterrupted)
    assert fault.gap == (lost.start, lost.stop - 1)


# A run that is gone.


@pytest.mark.parametrize(
    ("status", "words"), [(404, "No run found"), (410, "EXPIRED: Run was created more than 3 hours ago")]
)
def test_a_run_that_is_gone_is_an_error_that_says_so(driver: ClientDriver, status: int, words: str) -> None:
    with replaying(recorded()) as replay:
        behind_the_fifth = len(whole_answer(replay.kept[:5])) - len(END)
        replay.plan.extend([behind_the_fifth, refusal(status, {"detail": words})])
        client = driver.client(base_url=replay.base_url, retry=RetryPolicy(initial_delay=0))
        stream = driver.run(client.conversations.messages.create(CONVERSATION, input="hi", background=True))
        events, fault = driver.drain(stream)
        assert len(replay.requests) == 2
    assert len(events) == 5
    assert isinstance(fault, StreamInterrupted)
    assert (fault.run_id, fault.last_seq_id, fault.gap) == (stream.run_id, 5, None)
    assert f"the server no longer has the run ({status}): {words}" in str(fault)
    assert "Resume it" not in str(fault)

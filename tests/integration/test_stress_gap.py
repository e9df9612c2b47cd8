"""A run with more events than the server keeps: the gap is reported."""

from __future__ import annotations

import os
from typing import Final

import pytest

from letta_ext import Letta, StreamInterrupted

from .server_resources import Agent, ServerResources

FULL: Final = os.environ.get("LETTA_STRESS") == "full"
WORDS: Final = 10_600
EARLY: Final = 500
"""An event that the server has dropped by the end of the run: it keeps about 10,000 entries."""


pytestmark = pytest.mark.stress


@pytest.mark.skipif(not FULL, reason="takes four minutes; tests/stress has the same on other servers")
def test_resume_before_dropped_events_raises_with_gap(resources: ServerResources, agent: Agent, address: str) -> None:
    """A resume before the dropped events raises with their first and last number."""
    conversation = resources.conversation(agent.id)
    with Letta(base_url=address) as client:
        create = client.conversations.messages.create
        with create(conversation, input=f"LONG {WORDS}", background=True, stream_tokens=True) as stream:
            events = sum(1 for _ in stream)
        assert stream.run_id is not None
        resume = client.conversations.messages.stream
        with pytest.raises(StreamInterrupted) as caught:
            list(resume(conversation, run_id=stream.run_id, starting_after=EARLY))
        assert caught.value.gap is not None
        first, last = caught.value.gap
        assert f"Events {first} to {last} of {stream.run_id} are missing" in str(caught.value)
        rest = sum(1 for _ in resume(conversation, run_id=stream.run_id, starting_after=last))
    print(f"\nFIGURE gap, real server: events {events}, resumed after {EARLY}, missing {first} to {last}, rest {rest}")
    assert first == EARLY + 1
    # The stop reason and the usage each take a number without carrying it.
    assert last + rest == (stream.last_seq_id or 0) + 2

"""A run of more events than the server keeps: what is gone is named."""

from __future__ import annotations

import os
from typing import Final

import pytest

from letta_ext import Letta, StreamInterrupted

from .scene import Agent, Scene

FULL: Final = os.environ.get("LETTA_STRESS") == "full"
WORDS: Final = 10_600
EARLY: Final = 500
"""An event that the server has dropped by the end of the run: it keeps the last 10,000 entries, about."""


pytestmark = pytest.mark.stress


@pytest.mark.skipif(not FULL, reason="takes four minutes; tests/stress has the same on other servers")
def test_a_run_resumed_from_too_early_a_number_names_the_gap(scene: Scene, agent: Agent, address: str) -> None:
    conversation = scene.conversation(agent.id)
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
    print(f"\nFIGURE live gap: events {events}, resumed after {EARLY}, missing {first} to {last}, the rest has {rest}")
    assert first == EARLY + 1
    # The stop reason and the usage take a number each, and do not carry it.
    assert last + rest == (stream.last_seq_id or 0) + 2

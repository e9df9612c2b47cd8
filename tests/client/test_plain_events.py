"""Events that only have to be counted are decoded in a shorter way, with the same result as all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from letta_ext import StreamInterrupted
from letta_ext.types import stream_event_from_dict

from .helpers import CONVERSATION, ClientDriver, event_stream, sse

RUN = "run-0b057c92-3fdb-40db-97de-89af3a69cdcf"
MESSAGE = {"message_type": "assistant_message", "id": "m", "date": "2026-01-01T00:00:00Z", "content": "hi"}
RUN_ID = {"run_id": RUN}

KINDS: dict[str, dict[str, Any]] = {
    "message": {**MESSAGE, **RUN_ID, "seq_id": None},
    "numbered": {**MESSAGE, **RUN_ID, "seq_id": int},
    "without number": {**MESSAGE, **RUN_ID},
    "invalid number": {**MESSAGE, **RUN_ID, "seq_id": "7"},
    "other message": {**MESSAGE, **RUN_ID, "message_type": "user_message", "seq_id": None},
    "newer field": {**MESSAGE, **RUN_ID, "field_of_a_newer_server": [1], "seq_id": None},
    "field without a name": {**MESSAGE, **RUN_ID, "a b": 1, "seq_id": None},
    "earlier name": {**MESSAGE, **RUN_ID, "message_type": "summary", "summary": "all", "seq_id": None},
    "unknown": {"message_type": "of_a_newer_server", "seq_id": None},
    "malformed": {"message_type": "assistant_message", "content": 1},
    "ping": {"message_type": "ping", "id": "p", "date": "2026-01-01T00:00:00Z", "seq_id": None},
    "usage": {"message_type": "usage_statistics", "total_tokens": 1},
}
"""Events of a stream. All but pings consume a sequence number."""


def events_of(kinds: Sequence[str]) -> tuple[list[dict[str, Any]], int]:
    """Return a stream's events, and the number of the one that would follow them."""
    found, number = [], 1
    for kind in kinds:
        event = dict(KINDS[kind])
        if event.get("seq_id") is int:
            event["seq_id"] = number
        found.append(event)
        number += kind != "ping"
    return found, number


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([*KINDS]), min_size=1, max_size=25), st.sampled_from([1, 2, 7]), st.integers(40, 4000))
@example(["message"] * 12 + ["newer field"] * 3 + ["message"], 1, 4000)
@example(["message", "ping", "message", "message", "unknown", "message", "numbered", "message"], 7, 4000)
def check_stream(driver: ClientDriver, kinds: list[str], missing: int, size: int) -> None:
    """Check the events of a stream, and the gap before its last event."""
    events, following = events_of(["numbered", *kinds])
    last = {**KINDS["message"], "seq_id": following + missing}
    body = sse(*events, last)
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    client = driver.client(lambda _: event_stream(chunks))
    stream = driver.run(client.conversations.messages.create(CONVERSATION, input="hi"))
    found, fault = driver.drain(stream)
    assert found == [stream_event_from_dict(event) for event in events]
    assert [event.to_dict() for event in found] == [stream_event_from_dict(event).to_dict() for event in events]
    assert isinstance(fault, StreamInterrupted)
    assert fault.gap == (following, following + missing - 1)
    assert fault.run_id == RUN


def test_events_of_any_kind_are_returned_and_counted(driver: ClientDriver) -> None:
    """Events of all kinds are returned in order, and each consumes a sequence number, unless it is a ping."""
    check_stream(driver)

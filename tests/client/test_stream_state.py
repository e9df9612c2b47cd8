"""The state of a stream, derived from its events without a connection."""

from __future__ import annotations

import json
from typing import Any

import pytest

from letta_api.models import AssistantMessage
from letta_api.unions import stream_event_from_json
from letta_ext import StreamTimeoutError
from letta_ext._streaming.sequence import StreamState
from letta_ext._streaming.sse import ServerSentEvent
from letta_ext.limits import StreamLimits

from ..bench.counting import instructions

INSTANT = "2026-11-23T07:47:29+00:00"


class Clock:
    """A clock that is set by the test."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def message(**more: Any) -> bytes:
    kind = {"message_type": "assistant_message", "id": "m", "date": INSTANT, "content": "hi"}
    return json.dumps({**kind, **more}).encode()


def ping(**more: Any) -> bytes:
    return json.dumps({"message_type": "ping", "id": "p", "date": INSTANT, **more}).encode()


def state(clock: Clock, **limits: Any) -> StreamState:
    return StreamState(
        stream_event_from_json, "[DONE]", "conversations.messages.stream", None, StreamLimits(clock=clock, **limits)
    )


def test_numbered_ping_does_not_reset_idle_limit() -> None:
    """A ping with a sequence number does not reset the idle limit."""
    clock = Clock()
    stream = state(clock, idle=5.0)
    stream.receive(message(run_id="r"))
    stream.check_timeouts()
    clock.now = 4.0
    stream.receive(ping(seq_id=2))
    stream.check_timeouts()
    clock.now = 8.0
    with pytest.raises(StreamTimeoutError, match="nothing but pings"):
        stream.check_timeouts()


def test_event_between_numbered_pings_resets_idle_limit() -> None:
    """An event between numbered pings resets the idle limit."""
    clock = Clock()
    stream = state(clock, idle=5.0)
    stream.receive(message(run_id="r"))
    stream.check_timeouts()
    stream.receive(ping(seq_id=2))
    stream.check_timeouts()
    clock.now = 4.0
    stream.receive(message(run_id="r"))
    stream.receive(ping(seq_id=4))
    stream.check_timeouts()
    clock.now = 8.0
    stream.check_timeouts()


@pytest.mark.parametrize("framed", [bytes, lambda data: ServerSentEvent(data.decode("utf-8", "replace"), id="1")])
def test_invalid_utf8_is_replaced_in_both_framings(framed: Any) -> None:
    """Invalid UTF-8 becomes U+FFFD, with or without an event name."""
    event = state(Clock()).receive(framed(message().replace(b"hi", b"h\xff")))
    assert isinstance(event, AssistantMessage)
    assert event.content == "h\ufffd"


@pytest.mark.slow
def test_event_without_run_id_is_not_converted_to_dict() -> None:
    """Looking for a missing run id costs less than a conversion of the event."""

    def cost(data: bytes) -> int:
        stream = state(Clock())
        stream.receive(data)
        return instructions(lambda: stream.receive(data))

    event: Any = state(Clock()).receive(message())
    for without_run_id in (message(), message(run_id=None)):
        assert cost(without_run_id) - cost(message(run_id="r")) < instructions(event.to_dict)

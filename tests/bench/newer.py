"""Objects of a server that is newer by one field, and decoders without the fields that a process has learned."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from letta_api.api.conversations_messages import conversations_messages_list
from letta_api.api.steps import steps_list
from letta_api.learned_fields import LEARNED
from letta_api.models import LettaResponse, Step
from letta_api.unions import stream_event_from_json

from . import bodies

READERS: Final[list[tuple[str, Callable[[bytes], object], bytes]]] = [
    ("an event", stream_event_from_json, bodies.delta()),
    ("a step", Step.from_json, bodies.recorded("step_retrieve")),
    ("the messages of a page", conversations_messages_list.read_response, bodies.recorded("list_asc")),
    ("the steps of a page", steps_list.read_response, bodies.steps_after(None, 10, 10)),
    ("a response", LettaResponse.from_json, bodies.recorded("send_json")),
]
"""Decoders of JSON text, each with its name and a text."""


def with_field(text: bytes, name: str) -> bytes:
    """Return the text of an object, or of each object of an array, with another field."""
    value: Any = json.loads(text)
    objects: Any = [{**each, name: None} for each in value] if isinstance(value, list) else {**value, name: None}
    return json.dumps(objects).encode()


def forget_learned_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the decoders decode documented fields alone, as in a new process."""
    for name, value in (("_keys", {}), ("_searches", 0), ("version", object())):
        monkeypatch.setattr(LEARNED, name, value)
    for _, read, text in READERS:
        read(with_field(text, "a key that is not learned"))  # creates the structs of the decoder again

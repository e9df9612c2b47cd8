"""Unknown members of unions have the common fields of the known ones, so that loops survive a newer server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_api import unions
from letta_api.model import Model, Unknown
from letta_api.unions import Message, UnknownMessage, message_from_dict, stream_event_from_dict

NEW = {
    "id": "message-1",
    "message_type": "hologram_message",
    "date": "2026-01-01T00:00:00Z",
    "otid": "otid-1",
    "run_id": "run-1",
    "seq_id": 7,
    "beam": [1],
}
FIELDS = ("message_type", "id", "date", "otid", "run_id", "seq_id")
JSON: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.just({})
)


@pytest.mark.parametrize("decode", [message_from_dict, stream_event_from_dict])
def test_unknown_message_has_the_received_fields(decode: Any) -> None:
    """A message or event of an unknown type has the fields of messages."""
    message = decode(NEW)
    assert isinstance(message, Unknown)
    values = [getattr(message, name) for name in FIELDS]
    assert values == ["hologram_message", "message-1", datetime(2026, 1, 1, tzinfo=UTC), "otid-1", "run-1", 7]
    assert message.to_dict() == message.model_dump(mode="json", exclude_none=True) == dict(message) == NEW
    assert json.loads(message.to_json(indent=2)) == json.loads(message.model_dump_json()) == NEW


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)) | JSON)
def test_malformed_field_of_unknown_message_is_none(raw: Any) -> None:
    """A field that is missing or of another type reads as None, and never raises."""
    message = UnknownMessage(raw, "is malformed")
    types = {"date": datetime, "seq_id": int}
    for name in FIELDS:
        value = getattr(message, name)
        assert value is None or type(value) is types.get(name, str)
        if isinstance(raw, dict) and type(raw.get(name)) is types.get(name, str) and name != "message_type":
            assert value == raw[name]


def test_discriminator_of_malformed_member_is_none() -> None:
    """A known tag selects members of its class only: a malformed message has no tag."""
    message = message_from_dict({"id": "message-1", "message_type": "assistant_message"})
    assert isinstance(message, UnknownMessage)
    assert message.message_type is None
    assert message.id == "message-1"
    assert message.raw["message_type"] == "assistant_message"


def test_every_known_member_has_the_common_fields() -> None:
    """The fields that a loop can read from any member of `Message` are fields of all of them."""
    known = [cls for cls in get_args(Message) if issubclass(cls, Model)]
    assert len(known) == 11
    for cls in known:
        assert {*FIELDS} <= {name for name, _, _ in cls._field_table.values()}, cls


def test_loop_over_messages_survives_a_newer_server() -> None:
    """The usual loop handles an unknown and a malformed message without a check for either."""
    lines = []
    for data in ({**NEW, "message_type": "assistant_message", "content": "hi"}, NEW, {"message_type": "user_message"}):
        message: Any = message_from_dict(data)
        if message.message_type in ("assistant_message", "user_message"):
            lines.append(message.content)
        else:
            lines.append(f"{message.message_type} {message.id} {message.date} {message.to_json()[:2]}")
    assert lines == ["hi", 'hologram_message message-1 2026-01-01 00:00:00+00:00 {"', 'None None None {"']


def test_each_unknown_class_has_its_tag() -> None:
    """Each union with a tag has an unknown class that reads the tag."""
    checked = 0
    for name in dir(unions):
        cls = getattr(unions, name)
        if isinstance(cls, type) and issubclass(cls, Unknown):
            tags = [tag for tag in ("message_type", "type", "role", "provider_type") if hasattr(cls, tag)]
            assert tags, cls
            assert [getattr(cls({tag: "newest"}, "is new"), tag) for tag in tags] == ["newest"] * len(tags), cls
            checked += 1
    assert checked >= 10

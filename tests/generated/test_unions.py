"""Members are selected by tag or shape; unknown and malformed ones become `Unknown…` with the reason."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_api import unions
from letta_api.errors import DecodeError
from letta_api.model import Model, Unknown
from letta_api.models import (
    AssistantMessage,
    EventMessage,
    LettaResponse,
    SummaryMessage,
    TextContent,
    ToolCall,
    ToolCallDelta,
    ToolCallMessage,
    UserMessage,
)
from letta_api.unions import (
    UnknownContentPart,
    UnknownMessage,
    UnknownStreamEvent,
    assistant_message_content_from_dict,
    message_from_dict,
    message_from_json,
    stream_event_from_dict,
    tool_call_message_tool_calls_from_dict,
    tool_call_or_delta_from_dict,
)

from .recorded import spelt_alike

SOUND = {"id": "m", "date": "2026-11-23T07:47:30+00:00", "message_type": "assistant_message", "content": "hi"}

CALL = {"name": "f", "arguments": "{}", "tool_call_id": "c"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({**SOUND, "message_type": "hologram"}, "message_type 'hologram' is not known"),
        ({k: v for k, v in SOUND.items() if k != "message_type"}, "has no message_type"),
        ({**SOUND, "message_type": None}, "message_type None is not known"),
        ({**SOUND, "message_type": 7}, "message_type 7 is not known"),
        ({**SOUND, "message_type": ["assistant_message"]}, "is not known"),
        ({**SOUND, "message_type": {}}, "message_type {} is not known"),
        ({**SOUND, "date": "yesterday"}, "date: cannot be decoded"),
        ({**SOUND, "date": None}, "date: cannot be decoded"),
        ({k: v for k, v in SOUND.items() if k != "id"}, "id: is required and missing"),
        ({**SOUND, "message_type": "tool_call_message", "tool_call": []}, "tool_call: "),
        ({}, "has no message_type"),
        ("text", "is a string, not an object"),
        ([], "is an array, not an object"),
        (None, "is null, not an object"),
        (3.5, "is a number, not an object"),
        (True, "is a boolean, not an object"),
    ],
)
@pytest.mark.parametrize(
    ("decode", "unknown"), [(message_from_dict, UnknownMessage), (stream_event_from_dict, UnknownStreamEvent)]
)
def test_unknown_or_malformed_member_decodes_to_unknown(
    decode: Any, unknown: type[Unknown], value: Any, reason: str
) -> None:
    """An unknown or malformed member decodes to Unknown with the raw value and a reason."""
    found = decode(value)
    assert type(found) is unknown
    assert found.raw is value
    assert reason in found.reason
    assert found.to_dict() == value


def test_unknown_member_pickles_and_copies() -> None:
    """An unknown member survives pickling and copying."""
    found = message_from_dict({"message_type": "hologram", "x": [1]})
    assert pickle.loads(pickle.dumps(found)) == found
    assert copy.deepcopy(found) == found


def test_unknown_message_does_not_affect_others() -> None:
    """An unknown message does not affect the other messages of a response."""
    data = {
        "messages": [SOUND, {"message_type": "hologram"}, {**SOUND, "message_type": "user_message"}, 5],
        "stop_reason": {"message_type": "stop_reason", "stop_reason": "end_turn"},
        "usage": {"message_type": "usage_statistics"},
    }
    response = LettaResponse.from_dict(data)
    assert [type(each) for each in response.messages] == [AssistantMessage, UnknownMessage, UserMessage, UnknownMessage]
    assert response.to_dict() == data


@pytest.mark.parametrize(("tag", "model"), [("summary", SummaryMessage), ("event", EventMessage)])
def test_earlier_tag_selects_same_member(tag: str, model: type[Model]) -> None:
    """An earlier tag selects the same member and round-trips."""
    value = {**SOUND, "message_type": tag, "summary": "s", "event_type": "compaction", "event_data": {}}
    for decode in (message_from_dict, stream_event_from_dict):
        found = decode(value)
        assert type(found) is model
        assert found.to_dict() == value


@pytest.mark.parametrize(
    ("value", "model"),
    [
        ({"name": "f", "arguments": "{}", "tool_call_id": "c"}, ToolCall),
        ({"name": "f", "arguments": "{}", "tool_call_id": "c", "more": 1}, ToolCall),
        ({"name": "f", "arguments": "{}", "tool_call_id": None}, ToolCallDelta),
        ({"name": "f", "arguments": None, "tool_call_id": "c"}, ToolCallDelta),
        ({"arguments": "{"}, ToolCallDelta),
        ({}, ToolCallDelta),
    ],
)
def test_tool_call_without_all_strings_is_delta(value: dict[str, Any], model: type[Model]) -> None:
    """A tool call without all three strings decodes to ToolCallDelta."""
    found = tool_call_or_delta_from_dict(value)
    assert type(found) is model
    assert found.to_dict() == value


CALLS = st.dictionaries(st.sampled_from(["name", "arguments", "tool_call_id", "more"]), st.none() | st.text() | JSON)


@given(call=CALLS | JSON, calls=st.lists(CALLS | JSON, max_size=3) | CALLS | JSON)
def test_tool_call_in_text_decodes_like_in_mapping(call: Any, calls: Any) -> None:
    """Tool calls in JSON text select the same member, or the same reason, as in a mapping."""
    value = {**SOUND, "message_type": "tool_call_message", "tool_call": call, "tool_calls": calls}
    found, expected = message_from_json(json.dumps(value)), message_from_dict(value)
    assert found == expected
    if isinstance(found, ToolCallMessage) and isinstance(expected, ToolCallMessage):
        assert type(found.tool_call) is type(expected.tool_call)
        assert found.to_dict() == value


@pytest.mark.parametrize(
    "fields",
    [
        {"message_type": "tool_call_message", "tool_call": CALL},
        {"message_type": "tool_call_message", "tool_call": {"arguments": "{"}, "tool_calls": {"arguments": "{"}},
        {"message_type": "tool_call_message", "tool_call": {}, "tool_calls": [{**CALL, "arguments": "{"}]},
        {"content": [{"type": "text", "text": "hi"}]},
        {"message_type": "user_message", "content": [{"type": "text", "text": "hi"}]},
    ],
)
def test_member_without_tag_takes_the_fast_path(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Text with members that are selected by their JSON type or their strings needs no fallback."""
    pytest.importorskip("msgspec")
    text, expected = json.dumps({**SOUND, **fields}), message_from_dict({**SOUND, **fields})
    message_from_json(text)  # the first use compiles the structs

    def fall_back(data: Any) -> Any:
        raise AssertionError(f"the fallback decodes {data}")

    for model in (TextContent, ToolCall, ToolCallDelta):
        monkeypatch.setattr(model, "_from_object", fall_back)
    assert message_from_json(text) == expected


def test_content_decodes_text_or_parts() -> None:
    """Content is text or a list of parts; an invalid part raises with its path."""
    assert assistant_message_content_from_dict("hi") == "hi"
    parts = assistant_message_content_from_dict([{"type": "text", "text": "hi"}])
    assert [type(part) for part in parts] == [TextContent]
    with pytest.raises(DecodeError) as caught:
        assistant_message_content_from_dict([{"type": "text", "text": "hi"}, {"type": "smell", "text": ""}])
    assert caught.value.path == "[1].type"
    with pytest.raises(TypeError, match="matches no member of AssistantMessageContent"):
        assistant_message_content_from_dict(5)


def test_malformed_array_item_is_named_by_index() -> None:
    """The error of a malformed array item names its index."""
    calls = [{"name": "f", "arguments": "", "tool_call_id": "c"}, "no call"]
    with pytest.raises(DecodeError) as caught:
        tool_call_message_tool_calls_from_dict(calls)
    assert caught.value.path == "[1]"
    message = {**SOUND, "message_type": "tool_call_message", "tool_call": calls[0], "tool_calls": calls}
    found = message_from_dict(message)
    assert isinstance(found, UnknownMessage)
    assert found.reason.startswith("tool_calls[1]: is a string, not an object")


def test_each_union_has_unknown_class() -> None:
    """Each union has a separate Unknown class."""
    assert type(unions.content_part_from_dict({"type": "smell"})) is UnknownContentPart
    assert type(unions.image_source_from_dict({"type": "smell"})) is unions.UnknownImageSource


@given(JSON)
def test_tagged_union_accepts_any_json(value: Any) -> None:
    """A tagged union keeps any JSON value and never raises."""
    for decode in (message_from_dict, stream_event_from_dict, unions.content_part_from_dict):
        found = decode(value)
        assert isinstance(found, Unknown)
        assert found.to_dict() is value


@given(
    tag=st.sampled_from(sorted(unions.stream_event_from_dict.__globals__["DECODERS"])),
    rest=st.dictionaries(st.text(), JSON, max_size=5),
)
def test_tagged_union_with_known_tag_accepts_any_fields(tag: str, rest: dict[str, Any]) -> None:
    """A known tag with any fields never raises and round-trips."""
    value = {**SOUND, **rest, "message_type": tag}
    found = stream_event_from_dict(value)
    assert json.dumps(spelt_alike(found.to_dict())) is not None
    assert spelt_alike(found.to_dict()) == spelt_alike(value)


def test_decoder_tables_have_every_tag() -> None:
    """The stream events add four tags to those of messages."""
    module = Path(str(unions.__file__)).parent
    assert {path.stem for path in module.glob("*.py")} >= {"message", "stream_event", "content_part"}
    tables = {
        name: decode.__globals__["DECODERS"]
        for name, decode in (("m", message_from_dict), ("e", stream_event_from_dict))
    }
    assert set(tables["m"]) < set(tables["e"])
    assert set(tables["e"]) - set(tables["m"]) == {"ping", "error_message", "stop_reason", "usage_statistics"}

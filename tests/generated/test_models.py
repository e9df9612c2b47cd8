"""What every model does: presence, assignment, unknown fields, equality, pickling, copying, errors with a path."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from letta_api.errors import DecodeError
from letta_api.models import (
    AssistantMessage,
    EventMessage,
    LettaResponse,
    ProviderTrace,
    Step,
    SummaryMessage,
    TextContent,
    ToolCallMessage,
)

MESSAGE = {"id": "message-1", "date": "2026-11-23T07:47:30+00:00", "content": "hello"}
TAGGED = {**MESSAGE, "message_type": "assistant_message"}


def full(**changed: Any) -> dict[str, Any]:
    """An assistant message with all of its keys, which is what servers send and the fast path reads."""
    absent: dict[str, Any] = dict.fromkeys(("name", "otid", "sender_id", "step_id", "is_err", "seq_id", "run_id"))
    return TAGGED | absent | changed


def test_absent_field_reads_as_none_and_stays_absent() -> None:
    """An absent field reads as None and is not encoded."""
    message = AssistantMessage.from_dict(MESSAGE)
    assert message.otid is None
    assert message.message_type == "assistant_message"
    assert message.fields_set == {"id", "date", "content"}
    assert message.to_dict() == MESSAGE


def test_null_field_stays_present() -> None:
    """A field that is null is present and encoded as null."""
    message = AssistantMessage.from_dict({**MESSAGE, "otid": None})
    assert message.otid is None
    assert "otid" in message.fields_set
    assert message.to_dict() == {**MESSAGE, "otid": None}


def test_assignment_sets_and_deletion_unsets_field() -> None:
    """Assignment makes a field present and deletion makes it absent."""
    message = AssistantMessage.from_dict(MESSAGE)
    message.otid = None
    assert message.to_dict()["otid"] is None
    message.otid = "o-1"
    assert message.to_dict() == {**MESSAGE, "otid": "o-1"}
    del message.otid
    assert message.to_dict() == MESSAGE


def test_constructor_accepts_only_known_keywords() -> None:
    """The constructor rejects unknown and positional arguments; attributes cannot be added."""
    message = AssistantMessage(id="message-1", date=datetime(2026, 11, 23, 7, 47, 30, tzinfo=UTC), content="hello")
    assert message.fields_set == {"id", "date", "content", "message_type"}
    assert message.to_dict() == TAGGED
    with pytest.raises(TypeError, match="otidd"):
        AssistantMessage(id="m", date=message.date, content="", otidd="x")  # type: ignore[call-arg]  # invalid on purpose
    with pytest.raises(TypeError):
        AssistantMessage("m")  # type: ignore[call-arg]  # invalid on purpose
    with pytest.raises(AttributeError):
        message.otidd = "x"  # type: ignore[attr-defined]  # invalid on purpose
    with pytest.raises(AttributeError, match="otidd"):
        _ = message.otidd  # type: ignore[attr-defined]  # invalid on purpose


@pytest.mark.parametrize("data", [MESSAGE, TAGGED, full(), full(organization_id="org-1"), {**MESSAGE, "x": {"y": [1]}}])
def test_model_round_trips(data: dict[str, Any]) -> None:
    """Mappings and JSON text round-trip unchanged."""
    assert AssistantMessage.from_dict(data).to_dict() == data
    assert AssistantMessage.from_json(json.dumps(data)).to_dict() == data
    assert json.loads(AssistantMessage.from_dict(data).to_json()) == data


@pytest.mark.parametrize("base", [MESSAGE, full()])
def test_unknown_fields_round_trip(base: dict[str, Any]) -> None:
    """Unknown fields are in extra_fields and are encoded."""
    message = AssistantMessage.from_dict({**base, "organization_id": "org-1", "zeta": None})
    assert message.extra_fields == {"organization_id": "org-1", "zeta": None}
    assert message.to_dict() == {**base, "organization_id": "org-1", "zeta": None}


def test_extra_fields_is_a_copy() -> None:
    """A change of extra_fields does not change the model."""
    message = AssistantMessage.from_dict({**MESSAGE, "x": 1})
    extra = message.extra_fields
    assert isinstance(extra, dict)
    extra["x"] = 2
    assert message.to_dict()["x"] == 1


@pytest.mark.parametrize(
    ("model", "earlier", "now"),
    [(SummaryMessage, "summary", "summary_message"), (EventMessage, "event", "event_message")],
)
def test_earlier_tag_decodes_and_round_trips(model: Any, earlier: str, now: str) -> None:
    """An earlier tag value decodes to the same class and round-trips unchanged."""
    data: dict[str, Any] = {"id": "m", "date": MESSAGE["date"], "message_type": earlier, "summary": "s"}
    if model is EventMessage:
        data |= {"event_type": "compaction", "event_data": {}}
        del data["summary"]
    read = model.from_dict(data)
    assert read.message_type == now
    assert read.extra_fields == {}
    assert read.to_dict() == data
    assert copy.copy(read).to_dict() == data
    assert model.from_dict({**data, "message_type": now}).to_dict()["message_type"] == now


@pytest.mark.parametrize("data", [MESSAGE, full(), full(x=[1]), {**MESSAGE, "otid": None}])
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copy_is_equal_and_independent(data: dict[str, Any], duplicate: Any) -> None:
    """A copy is equal, has the same fields set and is independent."""
    message = AssistantMessage.from_dict(data)
    other = duplicate(message)
    assert other == message
    assert other.fields_set == message.fields_set
    assert other.to_dict() == data
    other.content = "changed"
    assert message.content == "hello"


def test_deep_copy_is_independent() -> None:
    """A change of a deep copy does not change the original."""
    response = LettaResponse.from_dict(
        {
            "messages": [full()],
            "stop_reason": {"message_type": "stop_reason", "stop_reason": "end_turn"},
            "usage": {"message_type": "usage_statistics"},
        }
    )
    other = copy.deepcopy(response)
    other.messages.clear()
    assert len(response.messages) == 1


def test_equality_treats_absent_as_null() -> None:
    """Models with an absent and a null field are equal; models are not hashable."""
    absent, null = AssistantMessage.from_dict(MESSAGE), AssistantMessage.from_dict({**MESSAGE, "otid": None})
    assert absent == null
    assert absent != AssistantMessage.from_dict({**MESSAGE, "otid": "o"})
    assert absent != AssistantMessage.from_dict({**MESSAGE, "x": 1})
    assert absent != MESSAGE
    with pytest.raises(TypeError, match="unhashable"):
        hash(absent)


def test_repr_omits_null_fields() -> None:
    """The repr omits fields that are null."""
    text = repr(TextContent.from_dict({"type": "text", "text": "hi"}))
    assert text == "TextContent(text='hi', type='text')"
    assert "otid" not in repr(AssistantMessage.from_dict({**MESSAGE, "otid": None}))


def test_date_time_decodes_to_aware_datetime() -> None:
    """Each date-time decodes to an aware datetime; one without offset is UTC."""
    assert AssistantMessage.from_dict(MESSAGE).date == datetime(2026, 11, 23, 7, 47, 30, tzinfo=UTC)
    other = AssistantMessage.from_dict({**MESSAGE, "date": "2026-11-23T07:47:30-02:00"}).date
    assert other.tzinfo == timezone(timedelta(hours=-2))
    assert AssistantMessage.from_dict({**MESSAGE, "date": "2026-11-23T07:47:30"}).date.tzinfo is UTC
    assert AssistantMessage.from_dict({**MESSAGE, "date": "2026-11-23T07:47:30.5Z"}).date.microsecond == 500_000


def test_enum_accepts_unknown_values() -> None:
    """An enum field accepts unknown values as strings."""
    assert Step.from_dict({"id": "step-1", "status": "paused", "stop_reason": "bored"}).status == "paused"


@pytest.mark.parametrize(
    ("model", "data", "path", "reason"),
    [
        (AssistantMessage, {"date": MESSAGE["date"], "content": ""}, "id", "required and missing"),
        (AssistantMessage, {**MESSAGE, "date": "yesterday"}, "date", "cannot be decoded"),
        (AssistantMessage, full(date=5), "date", "cannot be decoded"),
        (AssistantMessage, {**MESSAGE, "message_type": "user_message"}, "message_type", "not 'assistant_message'"),
        (
            AssistantMessage,
            {**MESSAGE, "message_type": ["assistant_message"]},
            "message_type",
            "not 'assistant_message'",
        ),
        (AssistantMessage, [], "", "an array, not an object"),
        (AssistantMessage, None, "", "null, not an object"),
        (AssistantMessage, "x", "", "a string, not an object"),
        (
            SummaryMessage,
            {**MESSAGE, "summary": "", "compaction_stats": {}},
            "compaction_stats.",
            "required and missing",
        ),
        (ToolCallMessage, {**MESSAGE, "tool_call": 1}, "tool_call", "matches no member of ToolCallOrDelta"),
        (LettaResponse, {"messages": {}, "stop_reason": {}, "usage": {}}, "messages", "an object, not an array"),
        (LettaResponse, {"messages": [], "stop_reason": {}, "usage": {}}, "stop_reason.stop_reason", "required"),
    ],
)
def test_decode_error_names_path_and_reason(model: Any, data: Any, path: str, reason: str) -> None:
    """A DecodeError has the path and reason and survives pickling."""
    with pytest.raises(DecodeError) as caught:
        model.from_dict(data)
    assert caught.value.path.startswith(path)
    assert (caught.value.path == "") == (path == "")
    assert reason in caught.value.reason
    assert str(caught.value) == (f"{caught.value.path}: {caught.value.reason}" if path else caught.value.reason)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.path, again.reason) == (caught.value.path, caught.value.reason)


def test_decode_error_in_nested_value_names_full_path() -> None:
    """The error path names every index and key."""
    turns = [{"role": "assistant", "output_ids": [1]}, {"role": "assistant", "content": {"a": 1}}, {}]
    data = {"messages": [], "stop_reason": {"stop_reason": "end_turn"}, "usage": {}, "turns": turns}
    with pytest.raises(DecodeError) as caught:
        LettaResponse.from_dict(data)
    assert caught.value.path == "turns[2].role"


def test_invalid_json_raises_decode_error() -> None:
    """Text that is not JSON raises DecodeError."""
    with pytest.raises(DecodeError, match="is not JSON"):
        Step.from_json("{")
    with pytest.raises(DecodeError, match="is not JSON"):
        Step.from_json(b"\xff\xfe\x00")


def test_free_map_stays_unchanged() -> None:
    """The values of a free map are not decoded."""
    data = {"request_json": {"type": "x", "nested": {"date": "2026"}}, "response_json": {}}
    base = {"id": "provider_trace-1", "created_at": "2026-11-23T07:48:07.503896Z"}
    trace = ProviderTrace.from_dict(base | data)
    assert trace.request_json == data["request_json"]

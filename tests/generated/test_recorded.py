"""Recorded values decode to the right classes and round-trip."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from letta_api.model import Model, Unknown, to_json_value
from letta_api.unions import error_detail_or_model_error_from_dict, stream_event_from_dict

from .recorded import Recording, recordings, spelt_alike

RESPONSES = [each for each in recordings() if each.status == 200]
STREAMED = [each for each in RESPONSES if each.streamed]
REJECTED = [each for each in recordings() if each.status >= 400]

CLASSES = {
    "ping": "LettaPing",
    "stop_reason": "LettaStopReason",
    "usage_statistics": "LettaUsageStatistics",
    "error_message": "LettaErrorMessage",
}


def decoded(recording: Recording) -> list[Any]:
    decode = recording.module.decode_event if recording.streamed else recording.module.decode_response
    return [decode(value) for value in recording.values]


def nested_values(value: Any) -> list[Any]:
    """Return the value and all nested values, including those of models."""
    if isinstance(value, Model):
        return [value, *(part for name in value.fields_set for part in nested_values(getattr(value, name)))]
    if isinstance(value, list):
        return [value, *(part for item in value for part in nested_values(item))]
    if isinstance(value, dict):
        return [value, *(part for item in value.values() for part in nested_values(item))]
    return [value]


@pytest.mark.parametrize("recording", RESPONSES, ids=lambda each: each.name)
def test_recorded_value_round_trips(recording: Recording) -> None:
    """A recorded value round-trips unchanged."""
    for value, model in zip(recording.values, decoded(recording), strict=True):
        assert spelt_alike(to_json_value(model)) == spelt_alike(value)


@pytest.mark.parametrize("recording", RESPONSES, ids=lambda each: each.name)
def test_recorded_value_has_no_unknown_members(recording: Recording) -> None:
    """No recorded value decodes to an Unknown member."""
    assert [part for part in nested_values(decoded(recording)) if isinstance(part, Unknown)] == []


@pytest.mark.parametrize("recording", STREAMED, ids=lambda each: each.name)
def test_recorded_event_decodes_by_tag(recording: Recording) -> None:
    """Each recorded event decodes to the class of its tag."""
    for value, event in zip(recording.values, decoded(recording), strict=True):
        tag = value["message_type"]
        assert type(event).__name__ == CLASSES.get(tag, "".join(word.capitalize() for word in tag.split("_")))


def test_recordings_cover_event_types() -> None:
    """The recordings cover at least nine event types."""
    tags = Counter(value["message_type"] for each in STREAMED for value in each.values)
    assert len(tags) >= 9, tags


@pytest.mark.parametrize("recording", REJECTED, ids=lambda each: each.name)
def test_recorded_error_body_round_trips(recording: Recording) -> None:
    """A recorded error body round-trips unchanged."""
    for value in recording.values:
        if recording.status == 409:
            continue  # its two forms have a separate model
        assert to_json_value(error_detail_or_model_error_from_dict(value)) == value


def test_stream_event_from_dict_round_trips() -> None:
    """stream_event_from_dict decodes a recorded event that round-trips."""
    event = next(v for each in STREAMED for v in each.values if v["message_type"] == "assistant_message")
    assert spelt_alike(to_json_value(stream_event_from_dict(event))) == spelt_alike(event)

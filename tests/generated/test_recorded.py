"""Everything the server was seen to send decodes to the right classes, and is given back as it came."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from letta_api.model import Model, Unknown, to_json_value
from letta_api.unions import error_detail_or_model_error_from_dict, stream_event_from_dict

from .recorded import Recording, recordings, spelt_alike

ANSWERED = [each for each in recordings() if each.status == 200]
STREAMED = [each for each in ANSWERED if each.streamed]
FALLBACK_ERRORS = [each for each in recordings() if each.status >= 400]

CLASSES = {
    "ping": "LettaPing",
    "stop_reason": "LettaStopReason",
    "usage_statistics": "LettaUsageStatistics",
    "error_message": "LettaErrorMessage",
}


def decoded(recording: Recording) -> list[Any]:
    decode = recording.module.decode_event if recording.streamed else recording.module.decode_response
    return [decode(value) for value in recording.values]


def inside(value: Any) -> list[Any]:
    """The value and everything in it, models opened."""
    if isinstance(value, Model):
        return [value, *(part for name in value.fields_set for part in inside(getattr(value, name)))]
    if isinstance(value, list):
        return [value, *(part for item in value for part in inside(item))]
    if isinstance(value, dict):
        return [value, *(part for item in value.values() for part in inside(item))]
    return [value]


@pytest.mark.parametrize("recording", ANSWERED, ids=lambda each: each.name)
def test_what_was_received_is_given_back(recording: Recording) -> None:
    for value, model in zip(recording.values, decoded(recording), strict=True):
        assert spelt_alike(to_json_value(model)) == spelt_alike(value)


@pytest.mark.parametrize("recording", ANSWERED, ids=lambda each: each.name)
def test_nothing_known_comes_out_unknown(recording: Recording) -> None:
    assert [part for part in inside(decoded(recording)) if isinstance(part, Unknown)] == []


@pytest.mark.parametrize("recording", STREAMED, ids=lambda each: each.name)
def test_each_event_has_the_class_of_its_tag(recording: Recording) -> None:
    for value, event in zip(recording.values, decoded(recording), strict=True):
        tag = value["message_type"]
        assert type(event).__name__ == CLASSES.get(tag, "".join(word.capitalize() for word in tag.split("_")))


def test_the_recordings_hold_most_kinds_of_events() -> None:
    tags = Counter(value["message_type"] for each in STREAMED for value in each.values)
    assert len(tags) >= 9, tags


@pytest.mark.parametrize("recording", FALLBACK_ERRORS, ids=lambda each: each.name)
def test_what_was_refused_is_given_back(recording: Recording) -> None:
    for value in recording.values:
        if recording.status == 409:
            continue  # its two forms have a model of their own
        assert to_json_value(error_detail_or_model_error_from_dict(value)) == value


def test_a_streamed_event_is_decoded_by_one_function() -> None:
    event = next(v for each in STREAMED for v in each.values if v["message_type"] == "assistant_message")
    assert spelt_alike(to_json_value(stream_event_from_dict(event))) == spelt_alike(event)

"""Undocumented fields: kept and written back, decoded once by the fallback and then by the fast path."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_api.api.conversations_messages import conversations_messages_list
from letta_api.api.steps import steps_list
from letta_api.learned_fields import LEARNED, MAX_KEYS, MAX_SEARCHES
from letta_api.model import is_array, is_object, to_json_value
from letta_api.models import AssistantMessage, ChoiceLogprobs, LettaResponse, Step
from letta_api.unions import (
    message_from_dict,
    stream_event_from_dict,
    stream_event_from_json,
)
from tests.generated.recorded import RECORDINGS

pytest.importorskip("msgspec", reason="without it, the fallback decodes all text")

EVENT: Final[dict[str, Any]] = {
    "id": "message-1", "date": "2026-11-23T07:47:29+00:00", "message_type": "assistant_message",
    "content": [{"type": "text", "text": "Hello"}],
}  # fmt: skip
STEP: Final[dict[str, Any]] = json.loads((RECORDINGS / "step_retrieve.body").read_bytes())
RESPONSE: Final[dict[str, Any]] = json.loads((RECORDINGS / "send_json.body").read_bytes()) | {
    "logprobs": {"content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}], "refusal": None}
}
SAMPLES: Final[list[Any]] = [None, True, 7, 0.5, "text", [1, {"a": None}], {"nested": [{}]}]
VALUES: Final[st.SearchStrategy[Any]] = st.sampled_from(SAMPLES)
KEYS = st.sampled_from(["newer_a", "newer_b", "id2", "x-odd key", "ü", "_learned0", "_extra", "self", "struct"])
MODULES = ("structs", "compiled_decoders", "model")


@pytest.fixture(autouse=True)
def _nothing_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without the fields that other tests have sent."""
    monkeypatch.setattr(LEARNED, "_keys", {})
    monkeypatch.setattr(LEARNED, "_searches", 0)
    monkeypatch.setattr(LEARNED, "version", object())


def refuse_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise an error if the fallback is used from now on."""

    def refuse(_: str | bytes) -> Any:
        raise AssertionError("fallback used")

    for module in MODULES:
        monkeypatch.setattr(f"letta_api.{module}.parse_json", refuse)


def messages_from_list(page: list[Any]) -> list[Any]:
    """Decode a page of messages by the fallback."""
    return [message_from_dict(each) for each in page]


def steps_from_list(page: list[Any]) -> list[Any]:
    """Decode a page of steps by the fallback."""
    return [Step.from_dict(each) for each in page]


def with_fields(value: Any, fields: dict[str, Any]) -> Any:
    """Return a JSON value with additional fields in each object, at each level."""
    if is_object(value):
        return {key: with_fields(each, fields) for key, each in value.items()} | fields
    return [with_fields(each, fields) for each in value] if is_array(value) else value


@pytest.mark.parametrize(
    ("from_json", "from_dict", "value"),
    [
        pytest.param(stream_event_from_json, stream_event_from_dict, EVENT, id="event"),
        pytest.param(Step.from_json, Step.from_dict, STEP, id="step"),
        pytest.param(LettaResponse.from_json, LettaResponse.from_dict, RESPONSE, id="response"),
        pytest.param(conversations_messages_list.read_response, messages_from_list, [EVENT, EVENT], id="messages"),
        pytest.param(steps_list.read_response, steps_from_list, [STEP, STEP], id="steps"),
    ],
)  # fmt: skip
@given(all_fields=st.lists(st.dictionaries(KEYS, VALUES, max_size=3), min_size=1, max_size=5))
def test_undocumented_fields_are_kept_at_each_level(
    from_json: Callable[[str], Any], from_dict: Callable[[Any], Any], value: Any, all_fields: list[dict[str, Any]]
) -> None:
    """Values with other fields each time equal those of the fallback, and encode to the received JSON."""
    for fields in all_fields:
        sent = with_fields(value, fields)
        found = from_json(json.dumps(sent))
        assert found == from_dict(sent)
        assert to_json_value(found) == sent
        items: list[Any] = found if is_array(found) else [found]
        assert all(each.extra_fields == fields for each in items)


@pytest.mark.parametrize("field", [{"newer_field": None}, {"newer_field": {"a": [1]}, "other_newer": 2}])
def test_second_object_with_an_undocumented_field_takes_the_fast_path(
    field: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first object with a new field is decoded by the fallback: also items of lists, nested and lazy ones."""
    reads: list[tuple[Callable[[str], Any], Any]] = [
        (stream_event_from_json, EVENT),
        (conversations_messages_list.read_response, [EVENT]),
        (steps_list.read_response, [STEP]),
        (Step.from_json, STEP),
        (LettaResponse.from_json, RESPONSE),
        (ChoiceLogprobs.from_json, RESPONSE["logprobs"]),
    ]

    def read_all() -> list[Any]:
        found = [read(json.dumps(with_fields(value, field))) for read, value in reads]
        return [*found, found[-2].logprobs.content[0].extra_fields]

    first = read_all()
    read_all()
    refuse_fallback(monkeypatch)
    assert read_all() == first
    assert first[-1] == field
    assert stream_event_from_json(json.dumps(EVENT)).to_dict() == EVENT


def test_varying_keys_are_not_learned_without_bound() -> None:
    """A server that sends other keys each time costs a bounded number of structs, and loses no field."""
    for number in range(MAX_SEARCHES + MAX_KEYS + 10):
        sent = {**EVENT, f"key_{number}": number}
        assert stream_event_from_json(json.dumps(sent)).to_dict() == sent
    sent = {**STEP, **{f"key_{number}": number for number in range(10 * MAX_KEYS)}}
    assert Step.from_json(json.dumps(sent)).to_dict() == sent
    assert len(LEARNED.keys_of(AssistantMessage)) == MAX_KEYS
    assert len(LEARNED.keys_of(Step)) <= MAX_KEYS


THREADS: Final = """
import json, sys, threading
from letta_api.models import Step
from letta_api.unions import stream_event_from_json

event, step = json.loads(sys.argv[1]), json.loads(open(sys.argv[2]).read())
begin = threading.Barrier(8)

def read(number):
    begin.wait()
    for turn in range(40):
        fields = {f"newer_{turn // 4}": number, f"other_{(turn + number) % 5}": [turn]}
        for decode, value in ((stream_event_from_json, event), (Step.from_json, step)):
            sent = value | fields
            if decode(json.dumps(sent)).to_dict() != sent:
                failures.append((number, turn))

failures = []
threads = [threading.Thread(target=read, args=[number]) for number in range(8)]
for each in threads: each.start()
for each in threads: each.join()
assert not failures, failures
"""


def test_threads_learn_fields_at_the_same_time() -> None:
    """Threads that meet new fields at the same time lose none of them."""
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        "-c",
        THREADS,
        json.dumps(EVENT),
        str(RECORDINGS / "step_retrieve.body"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[2]
    )
    assert (done.returncode, done.stderr) == (0, "")

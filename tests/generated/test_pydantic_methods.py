"""Models have pydantic's methods, with the results that the models of letta-client have."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Literal, TypedDict, cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from letta_client import types as letta_types
from letta_client._models import BaseModel, construct_type
from letta_client.types import agents, conversations, steps

from letta_api.errors import DecodeError
from letta_api.model import Model
from letta_api.models import (
    AgentState,
    AssistantMessage,
    CompactionSettings,
    Conversation,
    InternalMessage,
    Step,
    SummaryMessage,
    TextContent,
)
from letta_api.unions import message_from_dict

from .recorded import recordings, spelt_alike

NAMES = {"StepMetrics": "MetricRetrieveResponse"}
"""The names of models that letta-client calls differently."""

ASSISTANT = {"id": "message-1", "message_type": "assistant_message", "date": "2026-01-01T00:00:00Z", "content": "hi"}


class Options(TypedDict, total=False):
    """The options of `model_dump` that change its result."""

    mode: Literal["json", "python"]
    exclude_none: bool
    exclude_unset: bool
    exclude_defaults: bool
    include: set[str]
    exclude: set[str]


def published(ours: Model, raw: dict[str, Any]) -> BaseModel:
    """Return the model of letta-client for the same JSON."""
    if "message_type" in raw:
        found = construct_type(type_=agents.LettaStreamingResponse, value=raw)
    else:
        name = NAMES.get(type(ours).__name__, type(ours).__name__)
        modules = (letta_types, agents, steps, conversations)
        found = construct_type(type_=next(getattr(m, name) for m in modules if hasattr(m, name)), value=raw)
    assert isinstance(found, BaseModel), (type(ours), raw)
    return found


def pairs() -> Iterator[tuple[Model, BaseModel]]:
    """Yield every recorded model with that of letta-client."""
    for recording in recordings():
        if recording.status == 200:
            module = recording.module
            decode = module.decode_event if recording.streamed else module.decode_response
            for raw in recording.values:
                value = decode(raw)
                for model, data in zip(value, raw, strict=True) if isinstance(value, list) else [(value, raw)]:
                    if isinstance(model, Model):
                        yield model, published(model, data)


PAIRS = list(pairs())
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["json", "python"]),
        "exclude_none": st.booleans(),
        "exclude_unset": st.booleans(),
        "exclude_defaults": st.booleans(),
        "include": st.sets(st.sampled_from(["id", "date", "content", "messages", "usage", "none such"])),
        "exclude": st.sets(st.sampled_from(["id", "date", "content", "messages", "message_type"])),
    },
)


def test_recordings_have_fourteen_classes() -> None:
    """The comparison covers more than 500 models of at least fourteen classes."""
    assert len(PAIRS) > 500
    assert len({type(ours) for ours, _ in PAIRS}) >= 14


@given(st.sampled_from(PAIRS), OPTIONS)
def test_model_dump_equals_that_of_letta_client(pair: tuple[Model, BaseModel], options: dict[str, Any]) -> None:
    """`model_dump` and `model_dump_json` have the result of letta-client's model for any options."""
    ours, theirs = pair
    given = cast(Options, options)
    assert ours.model_dump(**given) == theirs.model_dump(by_alias=True, warnings=False, **given)
    rest: Any = {name: value for name, value in options.items() if name != "mode"}
    assert json.loads(ours.model_dump_json(**rest)) == json.loads(
        theirs.model_dump_json(by_alias=True, warnings=False, **rest)
    )


def test_methods_equal_those_of_letta_client_for_all_recordings() -> None:
    """Fields that are set, extra fields, iteration and `to_dict` are those of letta-client's models."""
    for ours, theirs in PAIRS:
        renamed = {f"api_{name}": name for name in ("model_handle", "model_endpoint", "model_settings")}
        named = {renamed.get(name, name) for name in theirs.model_fields_set}
        extra = theirs.model_extra or {}
        # Undocumented fields that the server always sends are declared here.
        assert ours.model_fields_set | ours.model_extra.keys() == named | extra.keys()
        assert ours.model_fields_set >= named
        assert ours.model_extra.items() <= extra.items()
        assert {name for name, _ in ours} == {renamed.get(name, name) for name, _ in theirs}
        assert ours.to_dict(mode="python") == theirs.to_dict(warnings=False)
        assert spelt_alike(ours.to_dict()) == spelt_alike(theirs.to_dict(mode="json", warnings=False))


def test_model_dump_and_validate_round_trip_for_all_recordings() -> None:
    """A dump in either mode is decoded to an equal model."""
    for ours, _ in PAIRS:
        for mode in ("json", "python"):
            assert type(ours).model_validate(ours.model_dump(mode=mode, exclude_unset=True)) == ours
        assert type(ours).model_validate_json(ours.model_dump_json(exclude_unset=True)) == ours


def test_include_and_exclude_select_nested_fields() -> None:
    """`include` and `exclude` can be mappings that select fields of nested models and items."""
    parts = [TextContent(text="a"), TextContent(text="b")]
    message = AssistantMessage.from_dict({**ASSISTANT, "content": [part.to_dict() for part in parts]})
    dump = message.model_dump
    assert dump(include={"content": {0: {"text"}}}) == {"content": [{"text": "a"}]}
    assert dump(include={"content": {"__all__": {"text"}}}) == {"content": [{"text": "a"}, {"text": "b"}]}
    kept = dump(include={"content"}, exclude={"content": {"__all__": {"signature": True, "type": ...}}})
    assert kept == {"content": [{"text": "a"}, {"text": "b"}]}


def test_model_dump_json_writes_null_for_nan() -> None:
    """Numbers that JSON does not have become null, as in pydantic."""
    step = Step.from_dict({"id": "step-1", "new": [float("nan"), {"a": float("inf")}], "text": "é"})
    assert step.model_dump_json(exclude_none=True) == '{"id":"step-1","new":[null,{"a":null}],"text":"é"}'
    assert step.model_dump_json(indent=1, include={"id"}) == step.to_json(indent=1).partition(",")[0] + "\n}"
    assert '"\\u00e9"' in step.model_dump_json(ensure_ascii=True)


def test_model_dump_refuses_unknown_mode_and_options() -> None:
    """An unknown mode or option is refused."""
    step = Step(id="step-1")
    with pytest.raises(ValueError, match="mode must be 'json' or 'python', got 'xml'"):
        step.model_dump(mode="xml")
    with pytest.raises(TypeError, match="exclude_nones"):
        step.model_dump(exclude_nones=True)  # type: ignore[call-arg]  # the subject


def test_model_copy_updates_fields_and_keeps_the_original() -> None:
    """A copy has the updates; a deep copy shares no value with the original."""
    step = Step.from_dict({"id": "step-1", "tags": ["a"], "new": {"b": 1}})
    copied = step.model_copy(update={"model": "m", "other": 2})
    assert copied.to_dict() == {"id": "step-1", "tags": ["a"], "model": "m", "new": {"b": 1}, "other": 2}
    assert step.to_dict() == {"id": "step-1", "tags": ["a"], "new": {"b": 1}}
    assert copied.tags is step.tags
    deep = step.model_copy(deep=True)
    assert deep == step
    assert deep.tags is not step.tags


def test_copy_replace_keeps_absent_and_unknown_fields() -> None:
    """`copy.replace` of Python 3.13 calls `__replace__`, which is `model_copy(update=…)` as in letta-client."""
    step = Step.from_dict({"id": "step-1", "new": 1})
    assert step.__replace__(model="gpt").to_dict() == {"id": "step-1", "model": "gpt", "new": 1}
    if sys.version_info >= (3, 13):
        from copy import replace

        assert replace(step, model="gpt") == step.__replace__(model="gpt")


def test_model_validate_accepts_decoded_values_and_names_malformed_ones() -> None:
    """`model_validate` accepts JSON, decoded values, a model of the class and, on request, attributes."""
    message = InternalMessage.from_dict({"role": "user", "id": "message-1"})
    step = Step.model_validate({"id": "step-1", "messages": [message, {"role": "system", "id": "m"}]})
    assert step.messages is not None
    assert step.messages[0] == message
    assert step.messages[1].role == "system"
    assert Step.model_validate(step) is step
    assert Step.model_validate(step.model_copy(), from_attributes=True) == step
    with pytest.raises(DecodeError, match=r"messages\[0\]"):
        Step.model_validate({"id": "step-1", "messages": [3]})
    with pytest.raises(DecodeError, match="not an object"):
        Step.model_validate(message)


def test_model_construct_accepts_malformed_and_missing_values() -> None:
    """`model_construct` decodes what it can, keeps the rest, and needs no required fields."""
    values: dict[str, Any] = {**ASSISTANT, "date": "soon", "new": 1}
    message: Any = AssistantMessage.model_construct(None, **values)
    assert (message.date, message.content, message.model_extra) == ("soon", "hi", {"new": 1})
    step: Any = Step.model_construct(messages=[{"role": "user", "id": "m"}])
    assert step.messages == [InternalMessage(role="user", id="m")]
    assert step.id is None
    assert step.to_dict() == {"messages": [{"role": "user", "id": "m"}]}


def test_extra_fields_are_attributes() -> None:
    """A received field that is not documented is an attribute; other names raise the usual error."""
    step: Any = Step.from_dict({"id": "step-1", "new": {"a": 1}, "_repr_html_": 2, "__array__": 3})
    assert step.new == {"a": 1}
    assert deepcopy(step).new == {"a": 1}
    for name in ("newer", "__array__"):
        with pytest.raises(AttributeError, match=f"^'Step' object has no attribute '{name}'$"):
            getattr(step, name)
    assert callable(step._repr_html_)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Step(id="step-1", model_handle="a/b"), "model_handle"),
        (Step(id="step-1", model_endpoint="http://a"), "model_endpoint"),
        (CompactionSettings.from_dict({"model": "a/b", "model_settings": None}), "model_settings"),
    ],
)
def test_alias_reads_and_writes_its_field(model: Any, name: str) -> None:
    """A field that letta-client renames has both names; the JSON has one."""
    assert getattr(model, f"api_{name}") == getattr(model, name)
    setattr(model, f"api_{name}", None)
    assert getattr(model, name) is None
    assert f"api_{name}" not in model.to_dict()


def test_every_renamed_field_has_an_alias() -> None:
    """Each of our models has the names under which letta-client has its fields."""
    checked = 0
    for ours in {Step, AgentState, CompactionSettings, Conversation, *(type(model) for model, _ in PAIRS)}:
        name = NAMES.get(ours.__name__, ours.__name__)
        theirs = next((getattr(m, name) for m in (letta_types, agents, steps) if hasattr(m, name)), None)
        for field, info in getattr(theirs, "model_fields", {}).items():
            if info.alias not in (None, field) and info.alias in attrs.fields_dict(ours):
                assert hasattr(ours, field), (ours, field)
                checked += 1
    assert checked >= 4


def test_vars_returns_the_values_of_all_fields() -> None:
    """`vars(model)` and `model.__dict__` are the names and values, as `json.dumps(default=vars)` needs them."""
    step = Step.from_dict(
        {"id": "step-1", "new": {"nested": [1]}, "completion_tokens_details": {"reasoning_tokens": 3}}
    )
    assert vars(step) == step.__dict__ == dict(step)
    found = json.loads(json.dumps([step], default=vars))
    assert found == [step.model_dump(mode="json")]
    assert isinstance(vars(Step), type(vars(object)))


def test_attrs_asdict_has_the_fields_only() -> None:
    """`attrs.asdict` returns the documented fields, also of nested models."""
    message = AssistantMessage.from_dict({**ASSISTANT, "content": [{"type": "text", "text": "a", "new": 1}], "n": 2})
    found = attrs.asdict(message)
    assert found.keys() == {attribute.name for attribute in attrs.fields(AssistantMessage)}
    assert found["content"] == [{"text": "a", "signature": None, "type": "text"}]
    assert not [name for name in found if name.startswith("_")]


def test_constructor_decodes_json_values() -> None:
    """Keyword arguments that are JSON are decoded, and decoded ones are kept."""
    json_values: dict[str, Any] = {**ASSISTANT, "content": [{"type": "text", "text": "a"}]}
    message = AssistantMessage(**json_values)
    assert message == AssistantMessage.from_dict(json_values)
    part = TextContent(text="a")
    kept = AssistantMessage(id="message-1", date=message.date, content=[part])
    assert kept.content == [part]
    assert isinstance(kept.content, list)
    assert kept.content[0] is part


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id": "s", "new": 1}, r"^Step\(\) has no field 'new'\. Step\.from_dict\(data\) decodes JSON, also with"),
        (
            {"id": "s", "messages": [{"role": "user", "id": "m", "created_at": "soon"}]},
            r"messages.*created_at: cannot be decoded",
        ),
        ({}, "'id'"),
    ],
)
def test_constructor_names_the_argument_and_the_remedy(arguments: dict[str, Any], message: str) -> None:
    """A constructor that cannot take JSON names the argument, and `from_dict` for unknown fields."""
    with pytest.raises((TypeError, ValueError), match=message):
        Step(**arguments)
    with pytest.raises(TypeError, match=r"takes no positional arguments\. Step\.from_dict"):
        Step(*[arguments])  # type: ignore[call-arg]  # the subject


def test_dump_keeps_the_received_spelling_of_a_discriminator() -> None:
    """A message with an earlier tag is written with that tag, as letta-client writes it."""
    data = {"id": "message-1", "message_type": "summary", "date": "2026-01-01T00:00:00Z", "summary": "so"}
    message = message_from_dict(data)
    assert isinstance(message, SummaryMessage)
    assert message.message_type == "summary_message"
    assert message.model_dump(mode="json", exclude_unset=True) == data
    assert message.model_extra == {}

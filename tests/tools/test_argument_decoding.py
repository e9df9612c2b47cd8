"""Decoding of the arguments of a tool call."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Optional
from uuid import UUID

import attrs
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typing_extensions import TypedDict  # that of `typing` is not enough for pydantic before Python 3.12

from letta_ext.tools import Tool
from letta_ext.tools.schema import ArgumentError

from .test_schema import Box, Colour, Level, Node, Pair, Place, Point, having

ID = "123e4567-e89b-42d3-8456-426614174000"

with pytest.raises(TypeError) as _unhashable:
    set(iter([[1]]))
UNHASHABLE = str(_unhashable.value)
"""The error of Python, whose text depends on the version."""


@attrs.define
class Even:
    value: int = attrs.field()

    @value.validator
    def _check(self, _: Any, value: int) -> None:
        if value % 2:
            raise ValueError(f"{value} is odd")


@pytest.mark.parametrize(
    ("hint", "encoded", "decoded"),
    [
        (str, "a", "a"),
        (int, 3, 3),
        (int, 3.0, 3),
        (int, 10**30, 10**30),
        (float, 3, 3.0),
        (bool, True, True),
        (None, None, None),
        (Any, {"a": [1]}, {"a": [1]}),
        (Optional[int], None, None),  # noqa: UP045  # the older form of a union
        (int | str, "3", "3"),
        (Literal["a", 1], 1, 1),
        (Colour, "red", Colour.RED),
        (Level, 2, Level.HIGH),
        (list[Colour], ["red", "blue"], [Colour.RED, Colour.BLUE]),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (Pair, ["a", 1], Pair("a", 1)),
        (set[int], [1, 1, 2], {1, 2}),
        (frozenset[int], [1], frozenset({1})),
        (dict[str, Colour], {"a": "red"}, {"a": Colour.RED}),
        (datetime, "2026-01-02T03:04:05+00:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (datetime, "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (date, "2026-01-02", date(2026, 1, 2)),
        (time, "03:04", time(3, 4)),
        (UUID, ID, UUID(ID)),
        (Decimal, "0.1", Decimal("0.1")),
        (Path, "/tmp/x", Path("/tmp/x")),  # noqa: S108  # the path is not opened
        (Place, {"city": "Paris"}, {"city": "Paris"}),
        (Point, {"x": 1, "tags": ["a"]}, Point(1.0, tags=["a"])),
        (Box, {"size": 1, "colour": "blue"}, Box(1, Colour.BLUE)),
        (Node, {"value": 1, "next": {"value": 2}}, Node(1, Node(2))),
        (Annotated[int, pydantic.Field(ge=1)], 1, 1),
        (Point | None, None, None),
    ],
)
def test_decode_arguments_valid_value_becomes_annotated_type(hint: Any, encoded: Any, decoded: Any) -> None:
    """A valid JSON value becomes a value of the annotated type."""
    read = Tool.from_function(having(hint)).decode_arguments(json.dumps({"given": encoded}))
    assert read == {"given": decoded}
    assert type(read["given"]) is type(decoded)


@pytest.mark.parametrize(
    ("hint", "encoded", "message"),
    [
        (str, 1, "given must be a string, got 1"),
        (int, "1", "given must be an integer, got '1'"),
        (int, True, "given must be an integer, got True"),
        (int, 1.5, "given must be an integer, got 1.5"),
        (float, "x", "given must be a number, got 'x'"),
        (bool, 1, "given must be true or false, got 1"),
        (None, 0, "given must be null, got 0"),
        (int | str, [], "given must be an integer or a string, got []"),
        (Literal["a", "b"], "c", "given must be 'a' or 'b', got 'c'"),
        (Literal[1], True, "given must be 1, got True"),
        (Colour, "green", "given must be 'red' or 'blue', got 'green'"),
        (list[int], [1, "a"], "given[1] must be an integer, got 'a'"),
        (list[int], "ab", "given must be a list, got 'ab'"),
        (set[list[int]], [[1]], f"given: {UNHASHABLE}"),
        (tuple[int, str], [1], "given must be a list of 2, got [1]"),
        (dict[str, int], {"a": "b"}, "given.a must be an integer, got 'b'"),
        (dict[str, int], [], "given must be an object, got []"),
        (date, "yesterday", "given must be a date in ISO 8601, got 'yesterday'"),
        (Decimal, "much", "given must be a number as a string, got 'much'"),
        (Place, {}, "given.city is missing"),
        (Point, {"x": 1, "z": 2}, "given.z is unknown; the known names are x, y, tags"),
        (Point | None, {"y": 1}, "given.x is missing"),
        (list[Point], [{"x": "a"}], "given[0].x must be a number, got 'a'"),
        (Even, {"value": 3}, "given: 3 is odd"),
        (Annotated[int, pydantic.Field(ge=1)], 0, "given: 1 validation error"),
        (str, {"a": "x" * 200}, "given must be a string, got {'a': '" + "x" * 72 + "…"),
    ],
)
def test_decode_arguments_invalid_value_raises_with_path(hint: Any, encoded: Any, message: str) -> None:
    """An invalid value raises an error with its path, the expected type and the value."""
    with pytest.raises(ArgumentError) as refused:
        Tool.from_function(having(hint)).decode_arguments(json.dumps({"given": encoded}))
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the arguments are not JSON: "),
        ("[]", "the arguments must be a JSON object"),
        ("null", "the arguments must be a JSON object"),
        ("{}", "given is missing"),
        ("", "given is missing"),
        ('{"given": 1, "more": 2}', "more is unknown; the known names are given"),
        ("[" * 100_000, "the arguments are not JSON: "),
    ],
)
def test_decode_arguments_invalid_text_raises(text: str, message: str) -> None:
    """Text that is not a JSON object of the arguments raises."""
    with pytest.raises(ArgumentError) as refused:
        Tool.from_function(having(int)).decode_arguments(text)
    assert str(refused.value).startswith(message)


def test_decode_arguments_missing_optional_is_omitted() -> None:
    """A missing optional argument is omitted, so that the default of the function applies."""

    def function(a: int = 1, b: str | None = None) -> None: ...

    assert Tool.from_function(function).decode_arguments("") == {}
    assert Tool.from_function(function).decode_arguments('{"b": null}') == {"b": None}


# Random annotations: the decoder agrees with its schema and with pydantic.

EXAMPLES = 40

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.0, 1e9])
    | st.sampled_from(["", "a", "b", "red", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from("ABCDEFGH")


def make_dataclass(name: str, hints: list[Any], required: int) -> Any:
    fields = list(zip("abc", hints, strict=False))
    return dataclasses.make_dataclass(
        name,
        [(key, hint) for key, hint in fields[:required]] + [(key, hint, None) for key, hint in fields[required:]],
        kw_only=True,
    )


def make_typed_dict(name: str, hints: list[Any], required: int) -> Any:
    fields = zip("abc", hints, strict=False)
    return TypedDict(  # type: ignore[operator]  # a type made at run time
        name, {key: hint if at < required else NotRequired[hint] for at, (key, hint) in enumerate(fields)}
    )


def nested_in(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3)
    return (
        inner.map(lambda hint: list[hint])  # type: ignore[valid-type]  # a type made at run time
        | inner.map(lambda hint: dict[str, hint])  # type: ignore[valid-type]  # a type made at run time
        | inner.map(lambda hint: tuple[hint, ...])  # type: ignore[valid-type]  # a type made at run time
        | some.map(lambda hints: tuple[tuple(hints)])  # type: ignore[misc]  # a type made at run time
        | some.map(lambda hints: Optional[hints[0]])  # noqa: UP045  # a type made at run time
        | st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1] if pair[0] is not pair[1] else pair[0])
        | st.builds(make_dataclass, names, some, st.integers(0, 3))
        | st.builds(make_typed_dict, names, some, st.integers(0, 3))
    )


simple_hints: st.SearchStrategy[Any] = st.sampled_from(
    [str, int, float, bool, type(None), Colour, Literal["a", "b"], Literal[1, "a"], Annotated[int, "a number"]]
)
hints = st.recursive(simple_hints, nested_in, max_leaves=5)


def normalize(value: Any) -> Any:
    """Convert dataclasses to dicts and tuples to lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: normalize(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: normalize(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [normalize(item) for item in value]
    return value


def attempt(read: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return True, normalize(read())
    except ValueError:
        return False, None


@settings(max_examples=EXAMPLES, deadline=None)
@given(hints, st.lists(json_values, min_size=1, max_size=12))
def test_decode_arguments_accepts_exactly_what_the_schema_accepts(hint: Any, values: list[Any]) -> None:
    """The decoder accepts a value exactly if the JSON schema does."""
    tool = Tool.from_function(having(hint))
    Draft202012Validator.check_schema(dict(tool.parameters))
    validator = Draft202012Validator(tool.parameters)
    for value in values:
        arguments = {"given": value}
        accepted, _ = attempt(lambda arguments=arguments: tool.decode_arguments(json.dumps(arguments)))  # type: ignore[misc]  # a type made at run time
        assert accepted == validator.is_valid(arguments), (tool.parameters, arguments)


@settings(max_examples=EXAMPLES, deadline=None)
@given(hints, st.data())
def test_decode_arguments_accepted_values_match_pydantic(hint: Any, data: st.DataObject) -> None:
    """Pydantic accepts each accepted value, and decodes it to the same value."""
    tool, adapter = Tool.from_function(having(hint)), pydantic.TypeAdapter(hint)
    pydantic_validator = Draft202012Validator(adapter.json_schema())
    for value in data.draw(st.lists(json_values, min_size=1, max_size=12)):
        accepted, read = attempt(lambda value=value: tool.decode_arguments(json.dumps({"given": value}))["given"])  # type: ignore[misc]  # a type made at run time
        # Unknown keys are the only difference: pydantic ignores them, and the decoder reports them to the model.
        if accepted:
            assert pydantic_validator.is_valid(value), (hint, value)
            assert attempt(lambda value=value: adapter.validate_json(json.dumps(value))) == (True, read)  # type: ignore[misc]  # a type made at run time

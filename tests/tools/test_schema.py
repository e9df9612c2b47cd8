"""Declarations of tools: schemas, descriptions and names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Optional, TypedDict
from uuid import UUID

import attrs
import pydantic
import pytest
from jsonschema import Draft202012Validator

from letta_ext.tools import Tool, make_tool_registry, parse_docstring

STRING = {"type": "string"}


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Place(TypedDict):
    city: str
    zip: NotRequired[str]


@dataclass
class Point:
    x: float
    y: float = 0.0
    tags: list[str] = field(default_factory=list)
    hidden: int = field(default=0, init=False)


@attrs.define
class Box:
    _size: int
    colour: Colour = Colour.RED


class Pair(NamedTuple):
    key: str
    value: int


@dataclass
class Node:
    value: int
    next: Node | None = None


@dataclass
class Left:
    right: Right | None


@dataclass
class Right:
    left: Left | None


class Person(pydantic.BaseModel):
    name: str
    age: int = pydantic.Field(default=1, ge=0)
    friend: Person | None = None


Name = NewType("Name", str)

PAIR = {"type": "array", "prefixItems": [STRING, {"type": "integer"}], "minItems": 2, "maxItems": 2}
POINT = {
    "type": "object",
    "properties": {
        "x": {"type": "number"},
        "y": {"type": "number"},
        "tags": {"type": "array", "items": STRING},
    },
    "required": ["x"],
    "additionalProperties": False,
}


def having(hint: Any) -> Callable[..., Any]:
    """Return a function with one parameter of this annotation."""

    def function(given: Any) -> None: ...

    function.__annotations__ = {"given": hint}
    return function


def schema_of(function: Callable[..., Any]) -> dict[str, Any]:
    schema = dict(Tool.from_function(function).parameters)
    Draft202012Validator.check_schema(schema)
    return schema


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, STRING),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (Any, {}),
        (object, {}),
        (Name, STRING),
        (Optional[str], {"anyOf": [STRING, {"type": "null"}]}),  # noqa: UP045  # the older form of a union
        (int | str, {"anyOf": [{"type": "integer"}, STRING]}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal[1, "b"], {"enum": [1, "b"]}),
        (Colour, {"type": "string", "enum": ["red", "blue"]}),
        (Literal[Colour.RED], {"type": "string", "enum": ["red"]}),
        (Level, {"type": "integer", "enum": [1, 2]}),
        (list, {"type": "array", "items": {}}),
        (Sequence, {"type": "array", "items": {}}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[str], {"type": "array", "items": STRING}),
        (tuple[str, ...], {"type": "array", "items": STRING}),
        (
            tuple[str, int],
            {"type": "array", "prefixItems": [STRING, {"type": "integer"}], "minItems": 2, "maxItems": 2},
        ),
        (Pair, {"type": "array", "prefixItems": [STRING, {"type": "integer"}], "minItems": 2, "maxItems": 2}),
        (set[str], {"type": "array", "items": STRING, "uniqueItems": True}),
        (frozenset[str], {"type": "array", "items": STRING, "uniqueItems": True}),
        (dict, {"type": "object", "additionalProperties": {}}),
        (dict[str, bool], {"type": "object", "additionalProperties": {"type": "boolean"}}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (datetime, {"type": "string", "format": "date-time"}),
        (date, {"type": "string", "format": "date"}),
        (time, {"type": "string", "format": "time"}),
        (UUID, {"type": "string", "format": "uuid"}),
        (Path, {"type": "string", "format": "path"}),
        (Decimal, STRING),
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (
            Annotated[int, pydantic.Field(ge=1, description="how many")],
            {"type": "integer", "minimum": 1, "description": "how many"},
        ),
        (pydantic.HttpUrl, {"type": "string", "format": "uri", "maxLength": 2083, "minLength": 1}),
        (
            Place,
            {
                "type": "object",
                "properties": {"city": STRING, "zip": STRING},
                "required": ["city"],
                "additionalProperties": False,
            },
        ),
        (Point, POINT),
        (list[Point], {"type": "array", "items": POINT}),
        (
            Box,
            {
                "type": "object",
                "properties": {"size": {"type": "integer"}, "colour": {"type": "string", "enum": ["red", "blue"]}},
                "required": ["size"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_schema_of_each_annotation(hint: Any, schema: dict[str, Any]) -> None:
    """Each supported annotation has this JSON schema."""
    whole = schema_of(having(hint))
    assert whole == {
        "type": "object",
        "properties": {"given": schema},
        "required": ["given"],
        "additionalProperties": False,
    }


def test_schema_recursive_class_uses_defs() -> None:
    """A recursive class is defined in `$defs`."""
    schema = schema_of(having(dict[str, Node]))
    assert schema["properties"]["given"] == {"type": "object", "additionalProperties": {"$ref": "#/$defs/Node"}}
    assert schema["$defs"]["Node"]["properties"]["next"] == {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}


def test_schema_mutually_recursive_classes_use_defs() -> None:
    """Classes that refer to each other are described and decoded."""

    def function(a: Left, b: Right, c: Left) -> None: ...

    schema = schema_of(function)
    deep = {"left": {"right": {"left": None}}}
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"a": {"right": deep}, "b": deep, "c": {"right": None}})
    assert not validator.is_valid({"a": {"right": {"left": {"right": {"left": 1}}}}, "b": deep, "c": {"right": None}})
    read = Tool.from_function(function).decode_arguments(
        '{"a": {"right": {"left": null}}, "b": {"left": null}, "c": {"right": null}}'
    )
    assert read == {"a": Left(Right(None)), "b": Right(None), "c": Left(None)}


def test_schema_two_classes_of_one_name_raise() -> None:
    """Two recursive classes of one name raise."""

    def other() -> type[Any]:
        @dataclass
        class Node:
            next: Any = None

        Node.__annotations__["next"] = Optional[Node]  # noqa: UP045  # resolved at run time
        return Node

    with pytest.raises(TypeError, match="two classes in the arguments of a tool are named Node"):
        Tool.from_function(having(tuple[Node, other()]))  # type: ignore[misc]  # a type made at run time


def test_schema_pydantic_model_keeps_constraints() -> None:
    """The schema of a pydantic model keeps its constraints and definitions."""
    schema = schema_of(having(Person))
    assert schema["properties"]["given"] == {"$ref": "#/$defs/Person"}
    assert schema["$defs"]["Person"]["properties"]["age"]["minimum"] == 0
    assert Tool.from_function(having(Person)).decode_arguments('{"given": {"name": "Ada"}}') == {
        "given": Person(name="Ada")
    }


def test_declaration_contains_signature_and_docstring() -> None:
    """The declaration contains the types, defaults and descriptions of the parameters."""

    def get_weather(  # type: ignore[no-untyped-def]  # one parameter has no annotation
        city: str,
        unit: Literal["C", "F"] = "C",
        *,
        days: Annotated[int, "how far ahead"] = 1,
        colour: Colour = Colour.BLUE,
        note: str | None = None,
        anything=None,
    ) -> str:
        """Looks up the weather.

        It knows all cities.

        Args:
            city (str): where,
                as people call it
            days: not this
            unit: Celsius or Fahrenheit

        Returns:
            nothing that concerns the model
        """
        return city

    tool = Tool.from_function(get_weather)
    assert tool.declaration() == {
        "name": "get_weather",
        "description": "Looks up the weather.\n\nIt knows all cities.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "where, as people call it"},
                "unit": {
                    "type": "string",
                    "enum": ["C", "F"],
                    "description": "Celsius or Fahrenheit",
                    "default": "C",
                },
                "days": {"type": "integer", "description": "how far ahead", "default": 1},
                "colour": {"type": "string", "enum": ["red", "blue"], "default": "blue"},
                "note": {"anyOf": [STRING, {"type": "null"}]},
                "anything": {},
            },
            "required": ["city"],
            "additionalProperties": False,
        },
    }
    assert repr(tool).startswith("Tool(name='get_weather'")


def test_parse_docstring_with_and_without_sections() -> None:
    """The summary and the `Args:` section are parsed, and both are optional."""
    assert parse_docstring("") == ("", {})
    assert parse_docstring("One line.") == ("One line.", {})
    assert parse_docstring("Args:\n  a: first\n  b (int): second\n\n  c:") == (
        "",
        {"a": "first", "b": "second", "c": ""},
    )


class Searcher:
    """Finds items."""

    def search(self, query: str) -> str:
        """Finds an item."""
        return query

    def __call__(self, query: str) -> str:
        """Finds any item."""
        return query


def test_tool_from_each_kind_of_callable() -> None:
    """Methods, wrapped functions, classes, callable objects and partials are supported."""

    def base(query: str, limit: int = 5) -> str:
        """Searches."""
        return query

    @functools.wraps(base)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return base(*args, **kwargs)

    names = {"query": STRING}
    for function, description in (
        (Searcher().search, "Finds an item."),
        (wrapped, "Searches."),
        (Point, None),
    ):
        tool = Tool.from_function(function)
        assert tool.name == function.__name__
        assert description is None or tool.description == description
    assert Tool.from_function(Searcher(), name="find").parameters["properties"] == names
    assert Tool.from_function(functools.partial(base, limit=2), name="two").description == "Searches."
    assert Tool.from_function(functools.partial(base, "x"), name="x").parameters["properties"].keys() == {"limit"}
    assert Tool.from_function(base, name="other", description="Says.").declaration()["description"] == "Says."


def positional_only(a: int, /) -> None: ...
def many(*args: int) -> None: ...
def options(**kwargs: int) -> None: ...
def bytes_of(a: bytes) -> None: ...
def by_number(a: dict[int, str]) -> None: ...
def a_function(a: Callable[[], None]) -> None: ...
def unknown_name(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # an undefined name is the subject
def bad_literal(a: Literal[b"x"]) -> None: ...
def generator(a: int) -> Any:
    yield a


async def async_generator(a: int) -> Any:
    yield a


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            positional_only,
            "positional_only: the parameters of a tool must be keyword parameters, got a: 'int'",
        ),
        (many, r"many: the parameters of a tool must be keyword parameters, got \*args"),
        (options, r"options: the parameters of a tool must be keyword parameters, got \*\*kwargs"),
        (bytes_of, "bytes_of: a: bytes cannot be decoded from JSON; use another annotation"),
        (by_number, "by_number: a: the keys of a mapping must be str, got <class 'int'>"),
        (a_function, "a_function: a: Callable cannot be decoded from JSON"),
        (unknown_name, "unknown_name: an annotation cannot be resolved: name 'Nowhere' is not defined"),
        (bad_literal, "b'x' cannot be encoded as JSON"),
        (generator, "a tool must not be a generator, got <function"),
        (async_generator, "a tool must not be a generator, got <function"),
        (7, "a tool must be callable, got 7"),
    ],
)
def test_tool_unsupported_callable_raises_type_error(function: Any, message: str) -> None:
    """A callable with an unsupported signature or annotation raises TypeError."""
    with pytest.raises(TypeError, match=message):
        Tool.from_function(function)


@pytest.mark.parametrize("name", ["", "two words", "x" * 65, "<lambda>"])
def test_tool_invalid_name_raises_value_error(name: str) -> None:
    """A name that model providers do not accept raises ValueError."""

    def function() -> None: ...

    function.__name__ = name
    with pytest.raises(ValueError, match="the name of a tool must be 1 to 64 letters"):
        Tool.from_function(function)


async def later(a: int) -> int:
    return a


class Later:
    async def __call__(self, a: int) -> int:
        return a


def test_tool_registry_rejects_duplicates_and_unsupported_tools() -> None:
    """A registry maps names to tools, and rejects duplicate names and async tools of sync clients."""
    box = make_tool_registry(
        [Searcher().search, Tool.from_function(later), Tool.from_function(Later(), name="much_later")],
        may_be_async=True,
    )
    assert list(box) == ["search", "later", "much_later"]
    assert [tool.is_async for tool in box.values()] == [False, True, True]
    assert Tool.from_function(functools.partial(later, 1), name="x").is_async

    with pytest.raises(ValueError, match="two tools are named 'later'"):
        make_tool_registry([later, later], may_be_async=True)
    with pytest.raises(TypeError, match="later must not be async in a sync client"):
        make_tool_registry([later], may_be_async=False)
    with pytest.raises(TypeError, match="tools must be a list of functions, got <function"):
        make_tool_registry(later, may_be_async=True)  # type: ignore[arg-type]  # an invalid argument is the subject

"""What a model consists of: each field once, with what it means."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pytest

import letta_api
from letta_api.models import LettaResponse, Step, TextContent, ToolReturnMessage

from .recorded import recordings

MODELS = sorted(path for path in Path(letta_api.__path__[0], "models").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_model_lists_each_field_once(path: Path) -> None:
    """The body of a class holds the fields, and methods and tables for those alone that are more than a JSON value."""
    (cls,) = (node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef))
    names = [ast.unparse(node.target) for node in cls.body if isinstance(node, ast.AnnAssign)]
    assert len(set(names)) == len(names)
    assert [node.name for node in ast.walk(cls) if isinstance(node, ast.FunctionDef)] in ([], ["_struct_fields"])
    assert {name for name in names if name.startswith("_")} <= {"_keys", "_decoders"}


def test_step_is_read_in_one_view() -> None:
    """31 fields and what they mean are fewer than 150 lines."""
    (path,) = (path for path in MODELS if path.stem == "step")
    assert len(path.read_text(encoding="utf-8").splitlines()) < 150


WHOLE = {name: None for name, _, _ in Step._field_table.values()} | {"id": "step-1"}
PARTIAL = {"id": "step-1", "model": "m"}


class Plain(Step):
    """A subclass that adds nothing to how it is read."""


class Own(Step):
    """A subclass with a way of its own to read mappings."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads another model into the step."""
        return super().from_dict({**data, "model": "own"})


class Below(Own):
    """Inherits that."""


@pytest.mark.parametrize("cls", [Step, Plain, Own, Below])
@pytest.mark.parametrize("data", [WHOLE, PARTIAL])
def test_subclass_is_read_as_itself_of_text_and_of_a_dict(cls: type[Step], data: dict[str, Any]) -> None:
    """What was compiled for a class does not make objects of that class for those that inherit from it."""
    for known in (Step, cls):
        for _ in range(2):
            known.from_json(json.dumps(data)), known.from_dict(data)
    read = cls.from_dict(data)
    assert type(read) is cls
    assert read.model == ("own" if issubclass(cls, Own) else data["model"])
    again = cls.from_json(json.dumps(data))
    assert type(again) is cls
    assert again == read
    assert again.fields_set == read.fields_set


@pytest.mark.parametrize("first", ["text", "dict"])
def test_literal_of_another_model_is_refused_by_both_ways(first: str) -> None:
    """A tag is compared however an object is read, first or later."""
    given = {"type": "image", "text": "a"}
    read = {"text": lambda: TextContent.from_json(json.dumps(given)), "dict": lambda: TextContent.from_dict(given)}
    for name in [first, *read] * 2:
        with pytest.raises(letta_api.errors.DecodeError, match="is 'image', not 'text'"):
            read[name]()


def test_recorded_objects_are_read_alike_of_text_of_dicts_and_by_key() -> None:
    """The three ways to a model give the same, with the same fields set."""
    found = 0
    for recording in recordings():
        for value in recording.values:
            for each in value if isinstance(value, list) else [value]:
                for cls in (Step, ToolReturnMessage, LettaResponse):
                    try:
                        wanted = cls._decode_by_key(each)
                    except (ValueError, TypeError):
                        continue
                    found += 1
                    for read in (cls.from_dict(each), cls.from_json(json.dumps(each))):
                        assert read == wanted
                        assert read.fields_set == wanted.fields_set
                        assert read.to_dict() == wanted.to_dict()
    assert found >= 5

"""A model module lists each field once, with its description."""

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


def test_step_module_is_short() -> None:
    """The module of a model with 31 fields has fewer than 150 lines."""
    (path,) = (path for path in MODELS if path.stem == "step")
    assert len(path.read_text(encoding="utf-8").splitlines()) < 150


WHOLE = {name: None for name, _, _ in Step._field_table.values()} | {"id": "step-1"}
PARTIAL = {"id": "step-1", "model": "m"}


class Plain(Step):
    """A subclass without changes."""


class Own(Step):
    """A subclass that overrides from_dict."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Decode the mapping with another model name."""
        return super().from_dict({**data, "model": "own"})


class Below(Own):
    """A subclass that inherits the override."""


@pytest.mark.parametrize("cls", [Step, Plain, Own, Below])
@pytest.mark.parametrize("data", [WHOLE, PARTIAL])
def test_subclass_decodes_to_itself(cls: type[Step], data: dict[str, Any]) -> None:
    """Text and mappings decode to the subclass, with its own from_dict."""
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
def test_wrong_literal_raises_in_both_decoders(first: str) -> None:
    """A wrong tag raises DecodeError from text and mappings, on first and later use."""
    given = {"type": "image", "text": "a"}
    read = {"text": lambda: TextContent.from_json(json.dumps(given)), "dict": lambda: TextContent.from_dict(given)}
    for name in [first, *read] * 2:
        with pytest.raises(letta_api.errors.DecodeError, match="is 'image', not 'text'"):
            read[name]()


def test_recorded_objects_decode_equally_in_all_decoders() -> None:
    """Text, mappings and the decoder by key give equal models."""
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

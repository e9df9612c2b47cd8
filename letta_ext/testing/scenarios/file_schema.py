"""Derives JSON Schemas from dataclasses, for editors that check scenario files."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from ..store.models import Json

_SCALARS: Final[Mapping[Any, str]] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def of(kind: Any) -> Json:
    """Return the schema of the values that `dataclass_reader.convert` accepts for an annotation."""
    origin, members = get_origin(kind), get_args(kind)
    if origin is Union or isinstance(kind, types.UnionType):
        return {"anyOf": [of(member) for member in members]}
    if origin is Literal:
        return {"enum": list(members)}
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        known = {each.name: each for each in fields(kind)}
        required = [name for name, each in known.items() if each.default is MISSING and each.default_factory is MISSING]
        texts = _descriptions(kind)
        return mapping({name: of(hints[name]) | texts.get(name, {}) for name in known}, required)
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": of(members[1])}
    if origin is not None and issubclass(origin, Sequence):
        return {"type": "array", "items": of(members[0])}
    schema: Json = {"type": _SCALARS[kind]} if kind in _SCALARS else {}
    return schema


def _descriptions(kind: type[Any]) -> dict[str, Json]:
    """Return the descriptions of fields, which a docstring lists under ``Attributes:``."""
    _, _, listed = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", listed, re.MULTILINE)
    return {name: {"description": " ".join(text.replace("``", "`").split())} for name, text in entries}


def mapping(properties: Json, required: Sequence[str]) -> Json:
    """Return the schema of a mapping without further keys."""
    schema: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | {"required": list(required)} if required else schema

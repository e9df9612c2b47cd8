"""The fields that most members of a union have. Unknown members of the union have them as attributes."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from attrs import frozen

from codegen.models import Library, Union
from codegen.names import MODEL_NAMES, identifiers
from codegen.types import JsonKind

_CLASSES: Final[dict[JsonKind, str]] = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_OWN_NAMES: Final = frozenset(["raw", "reason", "to_dict", "to_json", "model_dump", "model_dump_json"])
"""Attributes of every unknown member."""


@frozen
class CommonField:
    """A scalar field that more than half of the members have with the same type.

    Attributes:
        name: The Python name.
        key: The source of the JSON key.
        type: The class of its values.
    """

    name: str
    key: str
    type: str


def tag_name(tag: str) -> str:
    """Return the Python name of a discriminator in an unknown member."""
    return identifiers([tag], MODEL_NAMES | _OWN_NAMES)[tag]


def common_fields(union: Union, library: Library) -> list[CommonField]:
    """Return the common fields of a union except its discriminator, by name."""
    members = {part for member in union.members for part in member.type.parts if part in library.models}
    taken = {*_OWN_NAMES, tag_name(union.tag or "")}
    counts: defaultdict[CommonField, int] = defaultdict(int)
    for name in members:
        for field in library.models[name].fields:
            kinds = field.type.kinds - {"null"}
            if len(kinds) != 1 or not kinds <= _CLASSES.keys() or field.name in taken:
                continue
            (kind,) = kinds
            type_ = "datetime" if field.type.parts == ("datetime",) else _CLASSES[kind]
            counts[CommonField(field.name, repr(field.wire), type_)] += 1
    return sorted((found for found, count in counts.items() if 2 * count > len(members)), key=lambda each: each.name)

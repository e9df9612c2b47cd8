"""The extension `x-letta-text`: attributes with the text of some items of an array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from codegen.document import Schema, escape
from codegen.errors import SpecError
from codegen.keywords import TEXT
from codegen.names import check_new_name


@frozen
class JoinedText:
    """An attribute with the text of some items of an array.

    Attributes:
        name: The name of the attribute.
        items: The Python name of the array.
        where: The fields of an item that select it, with their values.
        text: The field of an item that has its text.
    """

    name: str
    items: str
    where: dict[str, str]
    text: str


def read_texts(schema: Schema, taken: frozenset[str], arrays: Mapping[str, str], place: str) -> list[JoinedText]:
    """Return the attributes that a component has.

    Args:
        schema: The component.
        taken: The names that the class has.
        arrays: The Python names of its arrays, by property.
        place: The place of the component.

    Raises:
        SpecError: If the extension is not valid.
    """
    data: Any = schema.get(TEXT, {})
    if not isinstance(data, dict):
        raise SpecError(f"{place}/{TEXT}", "must be an object")
    return [_read_text(name, facts, taken, arrays, f"{place}/{TEXT}") for name, facts in data.items()]


def _read_text(name: Any, facts: Any, taken: frozenset[str], arrays: Mapping[str, str], place: str) -> JoinedText:
    check_new_name(name, taken, place)
    place = f"{place}/{escape(name)}"
    if not isinstance(facts, dict) or facts.keys() != {"items", "where", "text"}:
        raise SpecError(place, "must have the keys items, where and text")
    items, where, text = facts["items"], facts["where"], facts["text"]
    if not isinstance(items, str) or items not in arrays:
        raise SpecError(f"{place}/items", f"must be a property that is an array, got {items!r}")
    values = [*where, *where.values(), text] if isinstance(where, dict) else [None]
    if not all(isinstance(value, str) and value.isprintable() for value in values):
        raise SpecError(place, "must have fields and values that are text")
    return JoinedText(name, arrays[items], where, text)

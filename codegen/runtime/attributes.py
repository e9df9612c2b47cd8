"""Attributes that are not fields: second names of fields, texts, and the common fields of unknown union members."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from datetime import datetime
from typing import Any, Generic, Self, TypeVar, overload

from .instants import parse_instant
from .json_values import is_mapping, is_sequence
from .model import Unknown

T = TypeVar("T")


class Alias(Generic[T]):
    """A second name of a field.

    Args:
        name: The name of the field.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, model: None, owner: type) -> Self: ...
    @overload
    def __get__(self, model: object, owner: type) -> T: ...

    def __get__(self, model: object, owner: type) -> Any:
        return self if model is None else getattr(model, self.name)

    def __set__(self, model: object, value: T) -> None:
        setattr(model, self.name, value)


class JoinedText:
    """The text of some items of an array, each on lines of its own.

    The text of an item is a string, or an array of parts whose strings in `text` are joined without a separator. Items
    without text are omitted.

    Args:
        items: The name of the array.
        where: The fields of an item that select it, with their values.
        text: The field of an item that has its text.
    """

    def __init__(self, items: str, where: Mapping[str, str], text: str) -> None:
        self.items = items
        self.where = where
        self.text = text

    @overload
    def __get__(self, model: None, owner: type) -> Self: ...
    @overload
    def __get__(self, model: object, owner: type) -> str: ...

    def __get__(self, model: object, owner: type) -> Any:
        return self if model is None else self.of(getattr(model, self.items))

    def of(self, items: Iterable[Any]) -> str:
        """Return the text of some of these items."""
        selected = (item for item in items if all(getattr(item, k, None) == v for k, v in self.where.items()))
        return "\n".join(filter(None, (_text_of(getattr(item, self.text, None)) for item in selected)))


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    parts = [getattr(part, "text", None) for part in value] if is_sequence(value) else []
    return "".join(part for part in parts if isinstance(part, str))


class Received(Generic[T]):
    """A field that most members of a union have, read from the JSON of an unknown member. It can be None.

    Args:
        key: The JSON key.
        type_: The class of its values. Other values read as None.
    """

    def __init__(self, key: str, type_: type[T]) -> None:
        self.key = key
        self.type = type_

    @overload
    def __get__(self, unknown: None, owner: type) -> Self: ...
    @overload
    def __get__(self, unknown: Unknown, owner: type) -> T | None: ...

    def __get__(self, unknown: Unknown | None, owner: type) -> Any:
        if unknown is None:
            return self
        value = unknown.raw.get(self.key) if is_mapping(unknown.raw) else None
        if self.type is datetime and isinstance(value, str):
            try:
                return parse_instant(value)
            except ValueError:
                return None
        valid = isinstance(value, self.type) and isinstance(value, bool) is (self.type is bool)
        return float(value) if self.type is float and type(value) is int else value if valid else None


class _Tag(Received[str]):
    def __init__(self, key: str, known: Callable[[], Container[str]]) -> None:
        super().__init__(key, str)
        self.known = known

    def __get__(self, unknown: Unknown | None, owner: type) -> Any:
        value = super().__get__(unknown, owner)
        return None if isinstance(value, str) and value in self.known() else value


def received_tag(key: str, known: Callable[[], Container[str]]) -> Any:
    """Return the attribute for the discriminator of an unknown member.

    A malformed member reads as None: a comparison with a known value then selects members of the known class only.
    """
    return _Tag(key, known)

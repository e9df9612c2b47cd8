"""Converts plain data from a YAML file into dataclasses, with errors that name the location."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..api.validation import is_object, is_sequence

T = TypeVar("T")


class InvalidValueError(ValueError):
    """A value is invalid.

    Args:
        location: Location of the value, such as ``.when[0].message``.
        problem: Description of the problem.
        line: Line in the file, if it is known.

    Attributes:
        location: Location of the value.
        problem: Description of the problem.
        line: Line in the file. None if it is not known.
    """

    def __init__(self, location: str, problem: str, line: int | None = None) -> None:
        super().__init__(f"{_display(location)}: {problem}" if location else problem)
        self.location = location
        self.problem = problem
        self.line = line

    def line_in(self, lines: Mapping[str, int]) -> int:
        """Return the line of the value, or of the closest enclosing one.

        Args:
            lines: Lines of a file by location.
        """
        if self.line is not None:
            return self.line
        # Problems of several keys are at the mapping. The problem of a single key begins with the name of the key.
        match = re.match(r"\w+", self.problem)
        location = self.location
        if match is not None and f"{location}.{match[0]}" in lines:
            return lines[f"{location}.{match[0]}"]
        while location and location not in lines:
            location = location[: max(location.rfind("."), location.rfind("["))]
        return lines.get(location, 1)


class UnknownKeyError(InvalidValueError):
    """A mapping has an unknown key.

    Args:
        location: Location of the mapping.
        name: The key.
        known: The known keys.
    """

    def __init__(self, location: str, name: str, known: Iterable[str]) -> None:
        super().__init__(location, f"unknown key {_short_repr(name)}, expected {', '.join(known)}")
        self._name = name

    def line_in(self, lines: Mapping[str, int]) -> int:
        """Return the line of the key."""
        return lines.get(f"{self.location}.{self._name}", super().line_in(lines))


def read(kind: type[T], value: object, location: str = "") -> T:
    """Return an instance of a dataclass.

    Args:
        kind: The dataclass.
        value: A mapping of its fields.
        location: Location of the value, for errors.

    Raises:
        InvalidValueError: If the value is invalid.
    """
    if not is_object(value):
        raise InvalidValueError(location, f"expected a mapping, got {_short_repr(value)}")
    known: dict[str, Field[Any]] = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]  # T is a dataclass
    for name in value:
        if name not in known:
            raise UnknownKeyError(location, name, known)
    for name, each in known.items():
        if name not in value and each.default is MISSING and each.default_factory is MISSING:
            raise InvalidValueError(location, f"missing key {name!r}")
    hints = get_type_hints(kind)
    converted = {name: convert(hints[name], each, f"{location}.{name}") for name, each in value.items()}
    try:
        return kind(**converted)
    except InvalidValueError:
        raise
    except (TypeError, ValueError) as error:
        raise InvalidValueError(location, str(error)) from None


def convert(kind: Any, value: object, location: str) -> Any:
    """Return a value converted to the type of an annotation.

    Raises:
        InvalidValueError: If the value is invalid.
    """
    origin, members = get_origin(kind), get_args(kind)
    if origin is Union or isinstance(kind, types.UnionType):
        return _convert_union(members, value, location)
    if origin is Literal:
        if value not in members:
            raise InvalidValueError(
                location, f"expected one of {', '.join(map(repr, members))}, got {_short_repr(value)}"
            )
        return value
    if is_dataclass(kind) and isinstance(kind, type):
        return read(kind, value, location)
    if origin is not None and issubclass(origin, Mapping):
        if not is_object(value):
            raise InvalidValueError(location, f"expected a mapping, got {_short_repr(value)}")
        return {str(key): convert(members[1], each, f"{location}.{key}") for key, each in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return _to_float(value, location)
    if origin is not None and issubclass(origin, Sequence):
        if not is_sequence(value):
            raise InvalidValueError(location, f"expected a list, got {_short_repr(value)}")
        return [convert(members[0], each, f"{location}[{index}]") for index, each in enumerate(value)]
    return _check_type(kind, value, location)


def _convert_union(members: Sequence[Any], value: object, location: str) -> Any:
    """Return a value converted to the member of a union that its type selects."""
    if value is None and type(None) in members:
        return None
    types = [each for each in members if each is not type(None)]
    classes = [each for each in types if is_dataclass(each)]
    candidates = (classes if is_object(value) else [each for each in types if each not in classes]) or types
    for each in candidates[:-1]:
        with suppress(InvalidValueError):
            return convert(each, value, location)
    return convert(candidates[-1], value, location)


def _check_type(kind: Any, value: object, location: str) -> Any:
    if kind is object:
        return value
    if type(value) is not kind:
        names = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}
        raise InvalidValueError(location, f"expected {names.get(kind, kind)}, got {_short_repr(value)}")
    return value


def _to_float(value: int, location: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise InvalidValueError(location, f"expected a number, got {_short_repr(value)}") from None


def _short_repr(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer with thousands of digits
        return "an integer with too many digits"
    return text if len(text) < 60 else f"{text[:57]}..."


def _display(location: str) -> str:
    return location.lstrip(".")[:200]

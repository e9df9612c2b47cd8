"""Reads plain data, as it comes out of a YAML file, into dataclasses, and says exactly where it does not fit."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..api.validation import is_object, is_sequence

T = TypeVar("T")


class Misfit(ValueError):  # noqa: N818 - it is told as part of another error
    """A value that does not fit.

    Args:
        place: where it stands, such as ``.when[0].message``.
        problem: what is wrong with it.
        line: the line of the file where it stands, if that is known already.

    Attributes:
        place: where it stands.
        problem: what is wrong with it.
        line: the line of the file; None if it is not known.
    """

    def __init__(self, place: str, problem: str, line: int | None = None) -> None:
        super().__init__(f"{_named(place)}: {problem}" if place else problem)
        self.place = place
        self.problem = problem
        self.line = line

    def line_in(self, lines: Mapping[str, int]) -> int:
        """Return the line where it stands: that of its place, or of the nearest one around it.

        Args:
            lines: the lines of a file by place.
        """
        if self.line is not None:
            return self.line
        # A problem of two or more keys stands where the mapping does, and one of a single key begins with its name.
        named = re.match(r"\w+", self.problem)
        place = self.place
        if named is not None and f"{place}.{named[0]}" in lines:
            return lines[f"{place}.{named[0]}"]
        while place and place not in lines:
            place = place[: max(place.rfind("."), place.rfind("["))]
        return lines.get(place, 1)


class UnknownKey(Misfit):
    """A key that a mapping does not have.

    Args:
        place: where the mapping stands.
        name: the key.
        known: the keys that there are.
    """

    def __init__(self, place: str, name: str, known: Iterable[str]) -> None:
        super().__init__(place, f"no key {_shown(name)}; there are {', '.join(known)}")
        self._name = name

    def line_in(self, lines: Mapping[str, int]) -> int:
        """Return the line of the key."""
        return lines.get(f"{self.place}.{self._name}", super().line_in(lines))


def read(kind: type[T], value: object, place: str = "") -> T:
    """Return a value as an instance of a dataclass.

    Args:
        kind: the dataclass.
        value: a mapping of its fields.
        place: where the value stands, for the error.

    Raises:
        Misfit: it does not fit.
    """
    if not is_object(value):
        raise Misfit(place, f"a mapping is expected, not {_shown(value)}")
    known: dict[str, Field[Any]] = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    for name in value:
        if name not in known:
            raise UnknownKey(place, name, known)
    for name, each in known.items():
        if name not in value and each.default is MISSING and each.default_factory is MISSING:
            raise Misfit(place, f"the key {name!r} is missing")
    hints = get_type_hints(kind)
    given = {name: convert(hints[name], each, f"{place}.{name}") for name, each in value.items()}
    try:
        return kind(**given)
    except Misfit:
        raise
    except (TypeError, ValueError) as error:
        raise Misfit(place, str(error)) from None


def convert(kind: Any, value: object, place: str) -> Any:
    """Return a value as what an annotation says.

    Raises:
        Misfit: it does not fit.
    """
    origin, members = get_origin(kind), get_args(kind)
    if origin is Union or isinstance(kind, types.UnionType):
        return _member(members, value, place)
    if origin is Literal:
        if value not in members:
            raise Misfit(place, f"one of {', '.join(map(repr, members))} is expected, not {_shown(value)}")
        return value
    if is_dataclass(kind) and isinstance(kind, type):
        return read(kind, value, place)
    if origin is not None and issubclass(origin, Mapping):
        if not is_object(value):
            raise Misfit(place, f"a mapping is expected, not {_shown(value)}")
        return {str(key): convert(members[1], each, f"{place}.{key}") for key, each in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return _float(value, place)
    if origin is not None and issubclass(origin, Sequence):
        if not is_sequence(value):
            raise Misfit(place, f"a list is expected, not {_shown(value)}")
        return [convert(members[0], each, f"{place}[{index}]") for index, each in enumerate(value)]
    return _plain(kind, value, place)


def _member(members: Sequence[Any], value: object, place: str) -> Any:
    """Return a value as the member of a union that its shape means."""
    if value is None and type(None) in members:
        return None
    rest = [each for each in members if each is not type(None)]
    classes = [each for each in rest if is_dataclass(each)]
    shaped = (classes if is_object(value) else [each for each in rest if each not in classes]) or rest
    for each in shaped[:-1]:
        with suppress(Misfit):
            return convert(each, value, place)
    return convert(shaped[-1], value, place)


def _plain(kind: Any, value: object, place: str) -> Any:
    if kind is object:
        return value
    if type(value) is not kind:
        names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
        raise Misfit(place, f"{names.get(kind, kind)} is expected, not {_shown(value)}")
    return value


def _float(value: int, place: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise Misfit(place, f"a number is expected, not {_shown(value)}") from None


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # a number of thousands of digits
        return "a number that is too long"
    return text if len(text) < 60 else f"{text[:57]}..."


def _named(place: str) -> str:
    return place.lstrip(".")[:200]

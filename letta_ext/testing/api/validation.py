"""Checks of single values, which say what is wrong in pydantic's words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeGuard

from . import errors

Place = tuple[str | int, ...]

NOT_AN_OBJECT = "Input should be a valid dictionary or object to extract fields from"
"""What pydantic says to a value where an object belongs."""

DEEPEST = 200
"""How deep a body may be nested."""

MOST_PROBLEMS = 1_000
"""How many problems of one request are told at most."""

LONGEST_NUMBER = 4_300
"""How many characters a number may have, to pydantic as to Python."""

_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")
_TRUE = ("true", "1", "yes", "y", "on", "t")
_FALSE = ("false", "0", "no", "n", "off", "f")


def is_object(value: object) -> TypeGuard[Mapping[str, object]]:
    """Tell whether the value came from a JSON object."""
    return isinstance(value, Mapping)


def is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    """Tell whether the value came from a JSON array."""
    return isinstance(value, list)


def cleaned(value: object, deepest: int = DEEPEST) -> object:
    """Return a JSON value without what the real server's database does not take: NUL, and halves of a character.

    Raises:
        RecursionError: If it is nested deeper than that.
    """
    if deepest < 0:
        raise RecursionError("nested too deeply")
    if isinstance(value, str):
        return value if value.isprintable() else _UNSTORABLE.sub("", value)
    if is_sequence(value):
        return [cleaned(item, deepest - 1) for item in value]
    if is_object(value):
        return {str(cleaned(name)): cleaned(item, deepest - 1) for name, item in value.items()}
    return value


def _one_of(choices: Sequence[str]) -> str:
    quoted = [repr(choice) for choice in choices]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


class Problems:
    """What is wrong with one request, in the order in which it was found."""

    def __init__(self) -> None:
        self.found: list[dict[str, object]] = []

    def add(self, kind: str, place: Place, message: str, value: object, **context: object) -> None:
        """Note a problem."""
        problem: dict[str, object] = {"type": kind, "loc": place, "msg": message, "input": value}
        if context:
            problem["ctx"] = context
        self.extend([problem])

    def extend(self, problems: Sequence[dict[str, object]]) -> None:
        """Note problems that were found elsewhere.

        Raises:
            errors.ApiError: If there are too many to go on.
        """
        self.found += problems
        if len(self.found) > MOST_PROBLEMS:
            raise errors.validation(self.found[:MOST_PROBLEMS])

    def missing(self, place: Place, around: object) -> None:
        """Note that a required field is missing."""
        self.add("missing", place, "Field required", around)

    def literal(self, place: Place, value: object, expected: str, kind: str = "literal_error") -> None:
        """Note that a value is none of those expected."""
        self.add(kind, place, f"Input should be {expected}", value, expected=expected)

    def pattern(self, place: Place, value: str, pattern: str, message: str) -> None:
        """Note a value that does not match, if it does not."""
        if not re.search(pattern, value) or value.endswith("\n"):
            self.add("string_pattern_mismatch", place, message, value, pattern=pattern)

    def bounds(self, place: Place, value: object, number: int, *, least: int, greatest: int) -> None:
        """Note a number that is out of its bounds, if it is."""
        if number < least:
            message = f"Input should be greater than or equal to {least}"
            self.add("greater_than_equal", place, message, value, ge=least)
        elif number > greatest:
            self.add("less_than_equal", place, f"Input should be less than or equal to {greatest}", value, le=greatest)

    def raise_if_any(self) -> None:
        """Raise the 422, if anything is wrong."""
        if self.found:
            raise errors.validation(self.found)


class Fields:
    """The fields of a body, of an object in it, or of a query; reading one notes what is wrong with it.

    Args:
        values: the fields.
        place: where they are, for the problems.
        problems: where problems are noted.
    """

    def __init__(self, values: Mapping[str, object], place: Place, problems: Problems) -> None:
        self.values = values
        self.place = place
        self.problems = problems

    def get(self, name: str) -> object:
        """Return a field as it is; None if it is absent or null."""
        return self.values.get(name)

    def refuse(self, message: str) -> None:
        """Note that the fields do not fit together."""
        self.problems.add(
            "value_error", self.place, f"Value error, {message}", dict(self.values), error=ValueError(message)
        )

    def text(self, name: str) -> str:
        """Return a required string."""
        if name not in self.values:
            self.problems.missing((*self.place, name), dict(self.values))
            return ""
        value = self.values[name]
        if isinstance(value, str):
            return value
        self.problems.add("string_type", (*self.place, name), "Input should be a valid string", value)
        return ""

    def optional_text(self, name: str) -> str | None:
        """Return a string, or None."""
        return None if self.get(name) is None else self.text(name)

    def integer(self, name: str, default: int) -> int:
        """Return an integer that is not null."""
        if name not in self.values:
            return default
        return self._integer(name, self.values[name])

    def optional_integer(self, name: str, default: int | None = None) -> int | None:
        """Return an integer, or None."""
        if name not in self.values:
            return default
        value = self.values[name]
        return None if value is None else self._integer(name, value)

    def _integer(self, name: str, value: object) -> int:
        place = (*self.place, name)
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, int):
            return value
        if isinstance(value, float):
            if not math.isfinite(value):
                self.problems.add("finite_number", place, "Input should be a finite number", value)
                return 0
            if value.is_integer():
                return int(value)
            message = "Input should be a valid integer, got a number with a fractional part"
            self.problems.add("int_from_float", place, message, value)
        elif isinstance(value, str):
            if len(value) > LONGEST_NUMBER:
                message = "Unable to parse input string as an integer, exceeded maximum size"
                self.problems.add("int_parsing_size", place, message, value)
                return 0
            if found := re.fullmatch(r"\s*([+-]?[0-9]+(?:_[0-9]+)*)(?:\.0+)?\s*", value):
                return int(found[1])
            message = "Input should be a valid integer, unable to parse string as an integer"
            self.problems.add("int_parsing", place, message, value)
        else:
            self.problems.add("int_type", place, "Input should be a valid integer", value)
        return 0

    def optional_number(self, name: str) -> float | None:
        """Return a number, or None."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, (int, float)):
            with suppress(OverflowError):
                return float(value)
        place = (*self.place, name)
        if isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                message = "Input should be a valid number, unable to parse string as a number"
                self.problems.add("float_parsing", place, message, value)
        else:
            self.problems.add("float_type", place, "Input should be a valid number", value)
        return None

    def boolean(self, name: str, default: bool | None) -> bool:
        """Return a boolean that is not null; without a default it is required."""
        if name not in self.values:
            if default is None:
                self.problems.missing((*self.place, name), dict(self.values))
            return bool(default)
        return self._boolean(name, self.values[name])

    def optional_boolean(self, name: str, default: bool | None = None) -> bool | None:
        """Return a boolean, or None."""
        if name not in self.values:
            return default
        value = self.values[name]
        return None if value is None else self._boolean(name, value)

    def _boolean(self, name: str, value: object) -> bool:
        if isinstance(value, bool):
            return value
        place = (*self.place, name)
        if isinstance(value, (int, float, str)):
            spelt = str(value).lower()
            if spelt in _TRUE:
                return True
            if spelt in _FALSE:
                return False
            message = "Input should be a valid boolean, unable to interpret input"
            self.problems.add("bool_parsing", place, message, value)
        else:
            self.problems.add("bool_type", place, "Input should be a valid boolean", value)
        return False

    def choice(self, name: str, default: str | None, choices: Sequence[str], kind: str = "literal_error") -> str:
        """Return one of the choices; without a default it is required."""
        if name not in self.values:
            if default is None:
                self.problems.missing((*self.place, name), dict(self.values))
            return default or ""
        value = self.values[name]
        if isinstance(value, str) and value in choices:
            return value
        self.problems.literal((*self.place, name), value, _one_of(choices), kind)
        return ""

    def optional_choice(self, name: str, choices: Sequence[str], kind: str = "literal_error") -> str | None:
        """Return one of the choices, or None."""
        return None if self.get(name) is None else self.choice(name, None, choices, kind)

    def items(self, name: str) -> Sequence[object] | None:
        """Return a list, or None."""
        value = self.get(name)
        if value is None:
            return None
        if is_sequence(value):
            return value
        self.problems.add("list_type", (*self.place, name), "Input should be a valid list", value)
        return None

    def optional_texts(self, name: str) -> list[str] | None:
        """Return a list of strings, or None."""
        items = self.items(name)
        if items is None:
            return None
        texts: list[str] = []
        for index, item in enumerate(items):
            if isinstance(item, str):
                texts.append(item)
            else:
                place = (*self.place, name, index)
                self.problems.add("string_type", place, "Input should be a valid string", item)
        return texts

    def optional_choices(self, name: str, choices: Sequence[str], kind: str = "enum") -> list[str] | None:
        """Return a list of choices, or None."""
        items = self.items(name)
        if items is None:
            return None
        chosen: list[str] = []
        for index, item in enumerate(items):
            if isinstance(item, str) and item in choices:
                chosen.append(item)
            else:
                self.problems.literal((*self.place, name, index), item, _one_of(choices), kind)
        return chosen

    def objects(self, name: str) -> Iterator[Fields]:
        """Yield the objects of a list."""
        for index, item in enumerate(self.items(name) or ()):
            place = (*self.place, name, index)
            if is_object(item):
                yield Fields(item, place, self.problems)
            else:
                self.problems.add("model_attributes_type", place, NOT_AN_OBJECT, item)

    def optional_dict(self, name: str) -> Mapping[str, object] | None:
        """Return an object of any fields, or None."""
        value = self.get(name)
        if value is None or is_object(value):
            return value
        self.problems.add("dict_type", (*self.place, name), "Input should be a valid dictionary", value)
        return None

    def optional_object(self, name: str) -> Fields | None:
        """Return an object, or None."""
        value = self.get(name)
        if value is None:
            return None
        if is_object(value):
            return Fields(value, (*self.place, name), self.problems)
        self.problems.add("model_attributes_type", (*self.place, name), NOT_AN_OBJECT, value)
        return None

"""Validation of single values, with pydantic's error messages."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeGuard

from . import errors

Location = tuple[str | int, ...]

NOT_AN_OBJECT = "Input should be a valid dictionary or object to extract fields from"
"""pydantic's message for a value that must be an object."""

MAX_DEPTH = 200
"""Maximum nesting depth of a body."""

MAX_PROBLEMS = 1_000
"""Maximum number of problems in one response."""

MAX_NUMBER_LENGTH = 4_300
"""Maximum number of digits of an integer, in pydantic and Python."""

_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")
_TRUE = ("true", "1", "yes", "y", "on", "t")
_FALSE = ("false", "0", "no", "n", "off", "f")


def is_object(value: object) -> TypeGuard[Mapping[str, object]]:
    """Return whether a value is a JSON object."""
    return isinstance(value, Mapping)


def is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    """Return whether a value is a JSON array."""
    return isinstance(value, list)


def sanitize(value: object, max_depth: int = MAX_DEPTH) -> object:
    """Return a JSON value without NUL and lone surrogates, which Letta's database does not store.

    Raises:
        RecursionError: If the value is nested too deeply.
    """
    if max_depth < 0:
        raise RecursionError("nested too deeply")
    if isinstance(value, str):
        return value if value.isprintable() else _UNSTORABLE.sub("", value)
    if is_sequence(value):
        return [sanitize(item, max_depth - 1) for item in value]
    if is_object(value):
        return {str(sanitize(name)): sanitize(item, max_depth - 1) for name, item in value.items()}
    return value


def _one_of(choices: Sequence[str]) -> str:
    quoted = [repr(choice) for choice in choices]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


class Problems:
    """The problems of one request, in order."""

    def __init__(self) -> None:
        self.found: list[dict[str, object]] = []

    def add(self, kind: str, location: Location, message: str, value: object, **context: object) -> None:
        """Record a problem."""
        problem: dict[str, object] = {"type": kind, "loc": location, "msg": message, "input": value}
        if context:
            problem["ctx"] = context
        self.extend([problem])

    def extend(self, problems: Sequence[dict[str, object]]) -> None:
        """Record several problems.

        Raises:
            errors.ApiError: If there are more than ``MAX_PROBLEMS``.
        """
        self.found += problems
        if len(self.found) > MAX_PROBLEMS:
            raise errors.validation(self.found[:MAX_PROBLEMS])

    def missing(self, location: Location, parent: object) -> None:
        """Record a missing required field."""
        self.add("missing", location, "Field required", parent)

    def literal(self, location: Location, value: object, expected: str, kind: str = "literal_error") -> None:
        """Record a value that is not one of the expected values."""
        self.add(kind, location, f"Input should be {expected}", value, expected=expected)

    def pattern(self, location: Location, value: str, pattern: str, message: str) -> None:
        """Record a value that does not match a pattern."""
        if not re.search(pattern, value) or value.endswith("\n"):
            self.add("string_pattern_mismatch", location, message, value, pattern=pattern)

    def bounds(self, location: Location, value: object, number: int, *, minimum: int, maximum: int) -> None:
        """Record a number that is out of bounds."""
        if number < minimum:
            message = f"Input should be greater than or equal to {minimum}"
            self.add("greater_than_equal", location, message, value, ge=minimum)
        elif number > maximum:
            self.add("less_than_equal", location, f"Input should be less than or equal to {maximum}", value, le=maximum)

    def raise_if_any(self) -> None:
        """Raise a 422 if there are problems."""
        if self.found:
            raise errors.validation(self.found)


class Fields:
    """The fields of a body, a nested object or a query. Reading a field records its problems.

    Args:
        values: The fields.
        location: Location of the fields.
        problems: Records the problems.
    """

    def __init__(self, values: Mapping[str, object], location: Location, problems: Problems) -> None:
        self.values = values
        self.location = location
        self.problems = problems

    def get(self, name: str) -> object:
        """Return a field unchanged, or None if it is absent or null."""
        return self.values.get(name)

    def add_value_error(self, message: str) -> None:
        """Record that the fields contradict each other."""
        self.problems.add(
            "value_error", self.location, f"Value error, {message}", dict(self.values), error=ValueError(message)
        )

    def text(self, name: str) -> str:
        """Return a required string."""
        if name not in self.values:
            self.problems.missing((*self.location, name), dict(self.values))
            return ""
        value = self.values[name]
        if isinstance(value, str):
            return value
        self.problems.add("string_type", (*self.location, name), "Input should be a valid string", value)
        return ""

    def optional_text(self, name: str) -> str | None:
        """Return a string, or None."""
        return None if self.get(name) is None else self.text(name)

    def integer(self, name: str, default: int) -> int:
        """Return an integer. null is invalid."""
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
        location = (*self.location, name)
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, int):
            return value
        if isinstance(value, float):
            if not math.isfinite(value):
                self.problems.add("finite_number", location, "Input should be a finite number", value)
                return 0
            if value.is_integer():
                return int(value)
            message = "Input should be a valid integer, got a number with a fractional part"
            self.problems.add("int_from_float", location, message, value)
        elif isinstance(value, str):
            if len(value) > MAX_NUMBER_LENGTH:
                message = "Unable to parse input string as an integer, exceeded maximum size"
                self.problems.add("int_parsing_size", location, message, value)
                return 0
            if found := re.fullmatch(r"\s*([+-]?[0-9]+(?:_[0-9]+)*)(?:\.0+)?\s*", value):
                return int(found[1])
            message = "Input should be a valid integer, unable to parse string as an integer"
            self.problems.add("int_parsing", location, message, value)
        else:
            self.problems.add("int_type", location, "Input should be a valid integer", value)
        return 0

    def optional_number(self, name: str) -> float | None:
        """Return a number, or None."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, (int, float)):
            with suppress(OverflowError):
                return float(value)
        location = (*self.location, name)
        if isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                message = "Input should be a valid number, unable to parse string as a number"
                self.problems.add("float_parsing", location, message, value)
        else:
            self.problems.add("float_type", location, "Input should be a valid number", value)
        return None

    def boolean(self, name: str, default: bool | None) -> bool:
        """Return a boolean. null is invalid, and without a default the field is required."""
        if name not in self.values:
            if default is None:
                self.problems.missing((*self.location, name), dict(self.values))
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
        location = (*self.location, name)
        if isinstance(value, (int, float, str)):
            text = str(value).lower()
            if text in _TRUE:
                return True
            if text in _FALSE:
                return False
            message = "Input should be a valid boolean, unable to interpret input"
            self.problems.add("bool_parsing", location, message, value)
        else:
            self.problems.add("bool_type", location, "Input should be a valid boolean", value)
        return False

    def choice(self, name: str, default: str | None, choices: Sequence[str], kind: str = "literal_error") -> str:
        """Return one of the choices. Without a default the field is required."""
        if name not in self.values:
            if default is None:
                self.problems.missing((*self.location, name), dict(self.values))
            return default or ""
        value = self.values[name]
        if isinstance(value, str) and value in choices:
            return value
        self.problems.literal((*self.location, name), value, _one_of(choices), kind)
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
        self.problems.add("list_type", (*self.location, name), "Input should be a valid list", value)
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
                location = (*self.location, name, index)
                self.problems.add("string_type", location, "Input should be a valid string", item)
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
                self.problems.literal((*self.location, name, index), item, _one_of(choices), kind)
        return chosen

    def objects(self, name: str) -> Iterator[Fields]:
        """Yield the objects of a list."""
        for index, item in enumerate(self.items(name) or ()):
            location = (*self.location, name, index)
            if is_object(item):
                yield Fields(item, location, self.problems)
            else:
                self.problems.add("model_attributes_type", location, NOT_AN_OBJECT, item)

    def optional_dict(self, name: str) -> Mapping[str, object] | None:
        """Return an object with arbitrary fields, or None."""
        value = self.get(name)
        if value is None or is_object(value):
            return value
        self.problems.add("dict_type", (*self.location, name), "Input should be a valid dictionary", value)
        return None

    def optional_object(self, name: str) -> Fields | None:
        """Return an object, or None."""
        value = self.get(name)
        if value is None:
            return None
        if is_object(value):
            return Fields(value, (*self.location, name), self.problems)
        self.problems.add("model_attributes_type", (*self.location, name), NOT_AN_OBJECT, value)
        return None

"""Validation of arguments against the annotations of the generated request builders.

Keys that a TypedDict does not declare are accepted: the server may be newer than the library.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from functools import cache
from io import TextIOBase
from operator import is_ as is_same
from types import NoneType, UnionType
from typing import IO, Any, Literal, NotRequired, Protocol, Required, Union, get_args, get_origin, is_typeddict

from letta_api.json_values import is_iterable
from letta_api.model import generated_kind
from letta_api.types import Unset

from .._types import exact, is_id, is_mapping, is_sequence, is_tuple
from ..config import check_number
from .encodable import check_json, decoded_layers


class Check(Protocol):
    """A validator of one annotation."""

    def __call__(self, value: Any, path: str) -> None:
        """Raise an error with the path of the value if it does not match the annotation."""

    def plain(self, value: Any) -> Any:
        """Return the value in its plain form. Values that do not match are returned unchanged."""
        ...

    def expected(self) -> list[str]:
        """Return descriptions of valid values for error messages."""
        ...


NAMES = {
    str: ["a string"],
    int: ["an integer"],
    float: ["a number"],
    bool: ["True", "False"],
    NoneType: ["None"],
    bytes: ["bytes"],
}
SCALARS = (str, int, float, NoneType)
MAX_REPR_CHARS = 80
MANY_BITS = 1_000
"""Bits above which an integer may exceed Python's limit on digits, which is at least 640."""


def check_bounds(bounds: Mapping[str, tuple[float | None, float | None]], given: Mapping[str, Any]) -> None:
    """Check numbers against the `minimum` and `maximum` of the API document.

    Raises:
        ValueError: If a number is out of bounds.
    """
    for name in bounds.keys() & given.keys():
        minimum, maximum = bounds[name]
        value = given[name]
        if not isinstance(value, (int, float)):
            continue
        if (minimum is not None and value < minimum) or (maximum is not None and value > maximum) or value != value:
            allowed = f"{minimum} or more" if maximum is None else f"from {minimum} to {maximum}"
            raise ValueError(f"{name} must be {allowed}, got {_short_repr(value)}")


def check_arguments(build_request: Callable[..., Any], ids: Sequence[Any], given: Mapping[str, Any]) -> None:
    """Check the arguments of a call.

    Args:
        build_request: The generated request builder, whose annotations are checked against.
        ids: The positional arguments.
        given: The keyword arguments.

    Raises:
        TypeError: If a value has the wrong type.
        ValueError: If a literal is not documented, a required key is missing, or an id is malformed.
    """
    checks = _checks(build_request)
    for (name, check), value in zip(checks.items(), ids, strict=False):
        check(value, name)
        if isinstance(value, str):
            (check_id if name == "id" or name.endswith("_id") else check_segment)(name, value)
    for name, value in given.items():
        checks[name](value, name)


def check_id(name: str, value: str) -> None:
    """Check the characters of an id. Percent-encoded, others could address another resource.

    Raises:
        ValueError: If the id contains characters other than letters, digits, underscores and hyphens.
    """
    if not is_id(value):
        raise ValueError(f"{name} must be an id{_example(name)}, got {_short_repr(value)}")


def check_segment(name: str, value: str) -> None:
    """Check that a string in a path, other than an id, is one segment, also for servers that decode it repeatedly.

    Raises:
        ValueError: If it could address another resource.
    """
    if any(map(_is_not_a_segment, decoded_layers(value))):
        rule = "a path segment: text without slashes, backslashes and control characters, and not a dot segment"
        raise ValueError(f"{name} must be {rule}, got {_short_repr(value)}")


def _is_not_a_segment(text: str) -> bool:
    # Some servers strip path parameters, which start with a semicolon.
    return not text.isprintable() or "/" in text or "\\" in text or text.partition(";")[0] in ("", ".", "..")


def _example(name: str) -> str:
    kind = name.removesuffix("_id")
    return f" such as '{kind[:4]}-<uuid4>'" if kind != name else ""


@cache
def _checks(build_request: Callable[..., Any]) -> dict[str, Check]:
    hints = typing.get_type_hints(build_request)
    return {name: _compile(hint) for name, hint in hints.items() if name != "return"}


def plain(build_request: Callable[..., Any], name: str, value: Any) -> Any:
    """Return an argument with lists for documented iterables, and JSON for models of other libraries."""
    check = _checks(build_request).get(name)
    try:
        return value if check is None else check.plain(value)
    except RecursionError:
        return value  # contains itself, or is nested too deeply: see `check_arguments`


def from_model(value: Any) -> Any:
    """Return the JSON of a model of another library, with its defaults and without its fields that are None."""
    if is_mapping(value) or isinstance(value, type) or generated_kind(value):
        return value
    if callable(dump := getattr(value, "model_dump", None)):
        data = dump(mode="json", by_alias=True, exclude_none=True)
    elif callable(to_dict := getattr(value, "to_dict", None)):
        data = to_dict()
    else:
        return value
    return data if is_mapping(data) else value


def _unless_equal(items: list[Any], value: Any) -> Any:
    """Return the list, or the sequence that has the same items already."""
    same = is_sequence(value) and all(map(is_same, items, value))
    return value if same else items


def is_unset_type(hint: Any) -> bool:
    """Return whether a type is the `Unset` of any generated package."""
    return hint is Unset or (isinstance(hint, type) and issubclass(hint, Enum) and hint.__name__ == Unset.__name__)


@cache
def _compile(hint: Any) -> Check:
    if hint is Any:
        return _AnyJson()
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (NotRequired, Required):
        return _compile(arguments[0])
    if origin in (Union, UnionType):
        return _Union(tuple(a for a in arguments if not is_unset_type(a)))
    if origin is Literal:
        return _OneOfLiterals(arguments)
    if is_typeddict(hint):
        return _TypedDict(hint)
    if origin is tuple:
        return _Tuple(arguments)
    if origin is IO:
        return _BinaryFile()
    if origin is not None and issubclass(origin, Mapping):
        return _Mapping(arguments[1])
    if origin is not None and issubclass(origin, Iterable):
        return _Sequence(arguments[0])
    return _Date(aware=hint is datetime) if hint in (date, datetime) else _Scalar(hint)


def _short_repr(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # integers of too many digits, and classes of the caller
        text = type(value).__name__
    return text if len(text) <= MAX_REPR_CHARS else text[: MAX_REPR_CHARS - 1] + "…"


def _join_or(options: Iterable[str]) -> str:
    *others, last = dict.fromkeys(options)
    return f"{', '.join(others)} or {last}" if others else last


def _message(check: Check, value: Any, path: str) -> str:
    return f"{path} must be {_join_or(check.expected())}, got {_short_repr(value)}"


class _AnyJson:
    """Any JSON value."""

    def __call__(self, value: Any, path: str) -> None:
        check_json(path, value)

    def plain(self, value: Any) -> Any:
        return value

    def expected(self) -> list[str]:
        return ["a JSON value"]


class _Scalar:
    """A scalar. An integer is a valid float; a bool is neither."""

    def __init__(self, hint: type) -> None:
        self.hint = hint

    def __call__(self, value: Any, path: str) -> None:
        accepted: tuple[type, ...] = (int, float) if self.hint is float else (self.hint,)
        if not isinstance(value, accepted) or (isinstance(value, bool) and self.hint is not bool):
            raise TypeError(_message(self, value, path))
        if isinstance(value, int) and value.bit_length() > MANY_BITS:
            check_number(path, value)

    def plain(self, value: Any) -> Any:
        return exact(value)

    def expected(self) -> list[str]:
        return NAMES.get(self.hint, [f"a {self.hint.__name__}"])


class _Date:
    """A date, or a date-time with a time zone."""

    def __init__(self, *, aware: bool) -> None:
        self.aware = aware

    def __call__(self, value: Any, path: str) -> None:
        if isinstance(value, datetime) and value.utcoffset() is None:
            remedy = "Pass value.astimezone() for local time, or value.replace(tzinfo=timezone.utc) for UTC."
            raise ValueError(f"{path} must have a time zone, got {value!r}. {remedy}")
        if not isinstance(value, date) or isinstance(value, datetime) is not self.aware:
            raise TypeError(_message(self, value, path))

    def plain(self, value: Any) -> Any:
        return value

    def expected(self) -> list[str]:
        return ["a datetime with a time zone" if self.aware else "a date"]


class _OneOfLiterals:
    """One of several literals."""

    def __init__(self, options: tuple[Any, ...]) -> None:
        self.options = options

    def __call__(self, value: Any, path: str) -> None:
        found = exact(value)  # 1 equals True
        if not any(found == option and type(found) is type(option) for option in self.options):
            raise ValueError(_message(self, value, path))

    def plain(self, value: Any) -> Any:
        return exact(value)

    def expected(self) -> list[str]:
        return [repr(option) for option in self.options]


class _Sequence:
    """A list or tuple."""

    def __init__(self, hint: Any) -> None:
        self.hint = hint

    def __call__(self, value: Any, path: str) -> None:
        if not is_sequence(value):
            raise TypeError(_message(self, value, path))
        check = _compile(self.hint)
        for index, item in enumerate(value):
            check(item, f"{path}[{index}]")

    def plain(self, value: Any) -> Any:
        if not is_iterable(value) or hasattr(value, "model_dump"):
            return value
        check = _compile(self.hint)
        return _unless_equal([check.plain(item) for item in value], value)

    def expected(self) -> list[str]:
        return ["a list"]


class _Tuple:
    """A tuple of a fixed length, such as the name and the content of a file."""

    def __init__(self, hints: tuple[Any, ...]) -> None:
        self.hints = hints

    def __call__(self, value: Any, path: str) -> None:
        if not is_tuple(value) or len(value) != len(self.hints):
            raise TypeError(_message(self, value, path))
        for index, hint in enumerate(self.hints):
            _compile(hint)(value[index], f"{path}[{index}]")

    def plain(self, value: Any) -> Any:
        return value

    def expected(self) -> list[str]:
        return [f"a tuple of {len(self.hints)}"]


class _BinaryFile:
    """An open binary file."""

    def __call__(self, value: Any, path: str) -> None:
        if not callable(getattr(value, "read", None)) or isinstance(value, TextIOBase):
            raise TypeError(_message(self, value, path))

    def plain(self, value: Any) -> Any:
        return value

    def expected(self) -> list[str]:
        return ["a file that is open in binary mode"]


class _Mapping:
    """A mapping with arbitrary keys."""

    def __init__(self, hint: Any) -> None:
        self.hint = hint

    def __call__(self, value: Any, path: str) -> None:
        if not is_mapping(value):
            raise TypeError(_message(self, value, path))
        check = _compile(self.hint)
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{path} must have strings as keys, got {_short_repr(key)}")
            check(item, f"{path}[{key!r}]")

    def plain(self, value: Any) -> Any:
        value, check = from_model(value), _compile(self.hint)
        return {key: check.plain(item) for key, item in value.items()} if is_mapping(value) else value

    def expected(self) -> list[str]:
        return ["a mapping"]


class _TypedDict:
    """A TypedDict, or the model with the same fields."""

    def __init__(self, hint: Any) -> None:
        self.hint = hint

    def __call__(self, value: Any, path: str) -> None:
        if kind := generated_kind(value):
            if kind == "unknown":
                return  # decoded from a response, and encoded unchanged
            if type(value).__name__ != self.model():
                raise TypeError(f"{path} must be {self.model()} or a mapping, got {type(value).__name__}")
            value = value.to_dict()
        if not is_mapping(value):
            raise TypeError(_message(self, value, path))
        hints = _hints(self.hint)
        for key in sorted(_required(self.hint)):
            if key not in value:
                raise ValueError(f"{path} must have the key {key!r}, got {_short_repr(value)}")
        for key, item in value.items():
            if key in hints:
                _compile(hints[key])(item, f"{path}.{key}")
            elif not isinstance(key, str):
                raise TypeError(f"{path} must have strings as keys, got {type(key).__name__}")
            else:
                check_json(f"{path}[{key!r}]", item)

    def model(self) -> str:
        """Return the name of the model with the same fields."""
        return str(self.hint.__name__).removesuffix("Param")

    def discriminators(self) -> dict[str, Any]:
        """Return the fields with a single literal value, which identify the TypedDict in a union."""
        literals = {key: get_args(hint) for key, hint in _hints(self.hint).items() if get_origin(hint) is Literal}
        return {key: values[0] for key, values in literals.items() if len(values) == 1}

    def distance(self, value: Mapping[str, Any]) -> tuple[int, int]:
        """Return a sort key: mappings with more shared and fewer missing keys are closer."""
        return -len(_hints(self.hint).keys() & value.keys()), len(_required(self.hint) - value.keys())

    def plain(self, value: Any) -> Any:
        value, hints = from_model(value), _hints(self.hint)
        if not is_mapping(value):
            return value
        return {key: _compile(hints[key]).plain(item) if key in hints else item for key, item in value.items()}

    def expected(self) -> list[str]:
        return ["a mapping"]


@cache
def _hints(hint: Any) -> dict[str, Any]:
    return typing.get_type_hints(hint)


@cache
def _required(hint: Any) -> frozenset[str]:
    # `__required_keys__` contains all keys if the annotations are strings.
    hints = typing.get_type_hints(hint, include_extras=True)
    return frozenset(key for key, annotation in hints.items() if get_origin(annotation) is not NotRequired)


class _Union:
    """A union. Mappings are matched by discriminators and keys."""

    def __init__(self, hints: tuple[Any, ...]) -> None:
        checks = [_compile(hint) for hint in hints]
        self.checks: list[Check] = [
            c for check in checks for c in (check.checks if isinstance(check, _Union) else [check])
        ]
        self.keyed = [c for c in self.checks if isinstance(c, _TypedDict)]
        self.others = [c for c in self.checks if not isinstance(c, _TypedDict)]

    def __call__(self, value: Any, path: str) -> None:
        selected = None if isinstance(value, SCALARS) else self._select(value)
        if selected is not None:
            selected(value, path)
            return
        for check in self.others:
            try:
                check(value, path)
            except (TypeError, ValueError):
                continue
            return
        self._raise_mismatch(value, path)

    def _select(self, value: Any) -> Check | None:
        """Return the member of the union that the value is intended for, or None if several are possible."""
        if kind := generated_kind(value):
            named = [c for c in self.keyed if kind == "unknown" or c.model() == type(value).__name__]
            return named[0] if named else None
        if is_mapping(value) and self.keyed:
            fitting = [
                c for c in self.keyed if all(value[k] == tag for k, tag in c.discriminators().items() if k in value)
            ]
            return min(fitting, key=lambda c: c.distance(value), default=None)
        kinds = _Mapping if is_mapping(value) else _Sequence if is_sequence(value) else ()
        found = [c for c in self.checks if isinstance(c, kinds)]
        return found[0] if len(found) == 1 else None

    def _raise_mismatch(self, value: Any, path: str) -> None:
        if generated_kind(value) == "model":
            models = [c.model() for c in self.keyed] or self.expected()
            raise TypeError(f"{path} must be {_join_or(models)}, got {type(value).__name__}")
        if is_mapping(value):
            known: dict[str, list[str]] = {}
            for check in self.keyed:
                for key, literal in check.discriminators().items():
                    known.setdefault(key, []).append(repr(literal))
            for key, options in known.items():
                if key in value and repr(value[key]) not in options:
                    raise ValueError(f"{path}.{key} must be {_join_or(options)}, got {_short_repr(value[key])}")
        for other in self.checks:
            if isinstance(other, _Date) and isinstance(value, date):
                other(value, path)  # names the remedy for a date-time without a time zone
        literal = isinstance(value, str) and any(isinstance(c, _OneOfLiterals) for c in self.checks)
        raise (ValueError if literal else TypeError)(_message(self, value, path))

    def plain(self, value: Any) -> Any:
        if isinstance(value, SCALARS) or generated_kind(value):
            return exact(value)
        if self.keyed or any(isinstance(check, _Mapping) for check in self.checks):
            value = from_model(value)
        if is_mapping(value):
            selected = self._select(value)
        else:
            selected = next((check for check in self.checks if isinstance(check, _Sequence)), None)
        return value if selected is None else selected.plain(value)

    def expected(self) -> list[str]:
        return [name for check in self.checks for name in check.expected()]

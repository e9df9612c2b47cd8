"""JSON values: their types, the decoders of arrays, objects and nullable values, and their encoding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, TypeGuard, TypeVar

from .errors import DecodeError
from .structs import DECODE_ERRORS, OrNull, OrText

T = TypeVar("T")


class Encodable:
    """The base class of models and of unknown members of unions."""

    __slots__ = ()

    def to_dict(self) -> Any:
        """Return the JSON value."""
        raise NotImplementedError


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Return whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Return whether a JSON value is an array."""
    return isinstance(value, list)


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether an argument is a mapping."""
    return isinstance(value, Mapping)


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Return whether an argument is a sequence other than a string or bytes."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))


def is_iterable(value: object) -> TypeGuard[Iterable[Any]]:
    """Return whether an argument is an iterable of values: not a string, bytes, a mapping or a model."""
    scalars = (str, bytes, bytearray, memoryview, Mapping, Encodable, type)
    return isinstance(value, Iterable) and not isinstance(value, scalars)


def ensure_array(value: Any) -> list[Any]:
    """Return a JSON array, or raise TypeError for another value."""
    if value.__class__ is not list and not is_array(value):  # avoids a call for an exact list
        raise TypeError(f"is {json_type(value)}, not an array")
    return value


def ensure_object(value: Any) -> dict[str, Any]:
    """Return a JSON object, or raise TypeError for another value."""
    if not is_object(value):
        raise TypeError(f"is {json_type(value)}, not an object")
    return value


def array(decode: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    """Return a decoder of arrays. Its errors name the index."""

    def decode_items(value: Any) -> list[T]:
        return decode_array(decode, value)

    return decode_items


def decode_array(decode: Callable[[Any], T], value: Any) -> list[T]:
    """Decode an array. An error names the index."""
    items = ensure_array(value)
    try:
        return [decode(item) for item in items]
    except DECODE_ERRORS:  # again, for the index in the error
        return [decode_at(index, decode, item) for index, item in enumerate(items)]


class LazyValue(list[T]):
    """The base class of lists whose items can be undecoded."""

    __slots__ = ()

    def raw_items(self) -> list[Any]:
        """Return the items without decoding them."""
        return list(super().__iter__())

    def preview(self, limit: int) -> list[Any]:
        """Return the first items for a repr."""
        return self.raw_items()[:limit]

    def to_json_value(self) -> list[Any]:
        """Return the JSON array."""
        return [to_json_value(item) for item in self.raw_items()]


def mapping(decode: Callable[[Any], T]) -> Callable[[Any], dict[str, T]]:
    """Return a decoder of objects with arbitrary keys. Its errors name the key."""

    def decode_mapping(value: Any) -> dict[str, T]:
        items = ensure_object(value)
        try:
            return {key: decode(item) for key, item in items.items()}
        except DECODE_ERRORS:  # again, for the key in the error
            return {key: decode_at(key, decode, item) for key, item in items.items()}

    return decode_mapping


def nullable(decode: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """Return a decoder that accepts null."""
    return OrNull(decode)


def or_text(decode: Callable[[Any], T]) -> Callable[[Any], T | str]:
    """Return a decoder that passes strings through."""
    return OrText(decode)


def decode_at(step: str | int, decode: Callable[[Any], T], value: Any) -> T:
    """Decode the value of a key or an index. An error names the step."""
    try:
        return decode(value)
    except DecodeError as fault:
        raise fault.prefixed(step) from None
    except DECODE_ERRORS as fault:
        raise DecodeError("", f"cannot be decoded: {fault}").prefixed(step) from fault


def to_json_value(value: Any) -> Any:
    """Return the JSON form of a value."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Encodable):
        return value.to_dict()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, LazyValue):
        return value.to_json_value()
    if is_mapping(value):
        return {key: to_json_value(item) for key, item in value.items()}
    if generated_kind(value):
        return value.to_dict()  # of another generated package
    if is_iterable(value):
        return [to_json_value(item) for item in value]
    return value


def generated_kind(value: object) -> str | None:
    """Return whether a value is a `model` or an `unknown` union member of any generated package, or else None."""
    kind: str | None = getattr(type(value), "_generated", None)
    return kind


def json_type(value: Any) -> str:
    """Return the type of a JSON value with its article."""
    name = type(value).__name__
    names = {"NoneType": "null", "str": "a string", "bool": "a boolean", "int": "a number", "float": "a number"}
    return (names | {"list": "an array", "dict": "an object"}).get(name, f"a {name}")


def short_repr(value: object, limit: int = 200) -> str:
    """Return a truncated repr."""
    if isinstance(value, (str, bytes)) and len(value) > limit:
        text = f"{value[: limit // 2]!r}…{value[-limit // 4 :]!r}"
    elif is_array(value) and len(value) > limit // 8:
        first = value.preview(limit // 40) if isinstance(value, LazyValue) else value[: limit // 40]
        text = f"[{', '.join(map(repr, first))}, … {len(value)} in all]"
    else:
        text = repr(value)
    return text if len(text) <= 2 * limit else f"{text[:limit]}…{text[-limit // 4 :]}"


def is_undecoded(value: Any) -> bool:
    """Return whether an argument holds JSON where a decoded value can be."""
    if isinstance(value, (str, Mapping)):
        return True
    return is_sequence(value) and not isinstance(value, LazyValue) and any(map(is_undecoded, value))

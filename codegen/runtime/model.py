"""The base class of models, and the decoders and encoders of JSON values.

An absent field is an empty slot: it reads as None, or as the constant of a discriminator, and `to_dict` omits it.
So `to_dict` returns the decoded JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeGuard, TypeVar

from attrs import NOTHING, Attribute, define, field, frozen

from .compiled_decoders import from_object, from_struct
from .errors import DecodeError
from .structs import (
    ABSENT,
    DECODE_ERRORS,
    FALLBACK_ERRORS,
    PARSERS,
    Decoders,
    Discriminator,
    FieldTable,
    OrNull,
    OrText,
    StructFields,
    create,
    parse_json,
)

T = TypeVar("T")


@define(kw_only=True, eq=False, repr=False, getstate_setstate=False)
class Model:
    """A JSON object with known fields.

    `_field_table` is derived from the annotations of a subclass: a field without a default is required, the default
    `ABSENT` marks an optional field, a string marks a constant. `_keys` maps field names to JSON keys that differ, and
    `_decoders` maps them to decoders. `_generated` marks models for other generated packages.
    """

    _keys: ClassVar[dict[str, str]] = {}
    _decoders: ClassVar[Decoders] = {}
    _field_table: ClassVar[FieldTable] = {}
    _required: ClassVar[tuple[str, ...]] = ()
    _absent: ClassVar[dict[str, Any]] = {}
    _generated: ClassVar[str] = "model"
    _extra: dict[str, Any] | None = field(default=None, init=False)

    def __init_subclass__(cls) -> None:
        attributes = vars(cls).get("__attrs_attrs__")  # absent until attrs has created the slotted class
        if attributes is not None and Model in cls.__bases__:
            table: FieldTable = {}
            for each in attributes:
                if not each.inherited:
                    name: str = each.name
                    table[cls._keys.get(name, name)] = cls._table_row(each)
            cls._field_table = table
        cls._required = tuple(key for key, (_, required, _) in cls._field_table.items() if required)
        cls._absent = {
            name: decode.value if isinstance(decode, Discriminator) else None
            for name, required, decode in cls._field_table.values()
            if not required
        }
        for name in ("_from_struct", "_from_object"):
            # Each class compiles its own.
            if (found := getattr_static(cls, name)) is vars(Model)[name] or isinstance(found, staticmethod):
                setattr(cls, name, vars(Model)[name])

    @classmethod
    def _table_row(cls, attribute: Attribute[Any]) -> tuple[str, bool, Callable[[Any], Any] | Discriminator | None]:
        name, default = attribute.name, attribute.default
        decode = cls._decoders.get(name)
        if default is NOTHING or default is ABSENT:
            return name, default is NOTHING, decode
        tag = decode if isinstance(decode, Discriminator) else Discriminator(str(default))
        return name, tag.required, tag

    def __attrs_post_init__(self) -> None:
        for name in self._absent:
            if getattr(self, name) is ABSENT:
                delattr(self, name)

    if not TYPE_CHECKING:  # type checkers report misspelled fields

        def __getattr__(self, name: str) -> Any:
            try:
                return self._absent[name]
            except KeyError:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None

    @property
    def fields_set(self) -> frozenset[str]:
        """The names of the fields that were received or assigned. Other fields are absent and read as None."""
        return frozenset(self._present())

    @property
    def extra_fields(self) -> Mapping[str, Any]:
        """The received fields that are not documented, as JSON values."""
        return {key: value for key, value in (self._extra or {}).items() if key not in self._field_table}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Decode a JSON object.

        Raises:
            DecodeError: If a required field is missing or a value is malformed, with its path.
        """
        try:
            found = cls._from_object(data)
            if found is not None:
                return found
        except DECODE_ERRORS:
            pass  # decode by key, which accepts absent fields and reports errors
        return cls._decode_by_key(data)

    @classmethod
    def _from_object(cls, data: Any) -> Self | None:
        """Decode a JSON object with all fields, or return None."""
        read = from_object(cls)
        cls._from_object = staticmethod(read)  # type: ignore[method-assign, assignment]  # cached
        found: Self | None = read(data)
        return found

    @classmethod
    def _decode_by_key(cls, data: Mapping[str, Any]) -> Self:
        """Decode a JSON object key by key: the fallback for absent fields and earlier spellings.

        Raises:
            DecodeError: If a required field is missing or a value is malformed, with its path.
        """
        if not isinstance(data, dict) and not is_mapping(data):  # the check of a dict is faster
            raise DecodeError("", f"is {_json_type(data)}, not an object ({cls.__name__})")
        for key in cls._required:
            if key not in data:
                raise DecodeError(key, f"is required and missing ({cls.__name__})")
        self = create(cls)
        table = cls._field_table
        extra: dict[str, Any] = {}
        for key, value in data.items():
            if key not in table:
                extra[key] = value
                continue
            name, _, decode = table[key]
            if decode is None:
                pass
            elif isinstance(decode, Discriminator):
                if value in decode.earlier:
                    extra[key] = value  # `to_dict` returns the received spelling
                elif value != decode.value:
                    raise DecodeError(key, f"is {value!r}, not {decode.value!r}")
                value = decode.value
            else:
                try:
                    value = decode(value)
                except DecodeError as fault:
                    raise fault.prefixed(key) from None
                except DECODE_ERRORS as fault:
                    raise DecodeError(key, f"cannot be decoded: {fault}") from fault
            setattr(self, name, value)
        self._extra = extra or None
        return self

    @classmethod
    def _from_struct(cls, struct: Any) -> Self:
        """Convert a struct that msgspec has filled.

        Raises:
            KeyError, TypeError, ValueError, AttributeError or OverflowError: If a value is malformed.
        """
        if getattr(cls.from_dict, "__func__", None) is not vars(Model)["from_dict"].__func__:
            raise TypeError(f"{cls.__name__} overrides from_dict, which then decodes text too")
        convert = from_struct(cls)
        cls._from_struct = staticmethod(convert)  # type: ignore[method-assign, assignment]  # cached
        model: Self = convert(struct)
        return model

    @classmethod
    def _struct_fields(cls) -> StructFields:
        """Return the struct types of the fields that hold models."""
        return {}

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Decode JSON text.

        Raises:
            DecodeError: As in `from_dict`, and if the text is not JSON.
        """
        try:
            return cls._from_struct(PARSERS[cls](text))
        except FALLBACK_ERRORS:
            pass
        return cls.from_dict(parse_json(text))

    @classmethod
    def _unknown(cls, data: Mapping[str, Any]) -> dict[str, Any] | None:
        return {key: value for key, value in data.items() if key not in cls._field_table} or None

    def _present(self) -> dict[str, Any]:
        """Return the fields that are set, by name."""
        found: dict[str, Any] = {}
        for name, _, _ in self._field_table.values():
            try:
                found[name] = object.__getattribute__(self, name)  # raises for an empty slot
            except AttributeError:
                continue
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object: the fields that are set, and unknown fields as received."""
        out: dict[str, Any] = {}
        for key, (name, _, _) in self._field_table.items():
            try:
                out[key] = to_json_value(object.__getattribute__(self, name))
            except AttributeError:
                continue
        if self._extra:
            out.update(self._extra)
        return out

    def to_json(self) -> str:
        """Return the JSON text of `to_dict`."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def __eq__(self, other: object) -> bool:
        """Compare the values of all fields. Absent fields equal None."""
        if not isinstance(other, Model) or type(other) is not type(self):
            return NotImplemented
        names = [name for name, _, _ in self._field_table.values()]
        return all(getattr(self, n) == getattr(other, n) for n in names) and (self._extra or {}) == (other._extra or {})

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        shown = [f"{name}={_short(value)}" for name, value in self._present().items() if value is not None]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """Return an HTML table for notebooks."""
        from html import escape  # needed in notebooks only

        rows = [
            f"<tr><th>{escape(name)}</th><td>{escape(_short(value, 1000))}</td></tr>"
            for name, value in self._present().items()
            if value is not None
        ]
        return f"<table><caption>{type(self).__name__}</caption>{''.join(rows)}</table>"

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[dict[str, Any], dict[str, Any] | None]]:
        return self._restore, (self._present(), self._extra)

    @classmethod
    def _restore(cls, fields: dict[str, Any], extra: dict[str, Any] | None) -> Self:
        """Create a model for `copy` and `pickle`. Absent fields stay absent."""
        self = cls.__new__(cls)
        for name, value in fields.items():
            setattr(self, name, value)
        self._extra = extra
        return self


def _short(value: object, limit: int = 200) -> str:
    """Return a truncated repr."""
    if isinstance(value, (str, bytes)) and len(value) > limit:
        text = f"{value[: limit // 2]!r}…{value[-limit // 4 :]!r}"
    elif is_array(value) and len(value) > limit // 8:
        first = value.preview(limit // 40) if isinstance(value, LazyValue) else value[: limit // 40]
        text = f"[{', '.join(map(repr, first))}, … {len(value)} in all]"
    else:
        text = repr(value)
    return text if len(text) <= 2 * limit else f"{text[:limit]}…{text[-limit // 4 :]}"


@frozen
class Unknown:
    """A union member that is unknown to this package, or malformed.

    Attributes:
        raw: The received JSON value.
        reason: The reason why no known member matches.
    """

    _generated: ClassVar[str] = "unknown"
    raw: Any = field(repr=_short)
    reason: str

    def to_dict(self) -> Any:
        """Return the received JSON value."""
        return self.raw


def unknown_reason(data: Any, tag: str, known: Mapping[str, Any], fault: Exception) -> str:
    """Return the reason why a member was not decoded."""
    if not is_mapping(data):
        return f"is {_json_type(data)}, not an object"
    if tag not in data:
        return f"has no {tag}"
    if not isinstance(data[tag], str) or data[tag] not in known:
        return f"{tag} {data[tag]!r} is not known"
    return str(fault)


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


def ensure_array(value: Any) -> list[Any]:
    """Return a JSON array, or raise TypeError for another value."""
    if value.__class__ is not list and not is_array(value):  # avoids a call for an exact list
        raise TypeError(f"is {_json_type(value)}, not an array")
    return value


def ensure_object(value: Any) -> dict[str, Any]:
    """Return a JSON object, or raise TypeError for another value."""
    if not is_object(value):
        raise TypeError(f"is {_json_type(value)}, not an object")
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
    if isinstance(value, (Model, Unknown)):
        return value.to_dict()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, LazyValue):
        return value.to_json_value()
    if is_mapping(value):
        return {key: to_json_value(item) for key, item in value.items()}
    if is_sequence(value):
        return [to_json_value(item) for item in value]
    if generated_kind(value):
        return value.to_dict()  # of another generated package
    return value


def generated_kind(value: object) -> str | None:
    """Return whether a value is a `model` or an `unknown` union member of any generated package, or else None."""
    kind: str | None = getattr(type(value), "_generated", None)
    return kind


def _json_type(value: Any) -> str:
    name = type(value).__name__
    names = {"NoneType": "null", "str": "a string", "bool": "a boolean", "int": "a number", "float": "a number"}
    return (names | {"list": "an array", "dict": "an object"}).get(name, f"a {name}")

"""What the models share: presence, unknown fields, the way to and from JSON.

A field that the server did not send is an empty slot. Reading it gives None (or the literal, for a tag), assigning it
fills it, and `to_dict` leaves it out, so that a model gives back exactly what it was read from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeGuard, TypeVar

from attrs import NOTHING, Attribute, define, field, frozen

from .compiled_readers import from_object, from_struct
from .errors import DecodeError
from .structs import (
    ABSENT,
    FALLBACK_ERRORS,
    FAULTS,
    PARSERS,
    Decoders,
    Discriminator,
    FieldTable,
    Forms,
    OrNull,
    OrText,
    create,
    values_of,
)

T = TypeVar("T")


@define(kw_only=True, eq=False, repr=False, getstate_setstate=False)
class Model:
    """A JSON object with known fields.

    A model has annotations with defaults, of which `_wire` is made: a field without one is required, `ABSENT` is the
    default of an optional one, and a text that of a literal. `_keys` has the keys that are not those names, and
    `_decoders` decodes what is not taken as it is.
    """

    _keys: ClassVar[dict[str, str]] = {}
    _decoders: ClassVar[Decoders] = {}
    _wire: ClassVar[FieldTable] = {}
    _required: ClassVar[tuple[str, ...]] = ()
    _absent: ClassVar[dict[str, Any]] = {}
    _extra: dict[str, Any] | None = field(default=None, init=False)

    def __init_subclass__(cls) -> None:
        attributes = vars(cls).get("__attrs_attrs__")  # not there yet when attrs is still to make a class of this one
        if attributes is not None and Model in cls.__bases__:
            wire: FieldTable = {}
            for each in attributes:
                if not each.inherited:
                    name: str = each.name
                    wire[cls._keys.get(name, name)] = cls._row(each)
            cls._wire = wire
        cls._required = tuple(key for key, (_, required, _) in cls._wire.items() if required)
        cls._absent = {
            name: decode.value if isinstance(decode, Discriminator) else None
            for name, required, decode in cls._wire.values()
            if not required
        }
        for name in ("from_parts", "_from_object"):
            # Each class has its own: what is compiled for one makes objects of that one.
            if (found := getattr_static(cls, name)) is vars(Model)[name] or isinstance(found, staticmethod):
                setattr(cls, name, vars(Model)[name])

    @classmethod
    def _row(cls, attribute: Attribute[Any]) -> tuple[str, bool, Callable[[Any], Any] | Discriminator | None]:
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

    if not TYPE_CHECKING:  # a checker shall still report misspelt fields

        def __getattr__(self, name: str) -> Any:
            try:
                return self._absent[name]
            except KeyError:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None

    @property
    def fields_set(self) -> frozenset[str]:
        """The names of the fields that were received or assigned; the others are absent and read as None."""
        return frozenset(self._present())

    @property
    def extra_fields(self) -> Mapping[str, Any]:
        """What was received besides the documented fields, as it came."""
        return {key: value for key, value in (self._extra or {}).items() if key not in self._wire}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Decodes a JSON object.

        Raises:
            DecodeError: a required field is missing, or a value cannot be decoded; it names the path.
        """
        try:
            found = cls._from_object(data)
            if found is not None:
                return found
        except FAULTS:
            pass  # read key by key instead, which takes absent fields and says what is wrong
        return cls._read_by_key(data)

    @classmethod
    def _from_object(cls, data: Any) -> Self | None:
        """Decodes a JSON object that has all of the fields."""
        read = from_object(cls)
        cls._from_object = staticmethod(read)  # type: ignore[method-assign, assignment]  # the next call finds that
        found: Self | None = read(data)
        return found

    @classmethod
    def _read_by_key(cls, data: Mapping[str, Any]) -> Self:
        """Decodes a JSON object key by key.

        It takes what straight-line code cannot: absent fields, earlier spellings. It says what is wrong.

        Raises:
            DecodeError: a required field is missing, or a value cannot be decoded; it names the path.
        """
        if not isinstance(data, dict) and not is_mapping(data):  # a dict is known sooner
            raise DecodeError("", f"is {_kind(data)}, not an object ({cls.__name__})")
        for key in cls._required:
            if key not in data:
                raise DecodeError(key, f"is required and missing ({cls.__name__})")
        self = create(cls)
        wire = cls._wire
        extra: dict[str, Any] = {}
        for key, value in data.items():
            if key not in wire:
                extra[key] = value
                continue
            name, _, decode = wire[key]
            if decode is None:
                pass
            elif isinstance(decode, Discriminator):
                if value in decode.earlier:
                    extra[key] = value  # `to_dict` writes the spelling that was received
                elif value != decode.value:
                    raise DecodeError(key, f"is {value!r}, not {decode.value!r}")
                value = decode.value
            else:
                try:
                    value = decode(value)
                except DecodeError as fault:
                    raise fault.below(key) from None
                except FAULTS as fault:
                    raise DecodeError(key, f"cannot be read: {fault}") from fault
            setattr(self, name, value)
        self._extra = extra or None
        return self

    @classmethod
    def from_parts(cls, parts: Any) -> Self:
        """Takes over what a parser has put in the slots of a struct; see `parts.py`.

        Raises:
            KeyError, TypeError, ValueError, AttributeError or OverflowError: a value cannot be decoded.
        """
        if getattr(cls.from_dict, "__func__", None) is not vars(Model)["from_dict"].__func__:
            raise TypeError(f"{cls.__name__} has a way of its own to read mappings, which is that of text then too")
        make = from_struct(cls)
        cls.from_parts = staticmethod(make)  # type: ignore[method-assign, assignment]  # the next call finds that
        made: Self = make(parts)
        return made

    @classmethod
    def _forms(cls) -> Forms:
        """What the parser makes of the fields that are models, and what is made of that, by name."""
        return {}

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Decodes JSON text.

        Raises:
            DecodeError: as `from_dict`; also where the text is no JSON.
        """
        try:
            return cls.from_parts(PARSERS[cls](text))
        except FALLBACK_ERRORS:
            pass
        return cls.from_dict(values_of(text))

    @classmethod
    def _unknown(cls, data: Mapping[str, Any]) -> dict[str, Any] | None:
        return {key: value for key, value in data.items() if key not in cls._wire} or None

    def _present(self) -> dict[str, Any]:
        """The fields whose slots are filled, by name."""
        found: dict[str, Any] = {}
        for name, _, _ in self._wire.values():
            try:
                found[name] = object.__getattribute__(self, name)  # an empty slot raises here
            except AttributeError:
                continue
        return found

    def to_dict(self) -> dict[str, Any]:
        """The JSON object: every field that is set, every unknown field as it was received."""
        out: dict[str, Any] = {}
        for key, (name, _, _) in self._wire.items():
            try:
                out[key] = to_json_value(object.__getattribute__(self, name))
            except AttributeError:
                continue
        if self._extra:
            out.update(self._extra)
        return out

    def to_json(self) -> str:
        """The JSON text of `to_dict`."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def __eq__(self, other: object) -> bool:
        """Equal are two models of one class whose fields read alike; absent and None do."""
        if not isinstance(other, Model) or type(other) is not type(self):
            return NotImplemented
        names = [name for name, _, _ in self._wire.values()]
        return all(getattr(self, n) == getattr(other, n) for n in names) and (self._extra or {}) == (other._extra or {})

    __hash__ = None  # type: ignore[assignment]  # as for every class with __eq__ whose fields can change

    def __repr__(self) -> str:
        shown = [f"{name}={_short(value)}" for name, value in self._present().items() if value is not None]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        from html import escape  # only notebooks need it

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
        """Unpickles and copies: absent fields stay absent."""
        self = cls.__new__(cls)
        for name, value in fields.items():
            setattr(self, name, value)
        self._extra = extra
        return self


def _short(value: object, limit: int = 200) -> str:
    """The repr of a value, its middle left out where it is long; of long lists only a part is made."""
    if isinstance(value, (str, bytes)) and len(value) > limit:
        text = f"{value[: limit // 2]!r}…{value[-limit // 4 :]!r}"
    elif is_array(value) and len(value) > limit // 8:
        first = value.shown(limit // 40) if isinstance(value, LazyValue) else value[: limit // 40]
        text = f"[{', '.join(map(repr, first))}, … {len(value)} in all]"
    else:
        text = repr(value)
    return text if len(text) <= 2 * limit else f"{text[:limit]}…{text[-limit // 4 :]}"


@frozen
class Unknown:
    """A member of a union that could not be decoded: of a kind newer than this package, or malformed.

    Attributes:
        raw: what was received, untouched.
        reason: why it is none of the known members.
    """

    raw: Any = field(repr=_short)
    reason: str

    def to_dict(self) -> Any:
        """What was received."""
        return self.raw


def why_unknown(data: Any, tag: str, known: Mapping[str, Any], fault: Exception) -> str:
    """Says why a table lookup or the decoder behind it failed."""
    if not is_mapping(data):
        return f"is {_kind(data)}, not an object"
    if tag not in data:
        return f"has no {tag}"
    if not isinstance(data[tag], str) or data[tag] not in known:
        return f"{tag} {data[tag]!r} is not known"
    return str(fault)


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Whether a JSON value is an array."""
    return isinstance(value, list)


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value, as somebody gave it, has the form of an object."""
    return isinstance(value, Mapping)


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether a value, as somebody gave it, has the form of an array."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))


def each(value: Any) -> list[Any]:
    """The array itself. Anything else that Python could iterate, a string or an object, is an error."""
    if value.__class__ is not list and not is_array(value):  # a call less for what it nearly always is
        raise TypeError(f"is {_kind(value)}, not an array")
    return value


def entries(value: Any) -> dict[str, Any]:
    """The object itself; anything else is an error."""
    if not is_object(value):
        raise TypeError(f"is {_kind(value)}, not an object")
    return value


def array(decode: Callable[[Any], T]) -> Callable[[Any], list[T]]:
    """A decoder of arrays whose errors name the index."""

    def decode_array(value: Any) -> list[T]:
        return read_array(decode, value)

    return decode_array


def read_array(decode: Callable[[Any], T], value: Any) -> list[T]:
    """Decodes an array; an error names the index."""
    items = each(value)
    try:
        return [decode(item) for item in items]
    except FAULTS:  # once more, to say where
        return [at(index, decode, item) for index, item in enumerate(items)]


class LazyValue(list[T]):
    """A list whose items may still be what they were read from, which `held` gives; `lists.py` decodes them."""

    __slots__ = ()

    def held(self) -> list[Any]:
        """The items as they are, decoded or not."""
        return list(super().__iter__())

    def shown(self, most: int) -> list[Any]:
        """The first items, for people."""
        return self.held()[:most]

    def to_json_value(self) -> list[Any]:
        """The JSON array."""
        return [to_json_value(item) for item in self.held()]


def mapping(decode: Callable[[Any], T]) -> Callable[[Any], dict[str, T]]:
    """A decoder of objects with free keys whose errors name the key."""

    def decode_mapping(value: Any) -> dict[str, T]:
        items = entries(value)
        try:
            return {key: decode(item) for key, item in items.items()}
        except FAULTS:  # once more, to say where
            return {key: at(key, decode, item) for key, item in items.items()}

    return decode_mapping


def nullable(decode: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """A decoder that takes null as None."""
    return OrNull(decode)


def or_text(decode: Callable[[Any], T]) -> Callable[[Any], T | str]:
    """A decoder that takes a string as it is."""
    return OrText(decode)


def at(step: str | int, decode: Callable[[Any], T], value: Any) -> T:
    """Decodes what stands under a key or an index, which an error names."""
    try:
        return decode(value)
    except DecodeError as fault:
        raise fault.below(step) from None
    except FAULTS as fault:
        raise DecodeError("", f"cannot be read: {fault}").below(step) from fault


def to_json_value(value: Any) -> Any:
    """The JSON form of a field's value."""
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
    return value


def _kind(value: Any) -> str:
    name = type(value).__name__
    names = {"NoneType": "null", "str": "a string", "bool": "a boolean", "int": "a number", "float": "a number"}
    return (names | {"list": "an array", "dict": "an object"}).get(name, f"a {name}")

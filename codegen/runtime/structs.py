"""The fast path: JSON text is decoded through msgspec structs if msgspec is installed.

msgspec fills a struct per object in C, and `Model._from_struct` copies its slots. Input that a struct rejects falls
back to `from_dict`: unknown discriminators, missing fields, JSON that only the standard library accepts, and unknown
fields until their keys are learned. The result is the same with and without msgspec.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypeVar, Union

from attrs import frozen

from .errors import DecodeError
from .learned_fields import LEARNED, is_unknown_field

if TYPE_CHECKING:
    from .model import Model

T = TypeVar("T")

ABSENT: Any = object()
"""The default of an optional field, whose slot stays empty."""

DECODE_ERRORS = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""Exceptions of decoders on malformed values. `DecodeError` is a ValueError."""


@frozen
class Discriminator:
    """The constant value of a field.

    Attributes:
        value: The constant.
        earlier: Its earlier spellings in the API.
        required: Whether the field is required.
    """

    value: str
    earlier: tuple[str, ...] = ()
    required: bool = False


@frozen
class OrNull(Generic[T]):
    """A decoder that accepts null."""

    decode: Callable[[Any], T]

    def __call__(self, value: Any) -> T | None:
        """Return the decoded value."""
        return None if value is None else self.decode(value)


@frozen
class OrText(Generic[T]):
    """A decoder that passes strings through."""

    decode: Callable[[Any], T]

    def __call__(self, value: Any) -> T | str:
        """Return the decoded value."""
        return value if isinstance(value, str) else self.decode(value)


FieldTable: TypeAlias = dict[str, tuple[str, bool, "Callable[[Any], Any] | Discriminator | None"]]
"""For each JSON key of a model: the field's name, whether it is required, and its decoder."""

Decoders: TypeAlias = dict[str, "Callable[[Any], Any] | Discriminator"]
"""The decoders of fields, by field name."""

StructFields: TypeAlias = "dict[str, StructType]"
"""The struct types of fields, by field name."""


if TYPE_CHECKING:

    def create(cls: type[T]) -> T:
        """Return an object without its fields."""
        ...

else:
    create = object.__new__  # `cls.__new__` needs an attribute lookup


def _installed() -> Any:
    # By name: type checkers of a vendored copy need no msgspec.
    try:
        return import_module("msgspec")
    except ImportError:
        return None


msgspec: Any = _installed()

PARSE_ERRORS: Final[tuple[type[Exception], ...]] = (
    ValueError,
    RecursionError,
    *(() if msgspec is None else (msgspec.MsgspecError,)),  # a ValueError only since msgspec 0.21
)
"""Exceptions of JSON parsers on invalid input."""

FALLBACK_ERRORS: Final[tuple[type[Exception], ...]] = (*DECODE_ERRORS, *PARSE_ERRORS)
"""Exceptions of the fast path that lead to the fallback."""

RAW: Any = None if msgspec is None else msgspec.Raw
"""The msgspec type of a value that stays JSON text."""

_parse: Final[Callable[[str | bytes], Any]] = json.loads if msgspec is None else msgspec.json.decode


def loads(text: str | bytes) -> Any:
    """Parse JSON text.

    Raises:
        ValueError: If the text is not JSON, or is nested too deeply.
    """
    try:
        return _parse(text)
    except PARSE_ERRORS:
        # The standard library accepts more, such as half a surrogate pair.
        return _loads_without_msgspec(text)


def _loads_without_msgspec(text: str | bytes) -> Any:
    try:
        return json.loads(text if isinstance(text, str) else bytes(text))  # it may be a `RAW`
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_json(text: str | bytes) -> Any:
    """Parse JSON text for a decoder.

    Raises:
        DecodeError: If the text is not JSON.
    """
    try:
        return loads(text)
    except ValueError as fault:
        raise DecodeError("", f"is not JSON: {fault}") from fault


def _check_text(text: bytes) -> None:
    """Check the text of raw items, which msgspec skips.

    Raises:
        ValueError: If it is not UTF-8, or may have a number that Python rejects.
    """
    if not text.isascii():
        text.decode()
    # `int` rejects 4,301 digits. The cheap tests first: every 400th byte of such a number has ten digits in a row.
    steps = (400, 150, 40, 4)
    if all(b"0" * (4301 // step) in text[::step].translate(_DIGITS) for step in steps) and _LONG.search(text):
        raise ValueError("has a number that Python may reject")


_DIGITS: Final = bytes(48 if chr(byte).isdecimal() else byte for byte in range(256))
_LONG: Final = re.compile(rb"\d{4301}")


@frozen
class StructType:
    """The type that msgspec parses a value to, and the conversion to the decoded value.

    Attributes:
        type: The msgspec type.
        code: Returns the source of the conversion. Its arguments are the source of the parsed value, which can be
            repeated, and a function that returns a name for an object.
        has_raw: Whether a part of the value stays JSON text.
    """

    type: Any
    code: Callable[[str, Callable[[object], str]], str]
    has_raw: bool = False


def list_of(item: StructType) -> StructType:
    """Return the struct type of an array."""
    item_type: Any = item.type
    return StructType(
        list[item_type], lambda source, name: f"[{item.code('item', name)} for item in {source}]", item.has_raw
    )


def dict_of(item: StructType) -> StructType:
    """Return the struct type of an object with arbitrary keys."""
    item_type: Any = item.type
    return StructType(
        dict[str, item_type],
        lambda source, name: f"{{key: {item.code('item', name)} for key, item in {source}.items()}}",
        item.has_raw,
    )


def or_null(struct: StructType) -> StructType:
    """Return the struct type of a nullable value."""
    return StructType(
        struct.type | None,
        lambda source, name: f"None if {source} is None else {struct.code(source, name)}",
        struct.has_raw,
    )


def by_type(*, text: bool, array: StructType | None, item: StructType | None) -> StructType:
    """Return the struct type of a union whose members have different JSON types.

    Args:
        text: Whether a member is a string.
        array: The member that is an array, or None.
        item: The member that is an object, or None.
    """
    members = [member for member in (array, item) if member is not None]
    types: list[Any] = [member.type for member in members]

    def code(source: str, name: Callable[[object], str]) -> str:
        last = members[-1].code(source, name)
        if array is not None and item is not None:
            last = f"{array.code(source, name)} if type({source}) is list else {last}"
        return f"{source} if type({source}) is str else {last}" if text else last

    union: Any = Union[tuple([str, *types] if text else types)]  # noqa: UP007  # known at run time only
    return StructType(union, code, any(member.has_raw for member in members))


def struct_type(cls: type[Model]) -> StructType:
    """Return the struct type of a model."""
    return cached(cls, lambda: StructType(_struct(cls), model_source, _has_raw(cls)))


def _has_raw(cls: type[Model]) -> bool:
    structs = cls._struct_fields()  # pyright: ignore[reportPrivateUsage]  # internal to the runtime
    return any(struct.has_raw for struct in structs.values())


def model_source(source: str, name: Callable[[object], str]) -> str:
    """Return the source of the conversion of a struct to a model."""
    return f"{name(STRUCT_DECODERS)}[type({source})]({source})"


def cached(subject: Any, create_type: Callable[[], StructType]) -> StructType:
    """Return the struct type of a subject, created again after new fields were learned."""
    key = (LEARNED.version, subject)  # read first: a type created in the meantime is not found under a later version
    found = _STRUCT_TYPES.get(key)
    if found is None:
        found = _STRUCT_TYPES[key] = create_type()
    return found


def tagged(tag: str, members: Mapping[str, type[Model]]) -> StructType:
    """Return the struct type of a tagged union, with a struct per member."""
    return cached((tag, *members.items()), lambda: _tagged(tag, members))


def _tagged(tag: str, members: Mapping[str, type[Model]]) -> StructType:
    structs: list[Any] = []
    for value, cls in members.items():
        literal = cls._field_table[tag][2]  # pyright: ignore[reportPrivateUsage]  # internal to the runtime
        if not isinstance(literal, Discriminator) or literal.value == value:  # earlier spellings use the fallback
            structs.append(_struct(cls, tag, value))
    if len(structs) == 1:
        # msgspec requires the tag only in a union of several structs, so add one that never matches.
        structs.append(msgspec.defstruct("NoMember", [], tag_field=tag, tag=f"none of {[*members]}"))
    union: Any = Union[tuple(structs)]  # noqa: UP007  # the types are known at run time only
    return StructType(union, model_source, any(map(_has_raw, members.values())))


def _struct(cls: type[Model], tag: str | None = None, value: str = "") -> Any:
    """Return a struct for a model, and register its decoder."""
    structs = cls._struct_fields()  # pyright: ignore[reportPrivateUsage]  # internal to the runtime
    table = cls._field_table  # pyright: ignore[reportPrivateUsage]  # likewise
    fields: list[tuple[Any, ...]] = []
    constants: dict[str, Any] = {}
    for key, (name, required, decode) in table.items():
        if key == tag:
            constants[name] = value
            continue
        type_: Any = structs[name].type if name in structs else Any
        if isinstance(decode, Discriminator):
            type_ = Literal[decode.value]
        fields.append((name, type_) if required else (name, type_, ABSENT))
    learned = _learned_names(LEARNED.keys_of(cls))
    fields += [(name, Any, ABSENT) for name in learned]
    struct = msgspec.defstruct(
        f"{cls.__name__}Struct",
        fields,
        namespace=constants,
        tag_field=tag,
        tag=None if tag is None else value,
        rename={name: key for key, (name, _, _) in table.items() if name not in constants} | learned,
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,  # structs are short-lived and acyclic
    )
    STRUCT_DECODERS[struct] = cls._from_struct  # pyright: ignore[reportPrivateUsage]  # replaced when it is compiled
    return struct


def shared_struct(classes: Sequence[type[Model]]) -> Any:
    """Return a struct for models with the same keys, whose values are not decoded. Its decoder is not registered."""
    table = classes[0]._field_table  # pyright: ignore[reportPrivateUsage]  # internal to the runtime
    names = {name: key for key, (name, _, _) in table.items()}
    names |= _learned_names(dict.fromkeys(key for cls in classes for key in LEARNED.keys_of(cls)))
    return msgspec.defstruct(
        "".join(cls.__name__ for cls in classes) + "Struct",
        [(name, Any, ABSENT) for name in names],
        rename=names,
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,  # as above
    )


def _learned_names(keys: Iterable[str]) -> dict[str, str]:
    return {f"_learned{number}": key for number, key in enumerate(keys)}


def learned_fields(struct: Any) -> dict[str, str]:
    """Return the keys of the learned fields of a struct, by field name."""
    names = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    return {name: key for name, key in names if name.startswith("_learned")}


STRUCT_DECODERS: Final[dict[Any, Callable[[Any], Any]]] = {}
"""For each struct, the function that converts it to the model."""

_STRUCT_TYPES: Final[dict[Any, StructType]] = {}


def union_decoder(struct: Callable[[], StructType], decode: Callable[[Any], T]) -> Callable[[str | bytes], T]:
    """Return a decoder of JSON text for a tagged union.

    It raises `DecodeError` if the text is not JSON, and the exceptions of `decode`.

    Args:
        struct: Returns the struct type. Called on the first use of the decoder.
        decode: The fallback, which decodes parsed JSON.
    """
    decoders = STRUCT_DECODERS

    parse: Callable[[str | bytes], Any] = reject  # replaced by `first` below
    version: object = None

    def first(text: str | bytes) -> Any:
        nonlocal parse, version
        version = LEARNED.version
        parse = parser(struct)
        return parse(text)

    parse = first

    def decode_text(text: str | bytes) -> T:
        nonlocal parse
        try:
            decoded: T = decoders[type(parsed := parse(text))](parsed)
            return decoded
        except FALLBACK_ERRORS as fault:
            unknown_field = is_unknown_field(fault)
        decoded = decode(parse_json(text))
        if unknown_field and LEARNED.has_changed(version, decoded):
            parse = first
        return decoded

    return decode_text


_building: Final = RLock()
"""The lock of `parser`. msgspec 0.22 crashes if a thread parses with a type that another thread inspects."""

_in_progress: Final[list[bool]] = []

if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(before=_building.acquire, after_in_parent=_building.release, after_in_child=_building.release)


def parser(get_type: Callable[[], StructType]) -> Callable[[str | bytes], Any]:
    """Return a function that parses JSON text to a struct type, or raises one of `FALLBACK_ERRORS`."""
    if msgspec is None:
        return reject
    with _building:
        if _in_progress:
            raise ValueError("needs the fallback")  # a signal handler interrupted the block below
        _in_progress.append(True)
        try:
            struct = get_type()
            parse: Callable[[str | bytes], Any] = msgspec.json.Decoder(struct.type).decode
        except DECODE_ERRORS:
            # msgspec rejects keys with a quote, a backslash or a control character.
            return reject
        finally:
            _in_progress.clear()
    return _with_check(parse) if struct.has_raw else parse


def _with_check(parse: Callable[[bytes], Any]) -> Callable[[str | bytes], Any]:
    def parse_checked(text: str | bytes) -> Any:
        data = text.encode() if isinstance(text, str) else text
        _check_text(data)
        return parse(data)

    return parse_checked


def reject(_: str | bytes) -> Any:
    """Raise an error that leads to the fallback."""
    raise ValueError("needs the fallback")


class _Parsers(dict[type["Model"], Callable[[str | bytes], Any]]):
    def __init__(self) -> None:
        super().__init__()
        self._versions: dict[type[Model], object] = {}

    def __missing__(self, cls: type[Model]) -> Callable[[str | bytes], Any]:
        self._versions[cls] = LEARNED.version
        found = self[cls] = parser(lambda: struct_type(cls))
        return found

    def learn(self, cls: type[Model], decoded: Model) -> None:
        """Create the parser of a class again if there are new fields."""
        if LEARNED.has_changed(self._versions.get(cls), decoded):
            self.pop(cls, None)


PARSERS: Final = _Parsers()
"""The parser of each model class, created on first use."""

"""JSON text straight into models, where msgspec is installed.

Its parser fills a struct that has a slot for each field, in C, and the model takes the slots over (`from_parts`): no
dict is made and no key is looked up. What such a struct does not take, be it an unknown field or tag, a missing field,
or JSON that only the standard library reads, is read once more by `from_dict`, which takes what may be taken and says
what is wrong. So the result is the same, with msgspec and without, and only the way there differs.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypeVar, Union

from attrs import frozen

from .errors import DecodeError

if TYPE_CHECKING:
    from .model import Model

T = TypeVar("T")

ABSENT: Any = object()
"""The default of an optional field: its slot stays empty."""

FAULTS = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What decoding raises on a value of the wrong shape; `DecodeError` is a ValueError."""


@frozen
class Discriminator:
    """The literal that a field always is.

    Attributes:
        value: the literal.
        earlier: the spellings of it that the API used earlier.
        required: whether the field has to be there.
    """

    value: str
    earlier: tuple[str, ...] = ()
    required: bool = False


@frozen
class OrNull(Generic[T]):
    """Takes null as None."""

    decode: Callable[[Any], T]

    def __call__(self, value: Any) -> T | None:
        """The value of its JSON form."""
        return None if value is None else self.decode(value)


@frozen
class OrText(Generic[T]):
    """Takes a string as it is."""

    decode: Callable[[Any], T]

    def __call__(self, value: Any) -> T | str:
        """The value of its JSON form."""
        return value if isinstance(value, str) else self.decode(value)


FieldTable: TypeAlias = dict[str, tuple[str, bool, "Callable[[Any], Any] | Discriminator | None"]]
"""How a model is read, by JSON key: the field's name, whether it is required, and what decodes its value."""

Decoders: TypeAlias = dict[str, "Callable[[Any], Any] | Discriminator"]
"""What decodes the fields that are not taken as they are, by name."""

Forms: TypeAlias = "dict[str, Form]"
"""What the parser makes of the fields that are more than a JSON value, by name."""


if TYPE_CHECKING:

    def create(cls: type[T]) -> T:
        """An object without its fields."""
        ...

else:
    create = object.__new__  # which `cls.__new__` is too, but has to be looked for


def _installed() -> Any:
    # By name: it is not needed, and who checks the types of a copy of this package need not have it.
    try:
        return import_module("msgspec")
    except ImportError:
        return None


msgspec: Any = _installed()

NO_JSON: Final[tuple[type[Exception], ...]] = (
    ValueError,
    RecursionError,
    *(() if msgspec is None else (msgspec.MsgspecError,)),  # a ValueError only since msgspec 0.21
)
"""What a parser raises on what it does not take."""

FALLBACK_ERRORS: Final[tuple[type[Exception], ...]] = (*FAULTS, *NO_JSON)
"""What reading JSON text raises on what has to be read the long way."""

RAW: Any = None if msgspec is None else msgspec.Raw
"""The type of a value that is left as its text."""

_parse: Final[Callable[[str | bytes], Any]] = json.loads if msgspec is None else msgspec.json.decode


def loads(text: str | bytes) -> Any:
    """Decodes JSON.

    Raises:
        ValueError: it is none, or is nested too deeply.
    """
    try:
        return _parse(text)
    except NO_JSON:
        # The standard library takes more: half a surrogate pair, for one, is no reason to lose an answer.
        return _loads_without_msgspec(text)


def _loads_without_msgspec(text: str | bytes) -> Any:
    try:
        return json.loads(text if isinstance(text, str) else bytes(text))  # which may be a `RAW`
    except RecursionError:
        raise ValueError("nested too deeply") from None


def values_of(text: str | bytes) -> Any:
    """What `loads` gives, for whoever decodes it.

    Raises:
        DecodeError: it is no JSON.
    """
    try:
        return loads(text)
    except ValueError as fault:
        raise DecodeError("", f"is not JSON: {fault}") from fault


def texts(items: list[Any]) -> list[Any]:
    """The items of an array that the parser has left as text.

    Raises:
        ValueError: it has not looked into them, and one is no JSON.
    """
    whole = b"".join(items)
    if not whole.isascii():
        whole.decode()
    # `int` refuses 4,301 digits. Of such a number every four hundredth byte shows ten digits in a row; only then is it
    # worth to look at each.
    if b"0" * 10 in whole[::400].translate(_DIGITS) and _LONG.search(whole):
        raise ValueError("has a number that Python may refuse")
    return items


_DIGITS: Final = bytes(48 if chr(byte).isdecimal() else byte for byte in range(256))
_LONG: Final = re.compile(rb"\d{4301}")


@frozen
class Form:
    """What the parser makes of a value, and the code of what makes the value of that.

    Attributes:
        type: the type that msgspec is given.
        code: returns an expression. It is given the expression of what the parser has made, which can stand there more
            than once, and a function that returns a name for an object.
    """

    type: Any
    code: Callable[[str, Callable[[object], str]], str]


def list_of(form: Form) -> Form:
    """What a parser makes of an array."""
    item: Any = form.type
    return Form(list[item], lambda source, name: f"[{form.code('item', name)} for item in {source}]")


def dict_of(form: Form) -> Form:
    """What a parser makes of an object with free keys."""
    item: Any = form.type
    return Form(
        dict[str, item],
        lambda source, name: f"{{key: {form.code('item', name)} for key, item in {source}.items()}}",
    )


def or_null(form: Form) -> Form:
    """What a parser makes of what can be null."""
    return Form(form.type | None, lambda source, name: f"None if {source} is None else {form.code(source, name)}")


def parts_type(cls: type[Model]) -> Form:
    """The struct of a model."""
    found = _FORMS.get(cls)
    if found is None:
        found = _FORMS[cls] = Form(_struct(cls), lambda source, name: f"{name(cls)}.from_parts({source})")
    return found


def tagged(tag: str, members: Mapping[str, type[Model]]) -> Form:
    """What the parser makes of a union's members: a struct for each, told by its tag. `STRUCT_DECODERS` knows them."""
    structs: list[Any] = []
    for value, cls in members.items():
        literal = cls._wire[tag][2]  # pyright: ignore[reportPrivateUsage]  # a model's other half
        if not isinstance(literal, Discriminator) or literal.value == value:  # earlier spellings are read the long way
            struct = _struct(cls, tag, value)
            STRUCT_DECODERS[struct] = _maker(cls, struct)
            structs.append(struct)
    if len(structs) == 1:
        # A union of one struct would take objects without a tag; a second member that nothing matches makes msgspec
        # insist on the tag.
        structs.append(msgspec.defstruct("Nobody", [], tag_field=tag, tag=f"none of {[*members]}"))
    union: Any = Union[tuple(structs)]  # noqa: UP007  # of types that are known only now
    return Form(union, lambda source, name: f"{name(STRUCT_DECODERS)}[{source}.__class__]({source})")


def _maker(cls: type[Model], struct: Any) -> Callable[[Any], Any]:
    def first(parts: Any) -> Any:
        made = cls.from_parts(parts)
        STRUCT_DECODERS[struct] = cls.from_parts  # compiled by now
        return made

    return first


def _struct(cls: type[Model], tag: str | None = None, value: str = "") -> Any:
    forms = cls._forms()  # pyright: ignore[reportPrivateUsage]  # a model's other half
    wire = cls._wire  # pyright: ignore[reportPrivateUsage]  # likewise
    fields: list[tuple[Any, ...]] = []
    constants: dict[str, Any] = {}
    for key, (name, required, decode) in wire.items():
        if key == tag:
            constants[name] = value
            continue
        form = (
            Literal[decode.value] if isinstance(decode, Discriminator) else forms[name].type if name in forms else Any
        )
        fields.append((name, form) if required else (name, form, ABSENT))
    return msgspec.defstruct(
        f"{cls.__name__}Parts",
        fields,
        namespace=constants,
        tag_field=tag,
        tag=None if tag is None else value,
        rename={name: key for key, (name, _, _) in wire.items() if name not in constants},
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,  # they are gone before it could matter
    )


STRUCT_DECODERS: Final[dict[Any, Callable[[Any], Any]]] = {}
"""What makes a member of a union of its parts, by their struct."""

_FORMS: Final[dict[type[Model], Form]] = {}


def member_reader(form: Callable[[], Form], decode: Callable[[Any], T]) -> Callable[[str | bytes], T]:
    """A function that reads JSON text as a member of a union with tags.

    It raises what `decode` raises, and `DecodeError` where the text is no JSON.

    Args:
        form: what the parser shall make of the text; it is asked when something is first read.
        decode: makes the value of parsed JSON, which is the long way.
    """
    makers = STRUCT_DECODERS

    parse: Callable[[str | bytes], Any] = refuse  # until `first` is there, which nothing comes before

    def first(text: str | bytes) -> Any:
        nonlocal parse
        parse = parser(lambda: form().type)
        return parse(text)

    parse = first

    def read(text: str | bytes) -> T:
        try:
            made: T = makers[(parts := parse(text)).__class__](parts)
            return made
        except FALLBACK_ERRORS:
            pass
        return decode(values_of(text))

    return read


_building: Final = RLock()
"""Held while a parser is built. msgspec 0.22 crashes where a thread parses with a type that another thread examines."""

_under_way: Final[list[bool]] = []

if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(before=_building.acquire, after_in_parent=_building.release, after_in_child=_building.release)


def parser(form: Callable[[], Any]) -> Callable[[str | bytes], Any]:
    """A function that makes this type of JSON text, or raises one of `FALLBACK_ERRORS`."""
    if msgspec is None:
        return refuse
    with _building:
        if _under_way:
            raise ValueError("is read the long way")  # in a signal handler, inside of the block below
        _under_way.append(True)
        try:
            parse: Callable[[str | bytes], Any] = msgspec.json.Decoder(form()).decode
        except FAULTS:
            # The parser knows no keys with a quote, a backslash or a control character. Nor will it the next time.
            return refuse
        finally:
            _under_way.clear()
    return parse


def refuse(_: str | bytes) -> Any:
    """Parse nothing."""
    raise ValueError("is read the long way")


class _Parsers(dict[type["Model"], Callable[[str | bytes], Any]]):
    def __missing__(self, cls: type[Model]) -> Callable[[str | bytes], Any]:
        found = self[cls] = parser(lambda: parts_type(cls).type)
        return found


PARSERS: Final = _Parsers()
"""What parses the text of a model, by the model's class."""

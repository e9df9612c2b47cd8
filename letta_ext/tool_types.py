"""From a parameter's annotation to the JSON schema that a model is shown, and from its JSON back to a Python value.

What JSON cannot tell apart is read as the annotation says: a list becomes a set, a string a date or an enum's member,
an object a dataclass, an attrs class or a pydantic model. pydantic is never imported here: its models are known by
what they can do.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, NotRequired, Required, TypeAlias, Union, cast, get_args, get_origin
from uuid import UUID

import attrs

from .shapes import is_array, is_object

Schema: TypeAlias = dict[str, Any]

SHOWN: Final = 80
"""Characters of a wrong value that are shown."""


class ArgumentError(ValueError):
    """An argument is not what the tool's signature says. The model is told, and may mend it."""


def wrong(where: str, wanted: str, value: object) -> ArgumentError:
    """The error for a value of the wrong kind."""
    text = repr(value)
    text = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    return ArgumentError(f"{where} must be {wanted}, not {text}")


@attrs.define
class Definitions:
    """The parts of a schema that refer to themselves, or that a foreign model brings along.

    Attributes:
        found: by name, as they go under `$defs`.
        within: the classes that are being described.
        recursive: those of them that were met again within themselves.
    """

    found: dict[str, Schema] = attrs.field(factory=dict[str, Schema])
    within: list[type] = attrs.field(factory=list[type])
    recursive: set[type] = attrs.field(factory=set[type])

    def add(self, name: str, schema: Schema) -> Schema:
        """Puts a schema under `$defs`, and returns the reference to it.

        Raises:
            TypeError: another schema has that name.
        """
        if self.found.setdefault(name, schema) != schema:
            raise TypeError(f"two classes of a tool's arguments are called {name}; give one another name")
        return {"$ref": f"#/$defs/{name}"}


class Kind(ABC):
    """What a value may be."""

    @abstractmethod
    def schema(self, definitions: Definitions) -> Schema:
        """Its JSON schema."""

    @abstractmethod
    def read(self, value: Any, where: str) -> Any:
        """The Python value that JSON stands for.

        Raises:
            ArgumentError: it is none of this kind.
        """

    @abstractmethod
    def __str__(self) -> str:
        """What it is called in an error."""


class Anything(Kind):
    """Any JSON."""

    def schema(self, definitions: Definitions) -> Schema:  # noqa: D102
        return {}

    def read(self, value: Any, where: str) -> Any:  # noqa: D102
        return value

    def __str__(self) -> str:
        return "anything"


@attrs.frozen
class Plain(Kind):
    """A JSON scalar. True is no number, and 3.0 is a whole one, since JSON does not tell it from 3."""

    type: str
    name: str

    def schema(self, definitions: Definitions) -> Schema:  # noqa: D102
        return {"type": self.type}

    def read(self, value: Any, where: str) -> Any:  # noqa: D102
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        match self.type:
            case "string" if isinstance(value, str):
                return value
            case "boolean" if isinstance(value, bool):
                return value
            case "null" if value is None:
                return None
            case "integer" if number and value == value // 1 and abs(value) != float("inf"):
                return int(value)
            case "number" if number:
                return float(value)
            case _:
                raise wrong(where, self.name, value)

    def __str__(self) -> str:
        return self.name


PLAIN: Final[Mapping[object, Plain]] = {
    str: Plain("string", "a string"),
    int: Plain("integer", "a whole number"),
    float: Plain("number", "a number"),
    bool: Plain("boolean", "true or false"),
    None: Plain("null", "null"),
    types.NoneType: Plain("null", "null"),
}


@attrs.frozen
class Text(Kind):
    """What JSON writes as a string of a certain form."""

    make: Callable[[str], Any]
    format: str | None
    name: str

    def schema(self, definitions: Definitions) -> Schema:  # noqa: D102
        return {"type": "string"} if self.format is None else {"type": "string", "format": self.format}

    def read(self, value: Any, where: str) -> Any:  # noqa: D102
        if not isinstance(value, str):
            raise wrong(where, self.name, value)
        try:
            return self.make(value)
        except (ValueError, ArithmeticError):
            raise wrong(where, self.name, value) from None

    def __str__(self) -> str:
        return self.name


TEXTS: Final[Mapping[object, Text]] = {
    datetime: Text(datetime.fromisoformat, "date-time", "a date and time in ISO 8601"),
    date: Text(date.fromisoformat, "date", "a date in ISO 8601"),
    time: Text(time.fromisoformat, "time", "a time in ISO 8601"),
    UUID: Text(UUID, "uuid", "a UUID"),
    Decimal: Text(Decimal, None, "a number, written as a string"),
}


class Options(Kind):
    """One of a few values: a `Literal`, or the members of an enum by their values."""

    def __init__(self, options: Iterable[tuple[Any, Any]]) -> None:
        self.options = list(options)  # what JSON has, and what it stands for

    def schema(self, definitions: Definitions) -> Schema:  # noqa: D102
        values = [written for written, _ in self.options]
        kinds = {_json_type(value) for value in values}
        return {"type": kinds.pop(), "enum": values} if len(kinds) == 1 else {"enum": values}

    def read(self, value: Any, where: str) -> Any:  # noqa: D102
        for written, meant in self.options:
            if value == written and isinstance(value, bool) == isinstance(written, bool):
                return meant
        raise wrong(where, str(self), value)

    def __str__(self) -> str:
        *most, last = [repr(written) for written, _ in self.options]
        return f"{', '.join(most)} or {last}" if most else last


def _json_type(value: object) -> str:
    kind = next((k for k in (bool, int, float, str, types.NoneType) if isinstance(value, k)), None)
    if kind is None:
        raise TypeError(f"{value!r} has no form in JSON, so that no model could choose it")
    return PLAIN[kind].type


@attrs.frozen
class Items(Kind):
    """A list of things, and what Python makes of it: a list, a tuple, a set."""

    item: Kind
    make: Callable[[list[Any]], Any]
    unique: bool = False

    def schema(self, definitions: Definitions) -> Schema:  # noqa: D102
        schema: Schema = {"type": "array", "items": self.item.schema(definitions)}
        return {**schema, "uniqueItems": True} if self.unique else schema

    def read(self, value: Any, where: str) -> Any:  # noqa: D102
        if not is_array(value):
            raise wrong(where, "a list", value)
        items = [self.item.read(item, f"{where}[{index}]") for index, item in enumerate(value)]
        try:
            return self.make(items)
        except TypeError as fault:  # a set of what cannot be hashed
            raise ArgumentError(f"{where}: {fault}") from None

    def __str__(self) -> str:
        return "a list"


@attrs.frozen
class Places(Kind):
    """A tuple of a fixed length."""

    items: Sequence[Kind]

    def schema(self, definitions: Definitions) -> Schema:  # noqa: D102
        length = len(self.items)
        places = [item.schema(definitions) for item in self.items]
        return {"type": "array", "prefixItems": places, "minItems": length, "maxItems": length}

    def read(self, value: Any, where: str) -> Any:  # noqa: D102
        if not is_array(value) or len(value) != len(self.items):
            raise wrong(where, str(self), value)
        pairs = enumerate(zip(self.items, value, strict=True))
        return tuple(kind.read(item, f"{where}[{at}]") for at, (kind, item) in pairs)

    def __str__(self) -> str:
        return f"a list of {len(self.items)}"


@attrs.frozen
class Entries(Kind):
    """An object with free keys."""

    value: Kind

    def schema(self, definitions: Definitions) -> Schema:  # noqa: D102
        return {"type": "object", "additionalProperties": self.value.schema(definitions)}

    def read(self, value: Any, where: str) -> Any:  # noqa: D102
        if not is_object(value):
            raise wrong(where, str(self), value)
        return {key: self.value.read(item, f"{where}.{key}") for key, item in value.items()}

    def __str__(self) -> str:
        return "an object"


@attrs.frozen
class Choice(Kind):
    """A union: the first member that fits."""

    members: Sequence[Kind]

    def schema(self, definitions: Definitions) -> Schema:  # noqa: D102
        return {"anyOf": [member.schema(definitions) for member in self.members]}

    def read(self, value: Any, where: str) -> Any:  # noqa: D102
        faults: list[ArgumentError] = []
        for member in self.members:
            try:
                return member.read(value, where)
            except ArgumentError as fault:
                faults.append(fault)
        structured = [f for m, f in zip(self.members, faults, strict=True) if not isinstance(m, Plain)]
        if len(structured) == 1 and value is not None:  # only one of them can have been meant
            raise structured[0]
        raise wrong(where, str(self), value)

    def __str__(self) -> str:
        return " or ".join(dict.fromkeys(map(str, self.members)))


@attrs.define
class Field:
    """A named part of an object.

    Attributes:
        name: its key.
        kind: what it may be.
        required: whether it must be there.
        description: what a model is told of it.
        default: a value to tell the model of, in a list of one; empty where there is none that JSON can write.
    """

    name: str
    kind: Kind
    required: bool
    description: str | None = None
    default: Sequence[Any] = ()


class Record(Kind):
    """An object with known keys, and what Python makes of it.

    Args:
        name: what it is called.
        make: makes it of keyword arguments.
        owner: the class, which may refer to itself.
    """

    def __init__(self, name: str, make: Callable[..., Any], owner: type | None = None) -> None:
        self.name = name
        self.make = make
        self.owner = owner
        self.fields: list[Field] = []

    def schema(self, definitions: Definitions) -> Schema:  # noqa: D102
        owner = self.owner
        if owner is None:
            return self._schema(definitions)
        if owner in definitions.within:
            definitions.recursive.add(owner)
            return {"$ref": f"#/$defs/{self.name}"}
        definitions.within.append(owner)
        schema = self._schema(definitions)
        definitions.within.pop()
        return definitions.add(self.name, schema) if owner in definitions.recursive else schema

    def _schema(self, definitions: Definitions) -> Schema:
        properties: dict[str, Schema] = {}
        for field in self.fields:
            told: Schema = {} if field.description is None else {"description": field.description}
            default: Schema = {"default": field.default[0]} if field.default else {}
            properties[field.name] = {**field.kind.schema(definitions), **told, **default}
        required = [field.name for field in self.fields if field.required]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    def read(self, value: Any, where: str) -> Any:  # noqa: D102
        if not is_object(value):
            raise wrong(where, "an object", value)
        inner = f"{where}." if where else ""
        known = {field.name: field for field in self.fields}
        for key in value:
            if key not in known:
                raise ArgumentError(f"{inner}{key} is not known; there is {', '.join(known) or 'nothing'}")
        for field in self.fields:
            if field.required and field.name not in value:
                raise ArgumentError(f"{inner}{field.name} is missing")
        read = {key: known[key].kind.read(item, f"{inner}{key}") for key, item in value.items()}
        try:
            return self.make(**read)
        except (TypeError, ValueError) as fault:  # a class may check more than its annotations say
            raise ArgumentError(f"{where or self.name}: {fault}") from fault

    def __str__(self) -> str:
        return "an object"


@attrs.frozen
class Foreign(Kind):
    """A pydantic model, which describes and reads itself."""

    model: Any

    def schema(self, definitions: Definitions) -> Schema:  # noqa: D102
        schema: Schema = self.model.model_json_schema()
        for name, inner in schema.pop("$defs", {}).items():
            definitions.add(name, inner)
        return schema

    def read(self, value: Any, where: str) -> Any:  # noqa: D102
        try:
            return self.model.model_validate(value)
        except ValueError as fault:  # pydantic's own is one
            raise ArgumentError(f"{where}: {fault}") from fault

    def __str__(self) -> str:
        return "an object"


class Compiler:
    """Makes kinds of annotations; one for each tool, so that classes which refer to themselves are met again."""

    def __init__(self) -> None:
        self._records: dict[type, Record] = {}

    def compile(self, hint: Any, where: str) -> tuple[Kind, str | None]:
        """The kind of an annotation, and the description that `Annotated[…, "…"]` gives.

        Raises:
            TypeError: JSON has no form for it.
        """
        if get_origin(hint) is Annotated:
            inner, *notes = get_args(hint)
            kind, told = self.compile(inner, where)
            return kind, next((note for note in notes if isinstance(note, str)), told)
        if get_origin(hint) in (Required, NotRequired):
            return self.compile(get_args(hint)[0], where)
        return self._kind(hint, where), None

    def _kind(self, hint: Any, where: str) -> Kind:
        hint = getattr(hint, "__supertype__", hint)  # NewType
        if type(hint).__name__ == "TypeAliasType":
            return self.compile(hint.__value__, where)[0]
        if hint is Any or hint is object or hint is typing.Sequence:
            return Anything()
        if isinstance(hint, typing.Hashable) and (simple := PLAIN.get(hint) or TEXTS.get(hint)):
            return simple
        origin, arguments = get_origin(hint) or hint, get_args(hint)
        if origin is Literal:
            return Options((a.value if isinstance(a, enum.Enum) else a, a) for a in arguments)
        if origin in (Union, types.UnionType):
            return Choice([self.compile(each, where)[0] for each in arguments])
        if not isinstance(origin, type):
            raise TypeError(f"{where}: {hint!r} cannot be read from JSON; annotate it otherwise")
        return self._class(cast("type[Any]", origin), arguments, where)

    def _class(self, cls: type[Any], arguments: tuple[Any, ...], where: str) -> Kind:
        if issubclass(cls, enum.Enum):
            return Options((member.value, member) for member in cls)
        if hasattr(cls, "model_validate") and hasattr(cls, "model_json_schema"):
            return Foreign(cls)
        if typing.is_typeddict(cls) or dataclasses.is_dataclass(cls) or attrs.has(cls):
            return self._record(cls, where)
        if issubclass(cls, tuple) and arguments and arguments[-1] is not ...:
            return Places([self.compile(each, where)[0] for each in arguments])
        if issubclass(cls, Mapping):
            key, value = arguments or (str, Any)
            if self._kind(key, where) is not PLAIN[str]:
                raise TypeError(f"{where}: the keys of a JSON object are strings, not {key!r}")
            return Entries(self.compile(value, where)[0])
        item = self.compile(arguments[0], where)[0] if arguments else Anything()
        if issubclass(cls, tuple):
            return Items(item, tuple)
        if issubclass(cls, AbstractSet):
            return Items(item, frozenset if cls is frozenset else set, unique=True)
        if issubclass(list, cls):  # a list, or what a list is: Sequence, Iterable, Collection
            return Items(item, list)
        raise TypeError(f"{where}: {cls.__name__} cannot be read from JSON; annotate it otherwise")

    def _record(self, cls: type[Any], where: str) -> Record:
        if cls in self._records:
            return self._records[cls]
        record = self._records[cls] = Record(cls.__name__, cls, cls)
        hints = read_hints(cls, cls.__name__)
        for name, alias, required in _members(cls, hints):
            kind, told = self.compile(hints[name], f"{where}.{name}")
            record.fields.append(Field(alias, kind, required, told))
        return record


def _members(cls: type, hints: Mapping[str, Any]) -> Iterable[tuple[str, str, bool]]:
    """The fields of a class: attribute, keyword, and whether it must be given."""
    if typing.is_typeddict(cls):
        # Not __required_keys__ alone: where annotations are postponed it takes every key for a required one.
        total: frozenset[str] = getattr(cls, "__required_keys__", frozenset[str]())
        for name, hint in hints.items():
            marked = get_origin(hint)
            yield name, name, marked is Required or (marked is not NotRequired and name in total)
    elif attrs.has(cls):
        for each in attrs.fields(cls):
            if each.init:
                yield each.name, each.alias or each.name, each.default is attrs.NOTHING
    else:
        for field in dataclasses.fields(cls):
            if field.init:
                given = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
                yield field.name, field.name, not given


def read_hints(thing: Any, name: str) -> dict[str, Any]:
    """The annotations of a function or class, names looked up.

    Raises:
        TypeError: a name in them is not known.
    """
    try:
        return typing.get_type_hints(thing, include_extras=True)
    except NameError as fault:
        raise TypeError(f"{name}: an annotation cannot be looked up: {fault}") from fault

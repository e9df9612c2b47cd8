"""What an argument of a tool may be: its JSON schema, and reading it.

What JSON cannot tell apart is read as the annotation says: a list becomes a set, a string a date or an enum's member,
an object a dataclass, an attrs class or a pydantic model. pydantic describes and reads what is its own; it is imported
only where an annotation is of its making, so that nobody needs it who does not use it.
"""

from __future__ import annotations

import importlib
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias
from uuid import UUID

import attrs

from .._types import is_mapping, is_sequence

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
        recursive: those of them that were met again within themselves, by name.
    """

    found: dict[str, Schema] = attrs.field(factory=dict[str, Schema])
    within: list[type] = attrs.field(factory=list[type])
    recursive: dict[str, type] = attrs.field(factory=dict[str, type])

    def refer(self, name: str, owner: type) -> Schema:
        """The reference to a class that refers to itself.

        Raises:
            TypeError: another class has that name.
        """
        if self.recursive.setdefault(name, owner) is not owner:
            raise TypeError(f"two classes of a tool's arguments are called {name}; give one another name")
        return {"$ref": f"#/$defs/{name}"}

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

    def schema(self, definitions: Definitions) -> Schema:
        return {}

    def read(self, value: Any, where: str) -> Any:
        return value

    def __str__(self) -> str:
        return "anything"


@attrs.frozen
class Plain(Kind):
    """A JSON scalar. True is no number, and 3.0 is a whole one, since JSON does not tell it from 3."""

    type: str
    name: str

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": self.type}

    def read(self, value: Any, where: str) -> Any:
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

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "string"} if self.format is None else {"type": "string", "format": self.format}

    def read(self, value: Any, where: str) -> Any:
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
    Path: Text(Path, "path", "a path"),
}


class Options(Kind):
    """One of a few values: a `Literal`, or the members of an enum by their values."""

    def __init__(self, options: Iterable[tuple[Any, Any]]) -> None:
        self.options = list(options)  # what JSON has, and what it stands for

    def schema(self, definitions: Definitions) -> Schema:
        values = [written for written, _ in self.options]
        kinds = {_json_type(value) for value in values}
        return {"type": kinds.pop(), "enum": values} if len(kinds) == 1 else {"enum": values}

    def read(self, value: Any, where: str) -> Any:
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

    def schema(self, definitions: Definitions) -> Schema:
        schema: Schema = {"type": "array", "items": self.item.schema(definitions)}
        return {**schema, "uniqueItems": True} if self.unique else schema

    def read(self, value: Any, where: str) -> Any:
        if not is_sequence(value):
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
    """A tuple of a fixed length, and what Python makes of its items."""

    items: Sequence[Kind]
    make: Callable[..., Any] = lambda *items: items

    def schema(self, definitions: Definitions) -> Schema:
        length = len(self.items)
        places = [item.schema(definitions) for item in self.items]
        return {"type": "array", "prefixItems": places, "minItems": length, "maxItems": length}

    def read(self, value: Any, where: str) -> Any:
        if not is_sequence(value) or len(value) != len(self.items):
            raise wrong(where, str(self), value)
        pairs = enumerate(zip(self.items, value, strict=True))
        return self.make(*(kind.read(item, f"{where}[{at}]") for at, (kind, item) in pairs))

    def __str__(self) -> str:
        return f"a list of {len(self.items)}"


@attrs.frozen
class Entries(Kind):
    """An object with free keys."""

    value: Kind

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "object", "additionalProperties": self.value.schema(definitions)}

    def read(self, value: Any, where: str) -> Any:
        if not is_mapping(value):
            raise wrong(where, str(self), value)
        return {key: self.value.read(item, f"{where}.{key}") for key, item in value.items()}

    def __str__(self) -> str:
        return "an object"


@attrs.frozen
class Choice(Kind):
    """A union: the first member that fits."""

    members: Sequence[Kind]

    def schema(self, definitions: Definitions) -> Schema:
        return {"anyOf": [member.schema(definitions) for member in self.members]}

    def read(self, value: Any, where: str) -> Any:
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

    def schema(self, definitions: Definitions) -> Schema:
        owner = self.owner
        if owner is None:
            return self._schema(definitions)
        # A class that was put under `$defs` stays there: described from elsewhere it could read otherwise.
        if owner in definitions.within or definitions.recursive.get(self.name) is owner:
            return definitions.refer(self.name, owner)
        definitions.within.append(owner)
        schema = self._schema(definitions)
        definitions.within.pop()
        return definitions.add(self.name, schema) if definitions.recursive.get(self.name) is owner else schema

    def _schema(self, definitions: Definitions) -> Schema:
        properties: dict[str, Schema] = {}
        for field in self.fields:
            told: Schema = {} if field.description is None else {"description": field.description}
            default: Schema = {"default": field.default[0]} if field.default else {}
            properties[field.name] = {**field.kind.schema(definitions), **told, **default}
        required = [field.name for field in self.fields if field.required]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    def read(self, value: Any, where: str) -> Any:
        if not is_mapping(value):
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
    """What pydantic describes and reads: its models, and whatever is annotated by its means."""

    adapter: Any

    def schema(self, definitions: Definitions) -> Schema:
        schema: Schema = self.adapter.json_schema()
        for name, inner in schema.pop("$defs", {}).items():
            definitions.add(name, inner)
        return schema

    def read(self, value: Any, where: str) -> Any:
        try:
            return self.adapter.validate_python(value)
        except ValueError as fault:  # pydantic's own is one
            raise ArgumentError(f"{where}: {fault}") from fault

    def __str__(self) -> str:
        return "what its schema says"


def is_foreign(thing: object) -> bool:
    """Whether something is of pydantic's making, or a bound in the terms that it understands."""
    cls = thing if isinstance(thing, type) else type(thing)
    known = ("pydantic", "annotated_types")
    return any(base.__module__.partition(".")[0] in known for base in cls.__mro__)


def foreign(hint: Any, where: str) -> Foreign:
    """The kind of an annotation that pydantic understands.

    Raises:
        TypeError: pydantic is not installed, or does not understand it either.
    """
    try:
        return Foreign(importlib.import_module("pydantic").TypeAdapter(hint))
    except ImportError as fault:
        raise TypeError(f"{where}: {hint!r} needs pydantic, which is not installed") from fault
    except Exception as fault:  # its errors are of many kinds
        raise TypeError(f"{where}: {fault}") from fault

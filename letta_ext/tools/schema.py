"""The types of tool arguments: their JSON schemas, and decoding of JSON values.

JSON has fewer types than Python, so the annotation decides: a list becomes a set, a string a date or an enum member, an
object a dataclass, an attrs class or a pydantic model. pydantic describes and decodes its own types. It is an optional
dependency, imported only if an annotation uses it.
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

MAX_REPR: Final = 80
"""The maximum length of a value in an error message, in characters."""


class ArgumentError(ValueError):
    """An argument that does not match the tool's signature. The message is sent to the model, which can correct it."""


def type_mismatch(path: str, expected: str, value: object) -> ArgumentError:
    """Return the error for a value of the wrong type."""
    text = repr(value)
    text = text if len(text) <= MAX_REPR else text[: MAX_REPR - 1] + "…"
    return ArgumentError(f"{path} must be {expected}, got {text}")


@attrs.define
class Definitions:
    """The `$defs` of a schema: recursive classes, and the definitions of pydantic models.

    Attributes:
        schemas: The definitions by name.
        stack: The classes that are being described.
        recursive: The classes that contain themselves, by name.
    """

    schemas: dict[str, Schema] = attrs.field(factory=dict[str, Schema])
    stack: list[type] = attrs.field(factory=list[type])
    recursive: dict[str, type] = attrs.field(factory=dict[str, type])

    def refer(self, name: str, owner: type) -> Schema:
        """Return a reference to a recursive class.

        Raises:
            TypeError: If another class has the same name.
        """
        if self.recursive.setdefault(name, owner) is not owner:
            raise TypeError(f"two classes in the arguments of a tool are named {name}; rename one of them")
        return {"$ref": f"#/$defs/{name}"}

    def add(self, name: str, schema: Schema) -> Schema:
        """Add a definition, and return a reference to it.

        Raises:
            TypeError: If another definition has the same name.
        """
        if self.schemas.setdefault(name, schema) != schema:
            raise TypeError(f"two classes in the arguments of a tool are named {name}; rename one of them")
        return {"$ref": f"#/$defs/{name}"}


class ValueType(ABC):
    """The type of a JSON value, and its conversion to Python."""

    @abstractmethod
    def schema(self, definitions: Definitions) -> Schema:
        """Return the JSON schema."""

    @abstractmethod
    def decode(self, value: Any, path: str) -> Any:
        """Return the Python value for a JSON value.

        Raises:
            ArgumentError: If the value does not have this type.
        """

    @abstractmethod
    def __str__(self) -> str:
        """Return the name of the type for error messages."""


class AnyType(ValueType):
    """Any JSON value."""

    def schema(self, definitions: Definitions) -> Schema:
        return {}

    def decode(self, value: Any, path: str) -> Any:
        return value

    def __str__(self) -> str:
        return "any value"


@attrs.frozen
class ScalarType(ValueType):
    """A JSON scalar. A bool is not a number. 3.0 is an integer, because JSON does not distinguish it from 3."""

    type: str
    name: str

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": self.type}

    def decode(self, value: Any, path: str) -> Any:
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
                raise type_mismatch(path, self.name, value)

    def __str__(self) -> str:
        return self.name


SCALARS: Final[Mapping[object, ScalarType]] = {
    str: ScalarType("string", "a string"),
    int: ScalarType("integer", "an integer"),
    float: ScalarType("number", "a number"),
    bool: ScalarType("boolean", "true or false"),
    None: ScalarType("null", "null"),
    types.NoneType: ScalarType("null", "null"),
}


@attrs.frozen
class FormattedStringType(ValueType):
    """A string in a format that is converted to another type."""

    convert: Callable[[str], Any]
    format: str | None
    name: str

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "string"} if self.format is None else {"type": "string", "format": self.format}

    def decode(self, value: Any, path: str) -> Any:
        if not isinstance(value, str):
            raise type_mismatch(path, self.name, value)
        try:
            return self.convert(value)
        except (ValueError, ArithmeticError):
            raise type_mismatch(path, self.name, value) from None

    def __str__(self) -> str:
        return self.name


FORMATTED_STRINGS: Final[Mapping[object, FormattedStringType]] = {
    datetime: FormattedStringType(datetime.fromisoformat, "date-time", "a date and time in ISO 8601"),
    date: FormattedStringType(date.fromisoformat, "date", "a date in ISO 8601"),
    time: FormattedStringType(time.fromisoformat, "time", "a time in ISO 8601"),
    UUID: FormattedStringType(UUID, "uuid", "a UUID"),
    Decimal: FormattedStringType(Decimal, None, "a number as a string"),
    Path: FormattedStringType(Path, "path", "a path"),
}


class EnumType(ValueType):
    """One of several values: those of a `Literal`, or of the members of an enum.

    Args:
        options: Pairs of a JSON value and its Python value.
    """

    def __init__(self, options: Iterable[tuple[Any, Any]]) -> None:
        self.options = list(options)

    def schema(self, definitions: Definitions) -> Schema:
        values = [encoded for encoded, _ in self.options]
        types = {_json_type(value) for value in values}
        return {"type": types.pop(), "enum": values} if len(types) == 1 else {"enum": values}

    def decode(self, value: Any, path: str) -> Any:
        for encoded, decoded in self.options:
            if value == encoded and isinstance(value, bool) == isinstance(encoded, bool):
                return decoded
        raise type_mismatch(path, str(self), value)

    def __str__(self) -> str:
        *most, last = [repr(encoded) for encoded, _ in self.options]
        return f"{', '.join(most)} or {last}" if most else last


def _json_type(value: object) -> str:
    cls = next((k for k in (bool, int, float, str, types.NoneType) if isinstance(value, k)), None)
    if cls is None:
        raise TypeError(f"{value!r} cannot be encoded as JSON; use a string, a number, a bool or None")
    return SCALARS[cls].type


@attrs.frozen
class ArrayType(ValueType):
    """An array that is converted to a list, a tuple or a set."""

    item: ValueType
    convert: Callable[[list[Any]], Any]
    unique: bool = False

    def schema(self, definitions: Definitions) -> Schema:
        schema: Schema = {"type": "array", "items": self.item.schema(definitions)}
        return {**schema, "uniqueItems": True} if self.unique else schema

    def decode(self, value: Any, path: str) -> Any:
        if not is_sequence(value):
            raise type_mismatch(path, "a list", value)
        items = [self.item.decode(item, f"{path}[{index}]") for index, item in enumerate(value)]
        try:
            return self.convert(items)
        except TypeError as error:  # a set of unhashable items
            raise ArgumentError(f"{path}: {error}") from None

    def __str__(self) -> str:
        return "a list"


@attrs.frozen
class TupleType(ValueType):
    """An array of fixed length that is converted to a tuple or a NamedTuple."""

    items: Sequence[ValueType]
    convert: Callable[..., Any] = lambda *items: items

    def schema(self, definitions: Definitions) -> Schema:
        length = len(self.items)
        prefix = [item.schema(definitions) for item in self.items]
        return {"type": "array", "prefixItems": prefix, "minItems": length, "maxItems": length}

    def decode(self, value: Any, path: str) -> Any:
        if not is_sequence(value) or len(value) != len(self.items):
            raise type_mismatch(path, str(self), value)
        pairs = enumerate(zip(self.items, value, strict=True))
        return self.convert(*(item_type.decode(item, f"{path}[{index}]") for index, (item_type, item) in pairs))

    def __str__(self) -> str:
        return f"a list of {len(self.items)}"


@attrs.frozen
class MapType(ValueType):
    """An object with arbitrary keys."""

    value: ValueType

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "object", "additionalProperties": self.value.schema(definitions)}

    def decode(self, value: Any, path: str) -> Any:
        if not is_mapping(value):
            raise type_mismatch(path, str(self), value)
        return {key: self.value.decode(item, f"{path}.{key}") for key, item in value.items()}

    def __str__(self) -> str:
        return "an object"


@attrs.frozen
class AnyOfType(ValueType):
    """A union. The first member that accepts the value decodes it."""

    members: Sequence[ValueType]

    def schema(self, definitions: Definitions) -> Schema:
        return {"anyOf": [member.schema(definitions) for member in self.members]}

    def decode(self, value: Any, path: str) -> Any:
        errors: list[ArgumentError] = []
        for member in self.members:
            try:
                return member.decode(value, path)
            except ArgumentError as error:
                errors.append(error)
        structured = [e for m, e in zip(self.members, errors, strict=True) if not isinstance(m, ScalarType)]
        if len(structured) == 1 and value is not None:  # the most specific error, e.g. of the only class
            raise structured[0]
        raise type_mismatch(path, str(self), value)

    def __str__(self) -> str:
        return " or ".join(dict.fromkeys(map(str, self.members)))


@attrs.define
class Field:
    """A property of an object.

    Attributes:
        name: Its key.
        value_type: Its type.
        required: Whether it is required.
        description: Its description for the model.
        default: Its default in a list of one, or an empty list if JSON cannot express it.
    """

    name: str
    value_type: ValueType
    required: bool
    description: str | None = None
    default: Sequence[Any] = ()


class ObjectType(ValueType):
    """An object with known keys.

    Args:
        name: Its name.
        construct: Is called with the properties as keyword arguments.
        owner: Its class, which may be recursive.
    """

    def __init__(self, name: str, construct: Callable[..., Any], owner: type | None = None) -> None:
        self.name = name
        self.construct = construct
        self.owner = owner
        self.fields: list[Field] = []

    def schema(self, definitions: Definitions) -> Schema:
        owner = self.owner
        if owner is None:
            return self._schema(definitions)
        # A recursive class is always referenced, so that it has one schema everywhere.
        if owner in definitions.stack or definitions.recursive.get(self.name) is owner:
            return definitions.refer(self.name, owner)
        definitions.stack.append(owner)
        schema = self._schema(definitions)
        definitions.stack.pop()
        return definitions.add(self.name, schema) if definitions.recursive.get(self.name) is owner else schema

    def _schema(self, definitions: Definitions) -> Schema:
        properties: dict[str, Schema] = {}
        for field in self.fields:
            description: Schema = {} if field.description is None else {"description": field.description}
            default: Schema = {"default": field.default[0]} if field.default else {}
            properties[field.name] = {**field.value_type.schema(definitions), **description, **default}
        required = [field.name for field in self.fields if field.required]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    def decode(self, value: Any, path: str) -> Any:
        if not is_mapping(value):
            raise type_mismatch(path, "an object", value)
        prefix = f"{path}." if path else ""
        known = {field.name: field for field in self.fields}
        for key in value:
            if key not in known:
                raise ArgumentError(f"{prefix}{key} is unknown; the known names are {', '.join(known) or 'none'}")
        for field in self.fields:
            if field.required and field.name not in value:
                raise ArgumentError(f"{prefix}{field.name} is missing")
        decoded = {key: known[key].value_type.decode(item, f"{prefix}{key}") for key, item in value.items()}
        try:
            return self.construct(**decoded)
        except (TypeError, ValueError) as error:  # a class can check more than its annotations express
            raise ArgumentError(f"{path or self.name}: {error}") from error

    def __str__(self) -> str:
        return "an object"


@attrs.frozen
class PydanticType(ValueType):
    """A type that pydantic describes and decodes."""

    adapter: Any

    def schema(self, definitions: Definitions) -> Schema:
        schema: Schema = self.adapter.json_schema()
        for name, inner in schema.pop("$defs", {}).items():
            definitions.add(name, inner)
        return schema

    def decode(self, value: Any, path: str) -> Any:
        try:
            return self.adapter.validate_python(value)
        except ValueError as error:  # the base class of pydantic.ValidationError
            raise ArgumentError(f"{path}: {error}") from error

    def __str__(self) -> str:
        return "valid for its schema"


def is_pydantic(value: object) -> bool:
    """Return whether a class, or the class of a value, belongs to pydantic or annotated_types."""
    cls = value if isinstance(value, type) else type(value)
    known = ("pydantic", "annotated_types")
    return any(base.__module__.partition(".")[0] in known for base in cls.__mro__)


def pydantic_type(hint: Any, path: str) -> PydanticType:
    """Return the type for an annotation that pydantic supports.

    Raises:
        TypeError: If pydantic is not installed, or does not support the annotation.
    """
    try:
        return PydanticType(importlib.import_module("pydantic").TypeAdapter(hint))
    except ImportError as error:
        raise TypeError(f"{path}: {hint!r} requires pydantic, which is not installed") from error
    except Exception as error:  # pydantic raises unrelated classes
        raise TypeError(f"{path}: {error}") from error

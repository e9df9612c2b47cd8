"""Compiles the annotations of parameters to the types of `schema.py`."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Literal, NotRequired, Required, Union, cast, get_args, get_origin

import attrs

from .schema import (
    FORMATTED_STRINGS,
    SCALARS,
    AnyOfType,
    AnyType,
    ArrayType,
    EnumType,
    Field,
    MapType,
    ObjectType,
    TupleType,
    ValueType,
    is_pydantic,
    pydantic_type,
)


class Compiler:
    """A compiler for the annotations of one tool. It keeps the classes that it has compiled, which may be recursive."""

    def __init__(self) -> None:
        self._objects: dict[type, ObjectType] = {}

    def compile(self, hint: Any, path: str) -> tuple[ValueType, str | None]:
        """Return the type for an annotation, and its description from `Annotated[…, "…"]`.

        Raises:
            TypeError: If JSON cannot express the annotation.
        """
        if get_origin(hint) is Annotated:
            inner, *metadata = get_args(hint)
            if any(map(is_pydantic, metadata)):
                return pydantic_type(hint, path), next((each for each in metadata if isinstance(each, str)), None)
            value_type, description = self.compile(inner, path)
            return value_type, next((each for each in metadata if isinstance(each, str)), description)
        if get_origin(hint) in (Required, NotRequired):
            return self.compile(get_args(hint)[0], path)
        return self._compile_bare(hint, path), None

    def _compile_bare(self, hint: Any, path: str) -> ValueType:
        hint = getattr(hint, "__supertype__", hint)  # NewType
        if type(hint).__name__ == "TypeAliasType":
            return self.compile(hint.__value__, path)[0]
        if hint is Any or hint is object:
            return AnyType()
        if isinstance(hint, typing.Hashable) and (simple := SCALARS.get(hint) or FORMATTED_STRINGS.get(hint)):
            return simple
        origin, arguments = get_origin(hint) or hint, get_args(hint)
        if origin is Literal:
            return EnumType((a.value if isinstance(a, enum.Enum) else a, a) for a in arguments)
        if origin in (Union, types.UnionType):
            return AnyOfType([self.compile(each, path)[0] for each in arguments])
        if not isinstance(origin, type):
            raise TypeError(f"{path}: {hint!r} cannot be decoded from JSON; use another annotation")
        return self._compile_class(cast("type[Any]", origin), arguments, path)

    def _compile_class(self, cls: type[Any], arguments: tuple[Any, ...], path: str) -> ValueType:
        if issubclass(cls, enum.Enum):
            return EnumType((member.value, member) for member in cls)
        if is_pydantic(cls):
            return pydantic_type(cls, path)
        if is_typed_dict(cls) or dataclasses.is_dataclass(cls) or attrs.has(cls):
            return self._compile_object(cls, path)
        names: tuple[str, ...] | None = getattr(cls, "_fields", None)
        if issubclass(cls, tuple) and names is not None:  # a NamedTuple
            hints = resolve_hints(cls, cls.__name__)
            return TupleType([self.compile(hints.get(name, Any), path)[0] for name in names], cast("type[Any]", cls))
        if issubclass(cls, tuple) and arguments and arguments[-1] is not ...:
            return TupleType([self.compile(each, path)[0] for each in arguments])
        if issubclass(cls, Mapping):
            key, value = arguments or (str, Any)
            if self._compile_bare(key, path) is not SCALARS[str]:
                raise TypeError(f"{path}: the keys of a mapping must be str, got {key!r}")
            return MapType(self.compile(value, path)[0])
        # A list, or a base class of list: Sequence, Iterable, Collection.
        if not issubclass(cls, (tuple, AbstractSet)) and not issubclass(list, cls):
            raise TypeError(f"{path}: {cls.__name__} cannot be decoded from JSON; use another annotation")
        item = self.compile(arguments[0], path)[0] if arguments else AnyType()
        if issubclass(cls, AbstractSet):
            return ArrayType(item, frozenset if cls is frozenset else set, unique=True)
        return ArrayType(item, tuple if issubclass(cls, tuple) else list)

    def _compile_object(self, cls: type[Any], path: str) -> ObjectType:
        if cls in self._objects:
            return self._objects[cls]
        compiled = self._objects[cls] = ObjectType(cls.__name__, cls, cls)
        hints = resolve_hints(cls, cls.__name__)
        for name, alias, required in _fields_of(cls, hints):
            value_type, description = self.compile(hints[name], f"{path}.{name}")
            compiled.fields.append(Field(alias, value_type, required, description))
        return compiled


def is_typed_dict(cls: type) -> bool:
    """Return whether a class is a TypedDict of `typing` or `typing_extensions`."""
    return hasattr(cls, "__total__") and hasattr(cls, "__required_keys__") and issubclass(cls, dict)


def _fields_of(cls: type, hints: Mapping[str, Any]) -> Iterable[tuple[str, str, bool]]:
    """Yield the attribute, the keyword and the required flag of each field of a class."""
    if is_typed_dict(cls):
        # With postponed annotations __required_keys__ ignores Required and NotRequired.
        total: frozenset[str] = getattr(cls, "__required_keys__", frozenset[str]())
        for name, hint in hints.items():
            marker = get_origin(hint)
            yield name, name, marker is Required or (marker is not NotRequired and name in total)
    elif attrs.has(cls):
        for each in attrs.fields(cls):
            if each.init:
                yield each.name, each.alias or each.name, each.default is attrs.NOTHING
    else:
        for field in dataclasses.fields(cls):
            if field.init:
                optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
                yield field.name, field.name, not optional


def resolve_hints(annotated: Any, name: str) -> dict[str, Any]:
    """Return the resolved annotations of a function or class.

    Raises:
        TypeError: If an annotation refers to an undefined name.
    """
    try:
        return typing.get_type_hints(annotated, include_extras=True)
    except NameError as error:
        raise TypeError(f"{name}: an annotation cannot be resolved: {error}") from error

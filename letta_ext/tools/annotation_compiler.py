"""From a parameter's annotation to what it may be: see `kinds.py`."""

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
    PLAIN,
    TEXTS,
    Anything,
    Choice,
    Entries,
    Field,
    Items,
    Kind,
    Options,
    Places,
    Record,
    foreign,
    is_foreign,
)


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
            if any(map(is_foreign, notes)):
                return foreign(hint, where), next((note for note in notes if isinstance(note, str)), None)
            kind, told = self.compile(inner, where)
            return kind, next((note for note in notes if isinstance(note, str)), told)
        if get_origin(hint) in (Required, NotRequired):
            return self.compile(get_args(hint)[0], where)
        return self._kind(hint, where), None

    def _kind(self, hint: Any, where: str) -> Kind:
        hint = getattr(hint, "__supertype__", hint)  # NewType
        if type(hint).__name__ == "TypeAliasType":
            return self.compile(hint.__value__, where)[0]
        if hint is Any or hint is object:
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
        if is_foreign(cls):
            return foreign(cls, where)
        if is_keys(cls) or dataclasses.is_dataclass(cls) or attrs.has(cls):
            return self._record(cls, where)
        names: tuple[str, ...] | None = getattr(cls, "_fields", None)
        if issubclass(cls, tuple) and names is not None:  # a NamedTuple
            hints = read_hints(cls, cls.__name__)
            return Places([self.compile(hints.get(name, Any), where)[0] for name in names], cast("type[Any]", cls))
        if issubclass(cls, tuple) and arguments and arguments[-1] is not ...:
            return Places([self.compile(each, where)[0] for each in arguments])
        if issubclass(cls, Mapping):
            key, value = arguments or (str, Any)
            if self._kind(key, where) is not PLAIN[str]:
                raise TypeError(f"{where}: the keys of a JSON object are strings, not {key!r}")
            return Entries(self.compile(value, where)[0])
        # A list, or what a list is: Sequence, Iterable, Collection.
        if not issubclass(cls, (tuple, AbstractSet)) and not issubclass(list, cls):
            raise TypeError(f"{where}: {cls.__name__} cannot be read from JSON; annotate it otherwise")
        item = self.compile(arguments[0], where)[0] if arguments else Anything()
        if issubclass(cls, AbstractSet):
            return Items(item, frozenset if cls is frozenset else set, unique=True)
        return Items(item, tuple if issubclass(cls, tuple) else list)

    def _record(self, cls: type[Any], where: str) -> Record:
        if cls in self._records:
            return self._records[cls]
        record = self._records[cls] = Record(cls.__name__, cls, cls)
        hints = read_hints(cls, cls.__name__)
        for name, alias, required in _members(cls, hints):
            kind, told = self.compile(hints[name], f"{where}.{name}")
            record.fields.append(Field(alias, kind, required, told))
        return record


def is_keys(cls: type) -> bool:
    """Whether a class is a TypedDict, of `typing` or of `typing_extensions`."""
    return hasattr(cls, "__total__") and hasattr(cls, "__required_keys__") and issubclass(cls, dict)


def _members(cls: type, hints: Mapping[str, Any]) -> Iterable[tuple[str, str, bool]]:
    """The fields of a class: attribute, keyword, and whether it must be given."""
    if is_keys(cls):
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

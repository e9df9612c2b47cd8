"""Models as types of pydantic, which is imported only if pydantic asks for a schema or a serializer."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Any, Literal, get_args, get_origin

import attrs

from .json_values import is_mapping
from .model import Model, Unknown
from .structs import Discriminator

_SCALARS: Mapping[Any, str] = {
    Any: "any_schema",
    str: "str_schema",
    int: "int_schema",
    float: "float_schema",
    bool: "bool_schema",
    type(None): "none_schema",
    datetime: "datetime_schema",
}


def _builders() -> Any:
    return import_module("pydantic_core.core_schema")  # by name: type checkers of a vendored copy need no pydantic


def _dump(value: Any, info: Any) -> Any:
    options = ("include", "exclude", "by_alias", "exclude_unset", "exclude_defaults", "exclude_none")
    return value.model_dump(mode=info.mode, **{name: getattr(info, name) for name in options})


def core_schema(cls: type[Model | Unknown], validate: Callable[[Any], Any]) -> Any:
    """Return the core schema of a class: its own decoder, and its own `model_dump`."""
    build = _builders()

    def decode(value: Any, *_: Any) -> Any:
        return value if isinstance(value, cls) else validate(value)

    options = {"ref": _ref(cls), "serialization": build.plain_serializer_function_ser_schema(_dump, info_arg=True)}
    if constants := _constants(cls):
        # Discriminated unions of pydantic find the constants of their members in an inner schema.
        return build.no_info_wrap_validator_function(decode, constants, **options)
    return build.no_info_plain_validator_function(decode, **options)


def _constants(cls: type[Model | Unknown]) -> Any:
    """Return the core schema of the fields that are constants, or None if a class has none."""
    build = _builders()
    table = cls._field_table if issubclass(cls, Model) else {}  # pyright: ignore[reportPrivateUsage]  # internal
    fields = {
        key: build.typed_dict_field(build.literal_schema([decode.value, *decode.earlier]), required=required)
        for key, (_, required, decode) in table.items()
        if isinstance(decode, Discriminator)
    }
    return build.typed_dict_schema(fields) if fields else None


@cache
def serializer() -> Any:
    """Return the serializer of objects with a method `model_dump`, for fields whose type pydantic does not know."""
    build = _builders()
    schema = build.any_schema(serialization=build.plain_serializer_function_ser_schema(_dump, info_arg=True))
    return import_module("pydantic_core").SchemaSerializer(schema)


def json_schema(cls: type[Model | Unknown], handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Return the JSON schema of a class, with a definition for each model that it refers to."""
    documentation = _Documentation()
    documentation.schema(cls)
    schema = documentation.found.pop(cls, None) or documentation.build.dict_schema()
    schema.pop("ref", None)  # that of `core_schema`, which this documents
    return handler(documentation.build.definitions_schema(schema, [*documentation.found.values()]))


def _ref(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}:{id(cls)}"


class _Documentation:
    """Core schemas of annotations, of which pydantic makes JSON schemas.

    Attributes:
        found: The core schemas of the models.
        build: The functions that build core schemas.
    """

    def __init__(self) -> None:
        self.found: dict[Any, Any] = {}
        self.build = _builders()

    def schema(self, hint: Any) -> Any:
        """Return the core schema of an annotation."""
        build, origin, arguments = self.build, get_origin(hint), get_args(hint)
        if hint in _SCALARS:
            return getattr(build, _SCALARS[hint])()
        if origin is Literal:
            return build.literal_schema([*arguments])
        if origin is list:
            return build.list_schema(self.schema(arguments[0]))
        if origin is dict:
            return build.dict_schema(build.str_schema(), self.schema(arguments[1]))
        if origin in (typing.Union, types.UnionType):
            # An unknown member can be any object.
            known: list[Any] = [each for each in arguments if not _is_class(each, Unknown)]
            choices = [self.schema(each) for each in known if each is not type(None)]
            union = choices[0] if len(choices) == 1 else build.union_schema(choices)
            return build.nullable_schema(union) if type(None) in known else union
        if _is_class(hint, Model):
            return self._model(hint)
        return build.dict_schema(build.str_schema(), build.any_schema())

    def _model(self, cls: type[Model]) -> Any:
        build, ref = self.build, _ref(cls)
        if cls not in self.found:
            self.found[cls] = None  # models can refer to each other
            fields = {}
            for key, (name, required, _) in cls._field_table.items():  # pyright: ignore[reportPrivateUsage]  # internal
                schema = self.schema(_hint(cls, name))
                if not required:
                    schema = build.with_default_schema(schema, default=cls._absent[name])  # pyright: ignore[reportPrivateUsage]  # internal
                fields[key] = build.typed_dict_field(schema, required=required)
            self.found[cls] = build.typed_dict_schema(fields, cls=cls, ref=ref, extra_behavior="allow")
        return build.definition_reference_schema(ref)


def _is_class(hint: Any, base: type) -> bool:
    return isinstance(hint, type) and issubclass(hint, base)


def _hint(cls: type[Model], name: str) -> Any:
    attributes: Any = attrs.fields(cls)  # type: ignore[arg-type]  # each subclass is a class of attrs
    annotation = next(each.type for each in attributes if each.name == name)
    try:
        return typing.get_type_hints(
            type("Field", (), {"__module__": cls.__module__, "__annotations__": {"field": annotation}})
        )["field"]
    except NameError:  # a union that the module imports for type checkers only, in a circular import
        return Any


def validate_unknown(cls: type[Unknown], value: Any) -> Any:
    """Return an unknown member for the JSON that no other member of a union matches."""
    if not is_mapping(value):
        raise ValueError("is not an object")
    return cls(value, "matches no member that this package knows")

"""The base classes of models and of unknown members of unions.

An absent field is an empty slot: it reads as None, or as the constant of a discriminator, and `to_dict` omits it.
So `to_dict` returns the decoded JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from attrs import NOTHING, Attribute, field, frozen

from .compiled_decoders import from_object, from_struct
from .errors import DecodeError
from .json_values import Encodable, decode_at, is_undecoded, json_type, short_repr
from .json_values import LazyValue as LazyValue
from .json_values import array as array
from .json_values import decode_array as decode_array
from .json_values import ensure_array as ensure_array
from .json_values import ensure_object as ensure_object
from .json_values import generated_kind as generated_kind
from .json_values import is_array as is_array
from .json_values import is_mapping as is_mapping
from .json_values import is_object as is_object
from .json_values import is_sequence as is_sequence
from .json_values import mapping as mapping
from .json_values import nullable as nullable
from .json_values import or_text as or_text
from .json_values import to_json_value as to_json_value
from .learned_fields import is_unknown_field
from .pydantic_methods import PydanticMethods, PydanticSerializer, checked_mode, dump_options
from .structs import (
    ABSENT,
    DECODE_ERRORS,
    FALLBACK_ERRORS,
    PARSERS,
    STRUCT_DECODERS,
    Decoders,
    Discriminator,
    FieldTable,
    StructFields,
    create,
    parse_json,
)


class Signature:
    """The signature of a model's constructor for `inspect`, which would otherwise read that of `__new__`."""

    def __get__(self, model: Any, cls: type) -> Any:
        from inspect import signature  # needed by introspection only

        found = signature(cls.__init__)  # type: ignore[misc]  # of exactly this class
        return found.replace(parameters=[*found.parameters.values()][1:])


class Model(PydanticMethods):
    """A JSON object with known fields.

    `_field_table` is derived from the annotations of a subclass: a field without a default is required, the default
    `ABSENT` marks an optional field, a string marks a constant. `_keys` maps field names to JSON keys that differ, and
    `_decoders` maps them to decoders. `_generated` marks models for other generated packages.
    """

    __slots__ = ("__weakref__", "_extra")

    _keys: ClassVar[dict[str, str]] = {}
    _decoders: ClassVar[Decoders] = {}
    _required: ClassVar[tuple[str, ...]] = ()
    _generated: ClassVar[str] = "model"
    _extra: dict[str, Any] | None  # not a field of attrs, so `attrs.asdict` omits it

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
            for name, _, decode in cls._field_table.values()
        }
        if "__replace__" in vars(cls):
            cls.__replace__ = Model.__replace__  # type: ignore[method-assign]  # that of attrs omits unknown fields
        # Each class compiles its own.
        found = getattr_static(cls, "_from_object")
        if found is vars(Model)["_from_object"] or isinstance(found, staticmethod):
            cls._from_object = vars(Model)["_from_object"]  # type: ignore[method-assign]  # the same method

    @classmethod
    def _table_row(cls, attribute: Attribute[Any]) -> tuple[str, bool, Callable[[Any], Any] | Discriminator | None]:
        name, default = attribute.name, attribute.default
        decode = cls._decoders.get(name)
        if default is NOTHING or default is ABSENT:
            return name, default is NOTHING, decode
        tag = decode if isinstance(decode, Discriminator) else Discriminator(str(default))
        return name, tag.required, tag

    def __attrs_post_init__(self) -> None:
        self._extra = None
        for name in self._absent:
            if getattr(self, name) is ABSENT:
                delattr(self, name)
        for name, decode in self._decoders.items():
            value = getattr(self, name)
            if is_undecoded(value) and not isinstance(decode, Discriminator):
                setattr(self, name, decode_at(name, decode, to_json_value(value)))

    if not TYPE_CHECKING:  # type checkers report misspelled fields

        def __new__(cls, *args: Any, **fields: Any) -> Any:  # noqa: D102  # documented by the class
            if Model in cls.__bases__ and (args or not fields.keys() <= cls._absent.keys()):
                given = "positional arguments" if args else f"no field {min(fields.keys() - cls._absent.keys())!r}"
                remedy = f"{cls.__name__}.from_dict(data) decodes JSON, also with unknown fields"
                raise TypeError(f"{cls.__name__}() {'takes no' if args else 'has'} {given}. {remedy}.")
            return create(cls)

        __signature__ = Signature()

        @property
        def __dict__(self) -> dict[str, Any]:
            """The values of all fields by name, as `vars(model)` returns them. Slots hold the fields themselves."""
            return dict(self)

        def __getattr__(self, name: str) -> Any:
            try:
                return self._absent[name]
            except KeyError:
                # Names of protocols begin with an underscore. A server does not define them.
                if name[:1] != "_" and self._extra and name in self._extra:
                    return self._extra[name]
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Iterate over the names and values of all fields, and of unknown ones."""
        for name in self._absent:
            yield name, getattr(self, name)
        yield from self.extra_fields.items()

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
            raise DecodeError("", f"is {json_type(data)}, not an object ({cls.__name__})")
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
        convert = STRUCT_DECODERS[type(struct)] = cls._struct_decoder(type(struct))
        return convert(struct)

    @classmethod
    def _struct_decoder(cls, struct_class: Any) -> Callable[[Any], Self]:
        """Return the function that converts structs of a class.

        Raises:
            TypeError: If the model overrides `from_dict`.
        """
        if getattr(cls.from_dict, "__func__", None) is not vars(Model)["from_dict"].__func__:
            raise TypeError(f"{cls.__name__} overrides from_dict, which then decodes text too")
        return from_struct(cls, struct_class)

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
            struct = PARSERS[cls](text)
            model: Self = STRUCT_DECODERS[type(struct)](struct)
            return model
        except FALLBACK_ERRORS as fault:
            unknown_field = is_unknown_field(fault)
        decoded = cls.from_dict(parse_json(text))
        if unknown_field:
            PARSERS.learn(cls, decoded)
        return decoded

    @classmethod
    def model_validate(cls, obj: Any, *, from_attributes: bool | None = None, **_options: Any) -> Self:
        """Return the model of a mapping, whose values can be JSON or decoded. A model of this class is returned itself.

        Args:
            obj: The mapping or the model.
            from_attributes: Whether to read the fields from the attributes of another object. Defaults to False.
            **_options: No effect: other options of pydantic's method.

        Raises:
            DecodeError: As in `from_dict`.
        """
        if isinstance(obj, cls):
            return obj
        if from_attributes and not is_mapping(obj):
            table = cls._field_table.items()
            obj = {key: getattr(obj, name) for key, (name, _, _) in table if hasattr(obj, name)}
        return cls.from_dict(to_json_value(obj) if is_mapping(obj) else obj)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **_options: Any) -> Self:
        """Return the model of JSON text: `from_json` under the name that pydantic has for it."""
        return cls.from_json(bytes(json_data) if isinstance(json_data, bytearray) else json_data)

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

    def to_dict(
        self,
        *,
        mode: Literal["json", "python"] = "json",
        use_api_names: bool = True,
        exclude_unset: bool = True,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
    ) -> dict[str, Any]:
        """Return the JSON object: the fields that are set, and unknown fields as received.

        Args:
            mode: Whether date-times are JSON strings or objects (`python`). Defaults to `json`.
            use_api_names: Whether the keys are those of the JSON. Defaults to True.
            exclude_unset: Whether to omit absent fields. Defaults to True.
            exclude_defaults: Whether to omit absent fields and fields that are None. Defaults to False.
            exclude_none: Whether to omit fields that are None. Defaults to False.
        """
        if mode != "json" or not use_api_names or not exclude_unset or exclude_defaults or exclude_none:
            kind: Literal["server", "python"] = "server" if checked_mode(mode) == "json" else "python"
            return dump_options(kind, use_api_names, exclude_unset, exclude_defaults, exclude_none).model(self)
        out: dict[str, Any] = {}
        for key, (name, _, _) in self._field_table.items():
            try:
                out[key] = to_json_value(object.__getattribute__(self, name))
            except AttributeError:
                continue
        if self._extra:
            out.update(self._extra)
        return out

    def to_json(self, *, indent: int | None = None, **options: Any) -> str:
        """Return the JSON text of `to_dict`, whose options it accepts.

        Args:
            indent: The number of spaces per level, or None for one line. Defaults to None.
            **options: The options of `to_dict`.
        """
        return json.dumps(self.to_dict(**options), ensure_ascii=False, indent=indent)

    def __replace__(self, **changes: Any) -> Self:
        """Return `model_copy(update=changes)`, for `copy.replace` of Python 3.13."""
        return self.model_copy(update=changes)

    def __eq__(self, other: object) -> bool:
        """Compare the values of all fields. Absent fields equal None."""
        if not isinstance(other, Model) or type(other) is not type(self):
            return NotImplemented
        names = [name for name, _, _ in self._field_table.values()]
        return all(getattr(self, n) == getattr(other, n) for n in names) and (self._extra or {}) == (other._extra or {})

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        shown = [f"{name}={short_repr(value)}" for name, value in self.__rich_repr__()]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        """Yield the names and values that rich shows."""
        return ((name, value) for name, value in self._present().items() if value is not None)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print a field per line in IPython."""
        with printer.group(4, f"{type(self).__name__}(", ")"):
            for name, value in self.__rich_repr__():
                printer.breakable("")
                printer.text(f"{name}=")
                printer.pretty(value) if isinstance(value, Model) else printer.text(short_repr(value))
                printer.text(",")

    def _repr_html_(self) -> str:
        """Return an HTML table for notebooks."""
        from html import escape  # needed in notebooks only

        rows = [
            f"<tr><th>{escape(name)}</th><td>{escape(short_repr(value, 1000))}</td></tr>"
            for name, value in self.__rich_repr__()
        ]
        return f"<table><caption>{type(self).__name__}</caption>{''.join(rows)}</table>"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from .pydantic_schemas import core_schema  # needed by pydantic only

        return core_schema(cls, cls.model_validate)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        from .pydantic_schemas import json_schema  # needed by pydantic only

        return json_schema(cls, handler)

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[dict[str, Any], dict[str, Any] | None]]:
        return self._restore, (self._present(), self._extra)

    @classmethod
    def _restore(cls, fields: dict[str, Any], extra: dict[str, Any] | None) -> Self:
        """Create a model for `copy` and `pickle`. Absent fields stay absent."""
        self = create(cls)
        for name, value in fields.items():
            setattr(self, name, value)
        self._extra = extra
        return self


@frozen
class Unknown(Encodable):
    """A union member that is unknown to this package, or malformed.

    Attributes:
        raw: The received JSON value.
        reason: The reason why no known member matches.
    """

    _generated: ClassVar[str] = "unknown"
    raw: Any = field(repr=short_repr)
    reason: str

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Iterate over the keys and values of a received object."""
        yield from self.raw.items() if is_mapping(self.raw) else ()

    def to_dict(self, **_options: Any) -> Any:
        """Return the received JSON value. The options of a model's method have no effect."""
        return self.raw

    def to_json(self, *, indent: int | None = None, **_options: Any) -> str:
        """Return the received JSON value as text."""
        return json.dumps(self.raw, ensure_ascii=False, indent=indent)

    def model_dump(self, **_options: Any) -> Any:
        """Return the received JSON value, as a copy."""
        return deepcopy(self.raw)

    def model_dump_json(self, *, indent: int | None = None, **_options: Any) -> str:
        """Return the received JSON value as text."""
        from .dump import dumps  # needed by callers of this method only

        return dumps(self.raw, indent)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from .pydantic_schemas import core_schema, validate_unknown  # needed by pydantic only

        return core_schema(cls, lambda value: validate_unknown(cls, value))

    __get_pydantic_json_schema__ = Model.__get_pydantic_json_schema__
    __pydantic_serializer__: ClassVar[Any] = PydanticSerializer()


def unknown_reason(data: Any, tag: str, known: Mapping[str, Any], fault: Exception) -> str:
    """Return the reason why a member was not decoded."""
    if not is_mapping(data):
        return f"is {json_type(data)}, not an object"
    if tag not in data:
        return f"has no {tag}"
    if not isinstance(data[tag], str) or data[tag] not in known:
        return f"{tag} {data[tag]!r} is not known"
    return str(fault)

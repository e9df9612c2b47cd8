"""The methods that models share with those of pydantic. pydantic is not needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy, deepcopy
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from .json_values import Encodable, is_undecoded, to_json_value
from .structs import DECODE_ERRORS, Discriminator, FieldTable, create

if TYPE_CHECKING:
    from .dump import Dump


class PydanticSerializer:
    """The serializer that pydantic looks up on an object where it knows no type, as in a field of type Any."""

    def __get__(self, value: Any, cls: type) -> Any:
        try:
            from .pydantic_schemas import serializer  # needed by pydantic only

            return serializer()
        except ImportError as error:
            raise AttributeError(str(error)) from error


class PydanticMethods(Encodable):
    """The part of `Model` whose names and meanings are those of pydantic."""

    __slots__ = ()

    _field_table: ClassVar[FieldTable] = {}
    _absent: ClassVar[dict[str, Any]] = {}
    __pydantic_serializer__: ClassVar[Any] = PydanticSerializer()

    if TYPE_CHECKING:  # defined by the subclass `Model`
        _present: Callable[[], dict[str, Any]]
        extra_fields: Any

    @property
    def model_fields_set(self) -> set[str]:
        """`fields_set` under the name that pydantic has for it."""
        return set(self._present())

    @property
    def model_extra(self) -> dict[str, Any]:
        """`extra_fields` under the name that pydantic has for it."""
        return dict(self.extra_fields)

    def model_dump(
        self,
        *,
        mode: str = "python",
        include: Any = None,
        exclude: Any = None,
        context: Any = None,
        by_alias: bool | None = None,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        round_trip: bool = False,
        warnings: Any = True,
        fallback: Any = None,
        serialize_as_any: bool = False,
    ) -> dict[str, Any]:
        """Return a dictionary of all fields, like pydantic's method. Absent fields have the values as which they read.

        Args:
            mode: Whether date-times are objects (`python`) or strings (`json`). Defaults to `python`.
            include: The fields to include, as a set of names or a mapping of names to such sets. Defaults to all.
            exclude: The fields to omit, in the same form. Defaults to none.
            context: No effect.
            by_alias: Whether the keys are those of the JSON. Defaults to False.
            exclude_unset: Whether to omit absent fields. Defaults to False.
            exclude_defaults: Whether to omit absent fields and fields that are None. Defaults to False.
            exclude_none: Whether to omit fields that are None. Defaults to False.
            round_trip: No effect.
            warnings: No effect.
            fallback: No effect.
            serialize_as_any: No effect.
        """
        options = dump_options(checked_mode(mode), bool(by_alias), exclude_unset, exclude_defaults, exclude_none)
        return options.model(self, include, exclude)

    def model_dump_json(self, *, indent: int | None = None, ensure_ascii: bool = False, **options: Any) -> str:
        """Return the JSON text of `model_dump(mode="json")`, whose options it accepts, like pydantic's method.

        Args:
            indent: The number of spaces per level, or None for compact text. Defaults to None.
            ensure_ascii: Whether to escape other characters than those of ASCII. Defaults to False.
            **options: The options of `model_dump` other than `mode`.
        """
        from .dump import dumps  # needed by callers of this method only

        return dumps(self.model_dump(mode="json", **options), indent, ensure_ascii=ensure_ascii)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, like pydantic's method.

        Args:
            update: The values of fields to replace, which are not checked. Other names become unknown fields.
            deep: Whether to copy the values too. Defaults to False.
        """
        copied: Any = deepcopy(self) if deep else copy(self)
        if update:
            added = {name: value for name, value in update.items() if name not in self._absent}
            copied._extra = {**(copied._extra or {}), **added} or None
            for name in update.keys() & self._absent.keys():
                setattr(copied, name, update[name])
        model: Self = copied
        return model

    @classmethod
    def model_construct(cls, _fields_set: Any = None, **values: Any) -> Self:
        """Return a model without validation. Values that can be decoded are decoded, and unknown fields are kept.

        Args:
            _fields_set: No effect: the fields that are passed are set.
            **values: The values by JSON key or field name.
        """
        self: Any = create(cls)
        for key, (name, _, decode) in cls._field_table.items():
            given = key if key in values else name
            if given in values:
                value = values.pop(given)
                if decode is not None and not isinstance(decode, Discriminator) and is_undecoded(value):
                    with suppress(*DECODE_ERRORS):
                        value = decode(to_json_value(value))
                setattr(self, name, value)
        self._extra = values or None
        model: Self = self
        return model


def checked_mode(mode: str) -> Literal["json", "python"]:
    """Return the mode of a dump, or raise ValueError."""
    if mode == "json":
        return "json"
    if mode != "python":
        raise ValueError(f"mode must be 'json' or 'python', got {mode!r}")
    return "python"


def dump_options(mode: Literal["python", "json", "server"], *flags: bool) -> Dump:
    """Return the options of a dump."""
    from .dump import Dump  # needed by callers of `model_dump` only

    return Dump(mode, *flags)

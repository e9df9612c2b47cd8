"""Dictionaries of models, as pydantic makes them."""

from __future__ import annotations

import json
from datetime import date, datetime
from math import isfinite
from typing import Any, Literal, TypeAlias

from attrs import frozen

from .json_values import LazyValue, is_array, is_mapping, is_object, is_sequence
from .model import Unknown
from .pydantic_methods import PydanticMethods

Selection: TypeAlias = Any
"""Names or indexes, as a set, or as a mapping whose values are True or a selection of the value."""


@frozen
class Dump:
    """The options of a dump.

    Attributes:
        mode: The form of date-times: objects (`python`), as pydantic writes them (`json`), or as the server does.
        by_alias: Whether the keys are those of the JSON instead of the names of fields.
        exclude_unset: Whether to omit absent fields.
        exclude_defaults: Whether to omit absent fields and fields that are None.
        exclude_none: Whether to omit fields that are None.
    """

    mode: Literal["python", "json", "server"]
    by_alias: bool
    exclude_unset: bool
    exclude_defaults: bool
    exclude_none: bool

    def model(self, model: PydanticMethods, include: Selection = None, exclude: Selection = None) -> dict[str, Any]:
        """Return the dictionary of a model."""
        present = model._present()  # pyright: ignore[reportPrivateUsage]  # internal to the runtime
        values: list[tuple[str, str, Any]] = []
        for key, (name, _, _) in model._field_table.items():  # pyright: ignore[reportPrivateUsage]  # likewise
            value = present.get(name, model._absent[name])  # pyright: ignore[reportPrivateUsage]  # likewise
            absent = name not in present or (self.exclude_defaults and value is None)
            if not (absent and (self.exclude_unset or self.exclude_defaults)):
                values.append((key if self.by_alias else name, name, value))
        extra: Any = getattr(model, "_extra") or {}  # noqa: B009  # a slot of the subclass `Model`
        return {
            key: self.value(value, _below(include, name), _below(exclude, name))
            for key, name, value in (*values, *((key, key, value) for key, value in extra.items()))
            if _selects(include, name) and not _excludes(exclude, name) and not (self.exclude_none and value is None)
        }

    def value(self, value: Any, include: Selection = None, exclude: Selection = None) -> Any:
        """Return a value without models."""
        if value is None or isinstance(value, (str, int, float)):
            return value
        if isinstance(value, PydanticMethods):
            return self.model(value, include, exclude)
        if isinstance(value, Unknown):
            return self.value(value.raw)
        if isinstance(value, date):
            return value if self.mode == "python" else self._date(value)
        if is_mapping(value):
            return {
                key: self.value(item, _below(include, key), _below(exclude, key))
                for key, item in value.items()
                if _selects(include, key) and not _excludes(exclude, key)
            }
        if is_sequence(value):
            items = value.preview(len(value)) if isinstance(value, LazyValue) else value
            return [
                self.value(item, _below(include, index), _below(exclude, index))
                for index, item in enumerate(items)
                if _selects(include, index) and not _excludes(exclude, index)
            ]
        return value

    def _date(self, value: date) -> str:
        text = value.isoformat()
        utc = self.mode == "json" and isinstance(value, datetime) and text.endswith("+00:00")
        return f"{text[:-6]}Z" if utc else text


def _names(selection: Selection) -> bool:
    return selection is not None and not isinstance(selection, bool)


def _selects(include: Selection, step: str | int) -> bool:
    return not _names(include) or step in include or "__all__" in include


def _excludes(exclude: Selection, step: str | int) -> bool:
    if is_mapping(exclude):
        found = _below(exclude, step)
        return found is True or found is ...
    return _names(exclude) and (step in exclude or "__all__" in exclude)


def _below(selection: Selection, step: Any) -> Selection:
    return selection.get(step, selection.get("__all__")) if is_mapping(selection) else None


def dumps(value: Any, indent: int | None, *, ensure_ascii: bool = False) -> str:
    """Return JSON text as pydantic writes it: compact unless indented, and null for numbers that JSON does not have."""
    separators = (",", ":") if indent is None else None
    options: dict[str, Any] = {"ensure_ascii": ensure_ascii, "indent": indent, "separators": separators}
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError:
        return json.dumps(_finite(value), **options)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if is_object(value):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if is_array(value) else value

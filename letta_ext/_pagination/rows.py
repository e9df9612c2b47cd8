"""List items as rows of a table: the same columns in each row, of scalar types that frames and Parquet have.

A column is derived from the annotation of its field. The column `extra` has, as JSON, the fields without a column and
the values that do not fit theirs, so that a row holds all that was received.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

from letta_api.json_values import to_json_value
from letta_api.model import Unknown

from .._types import is_mapping, is_sequence, truncate_nesting

ColumnType: TypeAlias = Literal["string", "integer", "number", "boolean", "time", "strings", "json"]
"""The type of a column. `json` is JSON text of a value with structure."""

Columns: TypeAlias = Mapping[str, ColumnType]

EXTRA: Final = "extra"
"""The column of fields without a column, and of values that do not fit theirs."""

_SCALARS: Final[Mapping[Any, ColumnType]] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    datetime: "time",
}
_MAX_INTEGER: Final = 2**63
_MAX_EXACT_FLOAT: Final = 2**53
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
"""Times that a timestamp in microseconds holds exactly."""
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def to_json_text(value: Any) -> str:
    """Return JSON text that UTF-8 can encode. Numbers that are not finite become null, as JSON has none."""
    try:
        text = _ENCODER.encode(value)
        if not text.isascii():
            text.encode()
    except RecursionError:
        return to_json_text(truncate_nesting(value))
    except UnicodeEncodeError:  # a lone surrogate, which JSON can escape
        return json.dumps(value, separators=(",", ":"))
    except ValueError:
        return to_json_text(_with_finite_numbers(value))
    return text


def _with_finite_numbers(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if is_mapping(value):
        return {key: _with_finite_numbers(each) for key, each in value.items()}
    return [*map(_with_finite_numbers, value)] if is_sequence(value) else value


def json_object_of(item: Any) -> dict[str, Any]:
    """Return the JSON object of an item, as received. Another JSON value is the field `raw` of an object."""
    try:
        value = to_json_value(item)
    except RecursionError:
        fields: Iterable[tuple[str, Any]] = () if isinstance(item, Unknown) else item
        value = {name: to_json_value(truncate_nesting(each)) for name, each in fields}
        if isinstance(item, Unknown):
            value = truncate_nesting(item.raw)
    return cast(dict[str, Any], value) if isinstance(value, dict) else {"raw": value}


@cache
def columns_of_class(cls: type) -> Columns:
    """Return the columns of the fields of a model."""
    attributes: Any = getattr(cls, "__attrs_attrs__", ())
    types: dict[str, ColumnType] = {each.name: _column_type(_annotation(cls, each.type)) for each in attributes}
    table: Mapping[str, tuple[str, Any, Any]] = getattr(cls, "_field_table", {})
    return {key: types[name] for key, (name, _, _) in table.items() if name in types}


def columns_of(classes: Iterable[type]) -> Columns:
    """Return the columns of rows that hold items of these models, in the order of their fields.

    A field that has other types in other models is JSON text.
    """
    found: dict[str, ColumnType] = {}
    for cls in classes:
        for name, column_type in columns_of_class(cls).items():
            found[name] = column_type if found.get(name, column_type) == column_type else "json"
    found.pop(EXTRA, None)  # its value is in the column of that name all the same
    return found


def _annotation(cls: type, annotation: Any) -> Any:
    try:
        return get_type_hints(
            type("Field", (), {"__module__": cls.__module__, "__annotations__": {"field": annotation}})
        )["field"]
    except NameError:  # imported for type checkers only
        return Any


def _column_type(hint: Any) -> ColumnType:
    members = _members(hint)
    found: set[ColumnType] = {_SCALARS[each] for each in members if each in _SCALARS}
    if found == {"integer", "number"}:
        return "number"
    if len(found) == 1:
        return found.pop()
    return "strings" if members == {list[str]} else "json"


def _members(hint: Any) -> set[Any]:
    """Return the types of a union without None. Literals are represented by the types of their values."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return set[Any]().union(*map(_members, get_args(hint)))
    if origin is Literal:
        return set(map(type, get_args(hint)))
    return {hint} - {NoneType}


def flat_row(value: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """Return a row of a JSON object. Fields that are missing are None."""
    row: dict[str, Any] = dict.fromkeys(columns)
    row[EXTRA] = None
    extra: dict[str, Any] = {}
    for name, each in value.items():
        if name not in columns:
            extra[name] = each
        elif each is not None:
            found = _fitted(each, columns[name])
            if found is None:
                extra[name] = each
            else:
                row[name] = found
    if extra:
        row[EXTRA] = to_json_text(extra)
    return row


def _fitted(value: Any, column_type: ColumnType) -> Any:
    """Return the value of a column, or None if the value does not fit."""
    fitted: Any = None
    if column_type == "string":
        fitted = value if _is_text(value) else None
    elif column_type == "json":
        fitted = to_json_text(value)
    elif column_type == "strings":
        fitted = value if _is_list_of_text(value) else None
    elif column_type == "time":
        fitted = _to_time(value)
    elif column_type == "boolean" or isinstance(value, bool):
        fitted = value if column_type == "boolean" and isinstance(value, bool) else None
    elif column_type == "integer":
        fitted = value if isinstance(value, int) and -_MAX_INTEGER <= value < _MAX_INTEGER else None
    elif isinstance(value, float) or (isinstance(value, int) and abs(value) <= _MAX_EXACT_FLOAT):
        fitted = float(value)
    return fitted


def _is_text(value: Any) -> bool:
    """Return whether a value is a string that UTF-8 can encode."""
    if not isinstance(value, str):
        return False
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    return True


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))  # pyright: ignore[reportUnknownArgumentType]  # JSON


def _to_time(value: Any) -> datetime | None:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def to_dicts(items: Sequence[Any]) -> list[dict[str, Any]]:
    """Return a row per item, all with the columns of all models among the items."""
    classes = [cls for cls in dict.fromkeys(map(type, items)) if generated_kind_of(cls) == "model"]
    columns = columns_of(classes)
    return [flat_row(json_object_of(item), columns) for item in items]


def generated_kind_of(cls: type) -> str | None:
    """Return whether a class is a `model` or an `unknown` union member of a generated package, or else None."""
    kind: str | None = getattr(cls, "_generated", None)
    return kind

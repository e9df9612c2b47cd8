"""Lists of objects as tables that fit the width of the terminal, and single objects as lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import frozen
from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from .._types import is_mapping, is_sequence
from .terminal_text import clean, clean_line, to_json
from .values import to_json_value

MAX_CELL: Final = 400
"""Characters of a cell. A longer text is shortened before it is laid out."""

GAP: Final = 2
"""Columns between two cells."""


@frozen
class Column:
    """A column of a table.

    Attributes:
        title: The heading.
        value: Returns the text of an item.
        width: The smallest width with which the column is shown, or 0 for that of its longest text.
        right: Whether the column is aligned to the right, as numbers are.
    """

    title: str
    value: Callable[[Any], str]
    width: int = 0
    right: bool = False


def field(name: str, title: str | None = None, width: int = 0) -> Column:
    """Return a column of one field."""
    return Column(title or name.replace("_", " "), lambda item: _short(getattr(item, name, None)), width)


def number(name: str, title: str) -> Column:
    """Return a column of numbers."""
    return Column(title, lambda item: _short(getattr(item, name, None)), right=True)


def seconds(name: str, title: str) -> Column:
    """Return a column of a duration, which the server sends in nanoseconds."""
    return Column(title, lambda item: duration(getattr(item, name, None)), right=True)


def duration(nanoseconds: Any) -> str:
    """Return a duration in seconds, or an empty text without one."""
    return f"{nanoseconds / 1e9:.2f} s" if isinstance(nanoseconds, (int, float)) else ""


COLUMNS: Final[Mapping[str, Sequence[Column]]] = {
    "Step": [
        field("id"),
        number("total_tokens", "tokens"),
        field("stop_reason"),
        field("model", width=8),
        number("prompt_tokens", "prompt"),
        number("completion_tokens", "completion"),
        field("status"),
    ],
    "AgentState": [field("id"), field("name", width=10), field("model"), field("created_at", "created")],
    "Conversation": [
        field("id"),
        field("last_message_at", "last message"),
        field("summary", width=12),
        field("agent_id", "agent"),
    ],
    "Run": [
        field("id"),
        field("status"),
        field("created_at", "created"),
        seconds("total_duration_ns", "time"),
        field("stop_reason"),
        field("conversation_id", "conversation"),
    ],
}
"""The columns of a table by the class of its items, the most important first."""


def table(items: Sequence[Any], width: int, columns: Sequence[Column] | None = None) -> Table:
    """Return a table with a row per item, and with as many columns as fit."""
    columns = columns or COLUMNS.get(type(items[0]).__name__) or _columns_of(items)
    cells = [[clean_line(column.value(item))[:MAX_CELL] for item in items] for column in columns]
    shown = _fitting(columns, cells, width)
    widths = _distribute(columns, cells, shown, width)
    result = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0)
    )  # the box adds one column
    for index in shown:
        column = columns[index]
        result.add_column(
            Text(column.title),
            justify="right" if column.right else "left",
            no_wrap=index > 0,
            overflow="fold" if index == 0 else "ellipsis",
            width=widths[index],
        )
    for row in range(len(items)):
        result.add_row(*(Text(cells[index][row]) for index in shown))
    return result


def _distribute(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], shown: Sequence[int], width: int
) -> dict[int, int]:
    """Return the width of each shown column. Space that is left goes to the columns that can be shortened, in order."""
    widths = {index: min(_width(columns[index], cells[index]), width) for index in shown}
    left = width - sum(widths.values()) - GAP * (len(shown) - 1)
    for index in shown:
        more = max(0, min(_longest(cells[index]) - widths[index], left))
        widths[index] += more
        left -= more
    return widths


def _fitting(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the columns that have a value and fit. The first is always shown."""
    shown: list[int] = []
    used = 0
    for index, column in enumerate(columns):
        if index and not any(cells[index]):
            continue
        needed = _width(column, cells[index])
        if shown and used + GAP + needed > width:
            continue
        used += needed + (GAP if shown else 0)
        shown.append(index)
    return shown


def _width(column: Column, cells: Sequence[str]) -> int:
    """Return the smallest width of a column."""
    longest = _longest(cells)
    return max(len(column.title), min(longest, column.width) if column.width else longest)


def _longest(cells: Sequence[str]) -> int:
    return max(map(cell_len, cells))


def _columns_of(items: Sequence[Any]) -> list[Column]:
    """Return the columns of items without a list of columns: their simple fields."""
    names: dict[str, None] = {}
    for item in items:
        fields = to_json_value(item)
        for name, value in fields.items() if is_mapping(fields) else ():
            if not is_mapping(value) and not is_sequence(value):
                names[name] = None
    return [_from_json(name) for name in names] or [Column("value", _short)]


def _from_json(name: str) -> Column:
    return Column(name.replace("_", " "), lambda item: _short(to_json_value(item).get(name)), width=20)


def _short(value: Any) -> str:
    """Return the text of a field."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return value if isinstance(value, str) else to_json(value)


def details(value: Any, width: int) -> Table:
    """Return the fields of an object, one per line. Fields without a value are left out."""
    result = Table.grid(padding=(0, GAP, 0, 0))
    result.add_column(style="bold", no_wrap=True)
    result.add_column(overflow="fold")
    fields = value if is_mapping(value) else {"value": value}
    for name, item in fields.items():
        if item not in (None, "", [], {}):
            text = item if isinstance(item, str) else to_json(item, indent=2 if len(str(item)) > width // 2 else None)
            result.add_row(Text(clean_line(str(name))), Text(clean(text)))
    return result

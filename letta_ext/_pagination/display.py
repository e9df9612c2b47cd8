"""Pages as tables in notebooks and in terminals. It is loaded by the first page that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final

from letta_api.json_values import short_repr
from letta_api.model import Model, Unknown

MAX_ROWS: Final = 100
MAX_COLUMNS: Final = 8
"""Columns of a table in a terminal. A notebook can scroll."""


def table_of(items: Sequence[Any]) -> tuple[list[str], list[list[str]]]:
    """Return the names of the fields that an item has, and a row of texts per item."""
    rows = [_fields_of(item) for item in items[:MAX_ROWS]]
    names = [*dict.fromkeys(name for row in rows for name in row)]
    return names, [[_text(row[name]) if name in row else "" for name in names] for row in rows]


def _fields_of(item: Any) -> dict[str, Any]:
    if isinstance(item, Model):
        return dict(item.__rich_repr__())
    if isinstance(item, Unknown):
        return {str(key): value for key, value in item if value is not None} or {"raw": item.raw}
    return {"value": item}


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_ROWS else short_repr(value, MAX_ROWS)


def caption_of(title: str, items: Sequence[Any]) -> str:
    """Return the title of a page with the number of its items."""
    shown = f", of which the first {MAX_ROWS} are shown" if len(items) > MAX_ROWS else ""
    return f"{title} with {len(items)} {'item' if len(items) == 1 else 'items'}{shown}"


def to_html(title: str, items: Sequence[Any]) -> str:
    """Return an HTML table with a row per item. All texts are escaped."""
    names, rows = table_of(items)
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows)
    return f"<table><caption>{escape(caption_of(title, items))}</caption><tr>{head}</tr>{body}</table>"


def to_rich(title: str, items: Sequence[Any]) -> Any:
    """Return a table of rich, which is installed where this is called."""
    from rich.table import Table  # called by rich only
    from rich.text import Text

    names, rows = table_of(items)
    table = Table(title=Text(caption_of(title, items)))
    for name in names[:MAX_COLUMNS]:
        table.add_column(Text(name), overflow="ellipsis", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row[:MAX_COLUMNS]))
    return table


def to_lines(title: str, items: Sequence[Any]) -> str:
    """Return the text with a line per item."""
    return "\n".join([f"{caption_of(title, items)}:", *(f"    {item!r}" for item in items[:MAX_ROWS])])

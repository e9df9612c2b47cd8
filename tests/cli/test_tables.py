"""The layout of tables."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from letta_ext.cli.tables import Column, field, number, table
from letta_ext.testing import EmbeddedServer

from .running import CommandLine

WORDS = st.text(st.sampled_from("ab名😀e\u0301 [/]"), max_size=30).map(lambda text: " ".join(text.split()))
COLUMNS = [field("id"), field("name", width=10), field("model", width=8), field("created"), number("tokens", "tokens")]
ITEMS = st.builds(
    SimpleNamespace,
    id=st.just("agent-391cf046-3d4a-4d51-a8fa-fd04559b5975"),
    name=WORDS,
    model=WORDS,
    created=st.sampled_from(["2026-11-29 11:11:11", ""]),
    tokens=st.integers(0, 10**9),
)


@settings(max_examples=40)
@given(items=st.lists(ITEMS, min_size=1, max_size=4), width=st.integers(20, 200))
def test_table_shortened_values_end_with_an_ellipsis(items: list[Any], width: int) -> None:
    """No line is wider than the terminal. A value is whole, or its column can be shortened and it ends with `…`."""
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, color_system=None)
    result = table(items, width, COLUMNS)
    lines = "".join(segment.text for segment in console.render(result)).splitlines()
    assert max(map(cell_len, lines)) <= width
    if cell_len(items[0].id) > width:
        return
    shown = [_column(str(column.header)) for column in result.columns]
    for line, item in zip(lines[2:], items, strict=True):
        position = 0
        for column, layout in zip(shown, result.columns, strict=True):
            assert layout.width is not None
            cell, value = _cells(line, position, layout.width).strip(), column.value(item)
            assert cell == value or (column.width and cell.endswith("…")), line
            position += layout.width + 2


def _column(title: str) -> Column:
    return next(column for column in COLUMNS if column.title == title)


def _cells(line: str, start: int, width: int) -> str:
    """Return the characters in some columns of a terminal."""
    used, found = 0, ""
    for character in line:
        if start <= used < start + width or (found and not cell_len(character) and used == start + width):
            found += character
        used += cell_len(character)
    return found


def test_table_in_a_pipe_has_whole_values_without_trailing_spaces(cli: CommandLine, server: EmbeddedServer) -> None:
    """A pipe has no width, so that no column is left out and no value is shortened."""
    cli.run("send", server.conversation_id, "Hello")
    head, _, row = cli.run("steps", "--no-json").out.splitlines()
    assert head.split()[-1] == "status"
    assert "gpt-4o-mini" in row.split()
    lines = cli.run("agents", "retrieve", server.agent_id, "--no-json").out.splitlines()
    assert lines == [line.rstrip() for line in lines]

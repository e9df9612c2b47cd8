"""The output of commands: tables and text for a terminal, or one JSON value per line.

Everything that comes from a server passes through `terminal_text`. Markup of rich is never parsed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from typing import Any, Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .messages import Line
from .tables import Column, details, table
from .terminal_text import clean, clean_line, to_json
from .values import to_json_value

LABEL: Final = 8
"""Columns of the label of a message."""

PIPE_WIDTH: Final = 100_000
"""Columns of a pipe or a file, in which no value is shortened."""


class _Console(Console):
    """A console that leaves a closed pipe to the application."""

    def on_broken_pipe(self) -> None:
        raise  # called by rich while it handles the error


class Output:
    """Prints the results of a command.

    Args:
        as_json: Whether to print JSON. None prints it unless the output is a terminal.
        stream: The output. Defaults to the standard output.
        error_stream: The output of notes. Defaults to the standard error.
    """

    def __init__(
        self, as_json: bool | None = None, stream: TextIO | None = None, error_stream: TextIO | None = None
    ) -> None:
        self.stream = sys.stdout if stream is None else stream
        for each in (self.stream, error_stream or sys.stderr):
            if isinstance(each, TextIOWrapper):
                each.reconfigure(errors="replace")  # an encoding of few characters must not end a command
        self.is_terminal = self.stream.isatty()
        width = None if self.is_terminal or "COLUMNS" in os.environ else PIPE_WIDTH
        self.console = _Console(file=self.stream, width=width, highlight=False, markup=False, emoji=False)
        self.notes = _Console(file=error_stream or sys.stderr, highlight=False, markup=False, emoji=False)
        self.chosen_json = as_json
        self.as_json = (not self.is_terminal) if as_json is None else as_json

    def json_line(self, value: Any) -> None:
        """Print a value as one line of JSON, and flush it for the reader of a pipe."""
        encoding = (self.stream.encoding or "ascii").lower().replace("-", "")
        self.stream.write(to_json(to_json_value(value), ascii_only=not encoding.startswith("utf")) + "\n")
        self.stream.flush()

    def value(self, value: Any) -> None:
        """Print one object."""
        if self.as_json:
            self.json_line(value)
        elif value is None:
            self.text("none")
        elif isinstance(value, str):
            self.text(value)
        else:
            self.layout(details(to_json_value(value), self.console.width))

    def items(self, items: Iterable[Any], columns: Sequence[Column] | None = None) -> int:
        """Print each item of a list, and return their number."""
        if self.as_json:
            count = 0
            for count, item in enumerate(items, 1):  # noqa: B007  # the number of items is the result
                self.json_line(item)
            return count
        rows: Sequence[Any] = [*items]
        if rows:
            self.layout(table(rows, self.console.width, columns))
        else:
            self.note("none found")
        return len(rows)

    def text(self, text: str, style: str = "") -> None:
        """Print lines of text."""
        self.console.print(Text(clean(text), style=style), soft_wrap=not self.is_terminal)

    def message(self, line: Line) -> None:
        """Print a message with its label, the further lines indented as the first."""
        label = clean_line(line.label)[:LABEL]
        text = clean(line.text).strip("\n")
        if not self.is_terminal:
            self.text(f"{label}: {text}")
            return
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=LABEL, style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text(label), Text(text, style=line.style))
        self.layout(grid)

    def layout(self, table: Table) -> None:
        """Print a table. Lines in a pipe have no spaces at their end."""
        if self.is_terminal:
            self.console.print(table)
            return
        with self.console.capture() as captured:
            self.console.print(table)
        self.stream.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
        self.stream.flush()

    def write(self, safe_text: str, style: str = "") -> None:
        """Print a piece of a line. The text has passed through `TerminalText`."""
        self.console.print(Text(safe_text, style=style), end="", soft_wrap=True)
        self.stream.flush()

    def note(self, text: str, style: str = "dim") -> None:
        """Print a line beside the results, on the standard error. Commands in it can be copied: it is not wrapped."""
        self.notes.print(Text(clean_line(text), style=style), soft_wrap=True)

    def error(self, text: str, hint: str | None = None) -> None:
        """Print an error, with a remedy."""
        line = Text.assemble(("error: ", "bold red"), clean_line(text))
        self.notes.print(line, soft_wrap=not self.notes.is_terminal)
        if hint is not None:
            self.note(hint)

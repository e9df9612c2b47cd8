"""The table on the terminal, in Markdown, and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import Any

from attrs import asdict

from .growth import Line
from .measuring import OURS, Result

PACKAGES = ("letta-client", "openapi-python-client", "msgspec", "httpx", "pydantic", "attrs")
MARKS = {True: "reached", False: "MISSED", None: ""}


def machine() -> str:
    """Return the interpreter and machine of the measurement."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}, {platform.machine()}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    """Return the versions of the measured packages."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def heading(pairs: int) -> str:
    """Return the machine, versions and number of pairs."""
    return f"{machine()}; {', '.join(f'{n} {v}' for n, v in versions().items())}. Medians of up to {pairs} pairs."


def ratio(value: float) -> str:
    """Format a ratio in three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def amount(value: float) -> str:
    """Format a measured value in three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cells(result: Result) -> list[str]:
    """One line of the table."""
    spread = f"{ratio(result.figure.low)} to {ratio(result.figure.high)}"
    word = "x faster" if result.sense == "faster" else "x"
    reach = ""
    if result.reach is not None:
        reach = f"{result.reach:g}" if result.sense == "faster" else f"at most {result.reach:g}"
    others = ", ".join(f"{name} {amount(v)}" for name, v in result.sides.items() if name != OURS)
    name = f"{result.name} ({result.note})" if result.note else result.name
    ours = f"{amount(result.sides[OURS])} {result.unit}"
    return [name, f"{ratio(result.figure.median)}{word}", spread, reach, MARKS[result.reached], ours, others]


HEADS = ["what", "figure", "quartiles", "reach", "", "ours", "others"]


def text(results: Iterable[Result]) -> str:
    """Return the table for a terminal."""
    rows = [(r.group, cells(r)) for r in results]
    widths = [max([len(head), *(len(row[at]) for _, row in rows)]) for at, head in enumerate(HEADS)]

    def line(row: Sequence[str]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    lines = [line(HEADS)]
    for group, members in groupby(rows, key=lambda pair: pair[0]):
        lines += ["", group, *(line(row) for _, row in members)]
    return "\n".join(lines)


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def markdown(results: Iterable[Result]) -> str:
    """Return the results in Markdown."""
    return markdown_table(HEADS, map(cells, results))


def as_json(results: Sequence[Result], lines: Sequence[Line], pairs: int) -> str:
    """Return the figures and the values that they derive from, as JSON."""
    rows = [{**asdict(r), "reached": r.reached} for r in results]
    grown = [{**asdict(line), "exponent": line.slope} for line in lines]
    found = {"machine": machine(), "versions": versions(), "pairs": pairs, "rows": rows, "growth": grown}
    return json.dumps(_rounded(found), indent=1) + "\n"


def as_pyperf(results: Sequence[Result], file: Path) -> None:
    """Write each value in the format of pyperf."""
    pyperf: Any = import_module("pyperf")  # by name: only who runs the benchmark has it
    units = {"us": "second", "ms": "second", "s": "second", "bytes": "byte", "MB": "byte"}
    found = [
        pyperf.Benchmark(
            [pyperf.Run(values, metadata={"name": f"{r.name}, {side}", "unit": units[r.unit]}, collect_metadata=False)]
        )
        for r in results
        for side, values in r.taken.items()
    ]
    pyperf.BenchmarkSuite(found).dump(str(file), replace=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def write(directory: Path, results: Sequence[Result], lines: Sequence[Line], pairs: int) -> None:
    """Write `speed.json`, and the tables into `benchmarks.md` between their marker comments.

    Raises:
        ValueError: the page does not have these comments.
    """
    (directory / "speed.json").write_text(as_json(results, lines, pairs), encoding="utf-8")
    page = directory / "benchmarks.md"
    text = page.read_text(encoding="utf-8")
    grown = markdown_table(["cost", "exponent"], [[line.name, f"{line.slope:.2f}"] for line in lines])
    for name, table in (("speed", f"{heading(pairs)}\n\n{markdown(results)}"), ("growth", grown if lines else "")):
        if table:
            text = _between(text, f"<!-- {name}: written by the benchmark -->", f"<!-- end of {name} -->", table)
    page.write_text(text, encoding="utf-8")


def _between(text: str, begin: str, end: str, content: str) -> str:
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no {begin} … {end}")
    return f"{before}{begin}\n{content}\n{end}{after}"

"""The table on the terminal, in Markdown, and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby

from attrs import asdict

from .measuring import OURS, Result

PACKAGES = ("letta-client", "openapi-python-client", "msgspec", "httpx", "pydantic", "attrs", "orjson")
MARKS = {True: "reached", False: "MISSED", None: ""}


def machine() -> str:
    """What the figures were measured on."""
    return f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    """The versions of what was measured."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def ratio(value: float) -> str:
    """A ratio in three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def amount(value: float) -> str:
    """A measured value in three digits."""
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
    """The table for a terminal."""
    rows = [(r.group, cells(r)) for r in results]
    widths = [max([len(head), *(len(row[at]) for _, row in rows)]) for at, head in enumerate(HEADS)]

    def line(row: Sequence[str]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    lines = [line(HEADS)]
    for group, members in groupby(rows, key=lambda pair: pair[0]):
        lines += ["", group, *(line(row) for _, row in members)]
    return "\n".join(lines)


def markdown(results: Iterable[Result]) -> str:
    """The table for a page."""
    lines = ["| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|"]
    lines += ["| " + " | ".join(cells(r)) + " |" for r in results]
    return "\n".join(lines)


def as_json(results: Sequence[Result], pairs: int) -> str:
    """All that was measured."""
    rows = [{**asdict(r), "reached": r.reached} for r in results]
    return json.dumps({"machine": machine(), "versions": versions(), "pairs": pairs, "rows": rows}, indent=1)

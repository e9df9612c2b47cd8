"""`python -m tests.bench`: the table, its JSON, and the plots."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from . import growth, plots, report, rows_calls, rows_decoding, rows_memory, rows_public
from .measuring import Result, Row, Sampled
from .others import ROOT

PAIRS, QUICK_PAIRS = 15, 5
QUICK_SIZES = (100, 300, 1_000, 3_000)


def chosen(only: str, *, quick: bool) -> list[Row | Sampled]:
    """Return the rows whose group and name match, without the long ones if `quick` is set."""
    wanted = re.compile(only, re.IGNORECASE)
    rows = [*rows_public.rows(), *rows_decoding.rows(), *rows_calls.rows(), *rows_memory.rows()]
    return [row for row in rows if wanted.search(f"{row.group}: {row.name}") and not (quick and row.long)]


def measured(rows: list[Row | Sampled], pairs: int) -> list[Result]:
    """Measure the rows; return their results in the order of their groups."""
    results: list[Result] = []
    try:
        for row in rows:
            results.append(row.run(pairs))
            print(*report.cells(results[-1]), sep="  ", file=sys.stderr, flush=True)
    finally:
        rows_calls.stop()
    groups = list(dict.fromkeys(result.group for result in results))
    return sorted(results, key=lambda result: groups.index(result.group))


def main(given: list[str] | None = None) -> int:
    """Measures.

    Returns:
        1 where `--strict` was given and a row is not at its figure, else 0.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measures side by side with others.")
    parser.add_argument("--pairs", type=int, help=f"how often each pair is measured, at least 2 (default: {PAIRS})")
    parser.add_argument("--quick", action="store_true", help=f"a sample: {QUICK_PAIRS} pairs, without the long rows")
    parser.add_argument("--only", default="", metavar="REGEX", help="the rows to measure, by group and name")
    parser.add_argument("--strict", action="store_true", help="fail where a row is not at its figure")
    parser.add_argument(
        "--write", nargs="?", type=Path, const=ROOT / "docs", metavar="DIR",
        help="write speed.json, the plots as SVG, and the tables into benchmarks.md there (default: docs)",
    )  # fmt: skip
    parser.add_argument("--pyperf", type=Path, metavar="FILE", help="write all values for the commands of pyperf")
    arguments = parser.parse_args(given)
    quick: bool = arguments.quick
    pairs: int = arguments.pairs or (QUICK_PAIRS if quick else PAIRS)
    results = measured(chosen(arguments.only, quick=quick), pairs)
    print(report.heading(pairs), report.text(results), sep="\n\n")
    lines = [] if arguments.only else growth.measure_lines(QUICK_SIZES if quick else growth.SIZES)
    if lines:
        print("", growth.text(lines), sep="\n")
    if arguments.write:
        report.write(arguments.write, results, lines, pairs)
        pictures = {"speed.svg": plots.bars(results), "speed-short.svg": plots.short(results)}
        if lines:
            pictures["growth.svg"] = plots.growth(lines)
        for name, picture in pictures.items():
            (arguments.write / name).write_text(picture, encoding="utf-8")
    if arguments.pyperf:
        report.as_pyperf(results, arguments.pyperf)
    aimed = [result for result in results if result.reach is not None]
    missed = [result.name for result in aimed if not result.reached]
    print("", f"{len(aimed) - len(missed)} of {len(aimed)} rows at their figure", sep="\n")
    print("".join(f"missed: {name}\n" for name in missed), end="")
    return int(bool(missed) and arguments.strict)


if __name__ == "__main__":
    sys.exit(main())

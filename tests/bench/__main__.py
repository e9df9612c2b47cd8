"""`python -m tests.bench`: the table, its JSON, and the plots."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from . import growth, plots, report, rows_calls, rows_decoding, rows_memory
from .measuring import Result


def main(given: list[str] | None = None) -> int:
    """Measures.

    Returns:
        0 when every row is at its figure, 1 when one is not.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measures side by side with others.")
    parser.add_argument("--pairs", type=int, default=25, help="how often each pair is measured (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="REGEX", help="the rows to measure, by group and name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write everything that was measured")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="where to write the table for a page")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="where to write bench.svg and growth.svg")
    arguments = parser.parse_args(given)
    wanted = re.compile(arguments.only, re.IGNORECASE)
    rows = [
        row
        for row in [*rows_decoding.rows(), *rows_calls.rows(), *rows_memory.rows()]
        if wanted.search(f"{row.group}: {row.name}")
    ]
    results: list[Result] = []
    for row in rows:
        print(f"measuring {row.group}: {row.name}", file=sys.stderr, flush=True)
        results.append(row.run(arguments.pairs))
    print(f"{report.machine()}; {', '.join(f'{n} {v}' for n, v in report.versions().items())}")
    print(f"medians of {arguments.pairs} pairs measured in turn\n")
    print(report.text(results))
    if arguments.json:
        arguments.json.write_text(report.as_json(results, arguments.pairs), encoding="utf-8")
    if arguments.markdown:
        arguments.markdown.write_text(report.markdown(results) + "\n", encoding="utf-8")
    if arguments.plots:
        (arguments.plots / "bench.svg").write_text(plots.bars(results), encoding="utf-8")
        lines = growth.measure_lines()
        print("\n" + growth.text(lines))
        (arguments.plots / "growth.svg").write_text(plots.growth(lines), encoding="utf-8")
    missed = [r.name for r in results if r.reached is False]
    print(f"\n{len(results) - len(missed)} of {len(results)} rows at their figure" + "".join(f"\nmissed: {n}" for n in missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

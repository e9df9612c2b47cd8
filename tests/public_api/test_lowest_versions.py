"""The tested lowest versions equal the lower bounds of pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_lowest_constraints_equal_the_bounds_of_pyproject() -> None:
    """constraints/lowest.txt pins each dependency of pyproject.toml to its lower bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    allowed = [*project["dependencies"], *project["optional-dependencies"]["testing"]]
    bounds = {match[1]: match[2] for each in allowed if (match := re.match(r"([\w-]+)>=([\d.]+)", each))}
    lines = (ROOT / "constraints" / "lowest.txt").read_text("utf-8").splitlines()
    tested = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert tested.keys() == bounds.keys()
    assert {name: _version(text) for name, text in tested.items()} == {n: _version(t) for n, t in bounds.items()}


def _version(text: str) -> list[int]:
    """Return the numbers of a version without trailing zeros: 4 equals 4.0.0."""
    return [int(part) for part in re.sub(r"(\.0)+$", "", text).split(".")]

"""The lowest versions that are tested are those that pyproject.toml allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_constraints_are_the_lower_bounds_of_the_dependencies() -> None:
    """Each dependency of the library and of the embedded server stands in constraints/lowest.txt with its bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    allowed = [*project["dependencies"], *project["optional-dependencies"]["testing"]]
    bounds = {match[1]: match[2] for each in allowed if (match := re.match(r"([\w-]+)>=([\d.]+)", each))}
    lines = (ROOT / "constraints" / "lowest.txt").read_text("utf-8").splitlines()
    tested = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert tested.keys() == bounds.keys()
    assert {name: _version(text) for name, text in tested.items()} == {n: _version(t) for n, t in bounds.items()}


def _version(text: str) -> list[int]:
    """The numbers of a version, without zeros at the end: 4 and 4.0.0 are one."""
    return [int(part) for part in re.sub(r"(\.0)+$", "", text).split(".")]

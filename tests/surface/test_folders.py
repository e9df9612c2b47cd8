"""The folders of the library stand on each other in the order of the map, and no two of them on one another."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import letta_ext

LIBRARY: Final = Path(letta_ext.__file__).parent
MAP: Final = LIBRARY.parent / "docs" / "inside.md"
ORDER: Final = re.findall(r"^\| `(\w+)/` \|", MAP.read_text("utf-8"), re.MULTILINE)
LOOKING_DOWN: Final = {"client", "compat", "config"}


def imported(file: Path) -> Iterator[str]:
    """The folders that a file imports from while it is loaded: neither for type checkers nor inside functions."""
    inside = file.relative_to(LIBRARY).parts[:-1]
    for line in ast.parse(file.read_text("utf-8")).body:
        if isinstance(line, ast.ImportFrom) and line.level:
            above = inside[: len(inside) - line.level + 1]
            names = [line.module] if line.module else [each.name for each in line.names]
            yield from (".".join([*above, name]).split(".")[0] for name in names)


def test_the_map_has_every_folder() -> None:
    assert sorted(ORDER) == sorted(found.parent.name for found in LIBRARY.glob("*/__init__.py"))


@pytest.mark.parametrize("folder", [folder for folder in ORDER if folder != "testing"])
def test_a_folder_imports_from_those_above_it(folder: str) -> None:
    found = {name for file in (LIBRARY / folder).glob("*.py") for name in imported(file)}
    assert found.intersection(ORDER[ORDER.index(folder) + 1 :]) == set()


def test_the_top_stands_on_no_folder() -> None:
    looking = {file.stem for file in LIBRARY.glob("*.py") if set(ORDER).intersection(imported(file))}
    assert looking == LOOKING_DOWN

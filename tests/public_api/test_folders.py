"""The folders of the library stand on each other in the order of the map, and no two of them on one another."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

import letta_ext

LIBRARY: Final = Path(letta_ext.__file__).parent
MAP: Final = LIBRARY.parent / "docs" / "architecture.md"
ORDER: Final = re.findall(r"^\| `(\w+)/` \|", MAP.read_text("utf-8"), re.MULTILINE)
PRIMITIVES: Final = {f"{side}_{kind}" for side in ("async", "sync") for kind in ("primitives", "paginator")}
LOOKING_DOWN: Final = {"client", "compat", "config", *PRIMITIVES}
COMPOSED: Final = "client.py"
"""The module of `_async` and `_sync` that puts together what is in the other folders."""


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
    files = (file for file in (LIBRARY / folder).rglob("*.py") if file.name != COMPOSED or folder == "resources")
    found = {name for file in files for name in imported(file)}
    assert found.intersection(ORDER[ORDER.index(folder) + 1 :]) == set()


def test_the_top_stands_on_no_folder() -> None:
    looking = {file.stem for file in LIBRARY.glob("*.py") if set(ORDER).intersection(imported(file))}
    assert looking == LOOKING_DOWN


def all_imports(file: Path, modules: set[str]) -> Iterator[str]:
    """The modules of the library that a file imports anywhere: also inside functions, and for type checkers.

    An import of a module is not counted as one of the packages that it is in.
    """
    inside = ["letta_ext", *file.relative_to(LIBRARY).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in modules)
        elif isinstance(node, ast.ImportFrom):
            above = inside[: len(inside) - node.level + 1] if node.level else []
            found = ".".join([*above, node.module] if node.module else above)
            for each in node.names:
                name = f"{found}.{each.name}"
                if name in modules or found in modules:
                    yield name if name in modules else found


def test_no_module_imports_itself_by_way_of_others() -> None:
    files = {
        ".".join(["letta_ext", *file.relative_to(LIBRARY).with_suffix("").parts]).removesuffix(".__init__"): file
        for file in LIBRARY.rglob("*.py")
        if "testing" not in file.relative_to(LIBRARY).parts
    }
    graph = {name: set(all_imports(file, set(files))) - {name} for name, file in files.items()}
    assert sum(map(len, graph.values())) > 500
    TopologicalSorter(graph).prepare()  # raises CycleError

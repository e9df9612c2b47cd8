"""The packages of the library import each other in the order of the architecture page, without cycles."""

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
ARCHITECTURE: Final = LIBRARY.parent / "docs" / "architecture.md"
ORDER: Final = re.findall(r"^\| `(\w+)/` \|", ARCHITECTURE.read_text("utf-8"), re.MULTILINE)
PRIMITIVES: Final = {f"{prefix}_{kind}" for prefix in ("async", "sync") for kind in ("primitives", "paginator")}
COMPOSING_MODULES: Final = {"client", "compat", "config", *PRIMITIVES}
COMPOSED: Final = "client.py"
"""The module of `_async` and `_sync` that composes the other packages."""


def imported_packages(file: Path) -> Iterator[str]:
    """Yield the packages that a file imports at run time, outside of functions."""
    package_parts = file.relative_to(LIBRARY).parts[:-1]
    for line in ast.parse(file.read_text("utf-8")).body:
        if isinstance(line, ast.ImportFrom) and line.level:
            parent = package_parts[: len(package_parts) - line.level + 1]
            names = [line.module] if line.module else [each.name for each in line.names]
            yield from (".".join([*parent, name]).split(".")[0] for name in names)


def test_architecture_table_lists_every_package() -> None:
    """The table of the architecture page has a row for each package."""
    assert sorted(ORDER) == sorted(found.parent.name for found in LIBRARY.glob("*/__init__.py"))


@pytest.mark.parametrize("package", [package for package in ORDER if package != "testing"])
def test_package_imports_only_packages_above_it(package: str) -> None:
    """A package imports only from packages above it in the table."""
    files = (file for file in (LIBRARY / package).rglob("*.py") if file.name != COMPOSED or package == "resources")
    imported = {name for file in files for name in imported_packages(file)}
    assert imported.intersection(ORDER[ORDER.index(package) + 1 :]) == set()


def test_top_level_modules_import_no_package() -> None:
    """Modules at the top level import no package, except for the composing ones."""
    importing = {file.stem for file in LIBRARY.glob("*.py") if set(ORDER).intersection(imported_packages(file))}
    assert importing == COMPOSING_MODULES


def all_imports(file: Path, modules: set[str]) -> Iterator[str]:
    """Yield the modules that a file imports, including imports in functions and for type checkers.

    The import of a module does not count as an import of its packages.
    """
    package_parts = ["letta_ext", *file.relative_to(LIBRARY).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in modules)
        elif isinstance(node, ast.ImportFrom):
            parent = package_parts[: len(package_parts) - node.level + 1] if node.level else []
            module_name = ".".join([*parent, node.module] if node.module else parent)
            for each in node.names:
                name = f"{module_name}.{each.name}"
                if name in modules or module_name in modules:
                    yield name if name in modules else module_name


def test_modules_have_no_import_cycles() -> None:
    """Modules do not import each other in cycles, including local and type-checking imports."""
    files = {
        ".".join(["letta_ext", *file.relative_to(LIBRARY).with_suffix("").parts]).removesuffix(".__init__"): file
        for file in LIBRARY.rglob("*.py")
        if "testing" not in file.relative_to(LIBRARY).parts
    }
    graph = {name: set(all_imports(file, set(files))) - {name} for name, file in files.items()}
    assert sum(map(len, graph.values())) > 500
    TopologicalSorter(graph).prepare()  # raises CycleError

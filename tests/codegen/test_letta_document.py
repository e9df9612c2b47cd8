"""A package is generated from a whole Letta document (LETTA_OPENAPI or LETTA_LIVE_BASE_URL)."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from codegen.diff.align import comparable
from codegen.diff.change import Level
from codegen.diff.compare import compare
from codegen.diff.report import as_text, rows
from codegen.document import SCHEMAS, Document, load, parse
from codegen.inline_schemas import extract_inline_schemas
from codegen.pipeline import SPEC, Result, read
from codegen.prune import Skip, relax
from tests.codegen.building import checked, imported, make
from tests.stress.figures import figure


@pytest.fixture(scope="module")
def letta() -> dict[str, Any]:
    if path := os.environ.get("LETTA_OPENAPI"):
        text = Path(path).read_text(encoding="utf-8")
    elif server := os.environ.get("LETTA_LIVE_BASE_URL"):
        with urllib.request.urlopen(f"{server.rstrip('/')}/openapi.json", timeout=30) as response:
            text = response.read().decode()
    else:
        pytest.skip("needs LETTA_OPENAPI (a file) or LETTA_LIVE_BASE_URL (a server)")
    return parse(text, "Letta's document")


@pytest.fixture(scope="module")
def made(letta: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    started = time.process_time(), time.perf_counter()
    package, result = make(letta, tmp_path_factory.mktemp("letta"), lenient=True)
    cpu, wall = time.process_time() - started[0], time.perf_counter() - started[1]
    figure(
        "a whole Letta document",
        f"{result.operations} operations, {result.models} models, {result.unions} unions, {result.enums} enums, "
        f"{result.files} files in {wall:.1f} s ({cpu:.1f} s of them computing)",
    )
    return package, result


@pytest.mark.stress
def test_letta_document_losses_are_reported(letta: dict[str, Any], made: tuple[Path, Result]) -> None:
    """Each operation is generated or reported as skipped with place and cause."""
    _, result = made
    routes = Document(letta).operations()
    gone = [skip for skip in result.skips if skip.what in ("the operation is left out", "the path is left out")]
    assert result.operations == len(routes) - len(gone)
    assert [str(skip) for skip in gone if "takes multipart/form-data" not in skip.cause] == []
    assert all(skip.place.startswith("#/") and skip.cause for skip in result.skips)
    figure("what of it is not taken whole", "; ".join(f"{n} times: {what}" for what, n in _kinds(result.skips)))


def _kinds(skips: list[Skip]) -> list[tuple[str, int]]:
    return Counter(skip.what for skip in skips).most_common()


@pytest.mark.stress
def test_letta_document_components_have_distinct_classes(letta: dict[str, Any], made: tuple[Path, Result]) -> None:
    """Components with equal titles have distinct classes. Only bodies whose properties are arguments have none."""
    package, _ = made
    titles = Counter(str(schema.get("title")) for schema in letta["components"]["schemas"].values())
    twice = {title for title, n in titles.items() if n > 1}
    prepared = extract_inline_schemas(Document(letta))
    names = {prepared.place(name): name for name in prepared.schemas}
    objects = [name for name, schema in letta["components"]["schemas"].items() if schema.get("properties")]
    with imported(package) as api:
        lost = [name for name in objects if not hasattr(api.models, names[SCHEMAS + name])]
    operations = [each for item in letta["paths"].values() for each in item.values() if isinstance(each, dict)]
    bodies = json.dumps([each.get("requestBody") for each in operations])
    assert [name for name in lost if f'"{SCHEMAS}{name}"' not in bodies] == []
    figure("titles that several components share", f"{len(twice)}; {len(objects)} objects, {len(lost)} are arguments")


@pytest.mark.stress
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_letta_document_package_passes_strict_checkers(tool: str, made: tuple[Path, Result]) -> None:
    """The package of a whole Letta document passes strict mypy and pyright."""
    package, _ = made
    figure(f"{tool}, strict, on a whole Letta document", checked(tool, package.parent))


@pytest.mark.stress
def test_letta_document_compares_in_shared_operations(letta: dict[str, Any]) -> None:
    """A whole Letta document compares with ours in the shared operations."""
    ours = load(SPEC)
    data, skips = relax(comparable(letta, ours), read)
    sides = read(comparable(ours, letta)), read(data)
    assert [len(side.operations) for side in sides] == [len(Document(ours).operations())] * 2
    changes = compare(*sides, shared=True)
    text = as_text(changes)
    assert "x-letta" not in text  # only this document has it: its absence is not a difference
    entries = len(rows([change for change in changes if change.level is not Level.COSMETIC]))
    figure(
        "our document against a Letta's own",
        f"{len(sides[0].operations)} operations, {len(changes)} changes reported in {entries} entries and "
        f"{len(text.splitlines())} lines, {len(skips)} parts skipped",
    )
    print(text)

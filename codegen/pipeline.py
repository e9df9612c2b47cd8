"""From the document to the package, step by step."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from codegen import stock
from codegen.asked import Asked, read_asked
from codegen.document import Document, load
from codegen.formatting import format_package
from codegen.hoist import hoist
from codegen.lenient import Skip, relax
from codegen.manifest import digest, write_manifest
from codegen.models import Library, read_library
from codegen.operations import Operation, read_operations
from codegen.package import package_view
from codegen.params import write_params
from codegen.places import OUT as OUT
from codegen.places import ROOT as ROOT
from codegen.places import SPEC as SPEC
from codegen.shape import check_shape
from codegen.swap import TEMPORARY, check_target, remove_abandoned, swap
from codegen.types import TypeReader

Say = Callable[[str], object]
"""Is told what the generator turns to next."""


def quiet(step: str) -> None:
    """Tells nobody."""


@frozen
class Parsed:
    """A document as it was understood."""

    document: Document
    library: Library
    operations: list[Operation]
    asked: list[Asked]


@frozen
class Result:
    """What was made: how many files, operations, models, unions and enums, and what was left out."""

    files: int
    operations: int
    models: int
    unions: int
    enums: int
    skips: list[Skip]


def generate(
    spec: Path = SPEC, out: Path = OUT, *, lenient: bool = False, force: bool = False, say: Say = quiet
) -> Result:
    """Makes the package from the document and puts it in place of `out`.

    Everything is made elsewhere first: where anything fails, `out` stays as it was.

    Args:
        spec: the document.
        out: the folder of the package.
        lenient: leave out what is not understood, and list it in the result, rather than fail.
        force: replace `out` although files in it were edited or added.
        say: is told of each step.

    Raises:
        SpecError: the document is not fully understood.
        GeneratorFailure: one of the generators reported something.
        OccupiedError: If `out` is not a generated package, or files in it were edited or added.
        OSError: If the file system refuses a step.
    """
    check_target(out, force=force)  # before the work is done; `swap` checks again
    with built(spec, lenient=lenient, say=say) as (package, result):
        swap(package, out, force=force)
    return result


def drift(spec: Path = SPEC, out: Path = OUT, *, lenient: bool = False, say: Say = quiet) -> list[str]:
    """Makes the package elsewhere and names the files of `out` that differ, are missing, or should not be there.

    Raises:
        FileNotFoundError: If there is no package at `out`.
        SpecError: If the document is not fully understood.
    """
    if not out.is_dir():
        raise FileNotFoundError(f"there is no package at {out}")
    with built(spec, lenient=lenient, say=say) as (package, _):
        fresh, there = _contents(package), _contents(out)
    return sorted(
        [f"{name}: differs" for name in fresh.keys() & there.keys() if fresh[name] != there[name]]
        + [f"{name}: missing" for name in fresh.keys() - there.keys()]
        + [f"{name}: not made by the generator" for name in there.keys() - fresh.keys()]
    )


@contextmanager
def built(spec: Path, *, lenient: bool = False, say: Say = quiet) -> Generator[tuple[Path, Result], None, None]:
    """The finished package in a temporary folder."""
    remove_abandoned(TEMPORARY)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder:
        package = Path(folder) / "letta_api"
        say(f"read {spec}")
        data = load(spec)
        yield package, write_package(data, package, digest(spec), lenient=lenient, say=say)


def write_package(
    data: dict[str, Any], package: Path, spec_hash: str, *, lenient: bool = False, say: Say = quiet
) -> Result:
    """Writes the package of a loaded document into a folder that is not there yet."""
    skips: list[Skip] = []
    if lenient:
        say("look for what is not understood")
        data, skips = relax(data, read)
    parsed = read(data)
    say("parse it with openapi-python-client")
    project = stock.open_project(parsed.document, package)
    say("write models, unions and operations")
    stock.build(project, package_view(parsed.document, parsed.library, parsed.operations, parsed.asked))
    say("write TypedDicts with datamodel-code-generator")
    write_params(parsed.document, parsed.library, parsed.operations, package / "params.py")
    say("format with ruff")
    format_package(package)
    info = data.get("info", {})
    write_manifest(package, spec_hash, str(info.get("version", "")))
    files = sum(1 for path in package.rglob("*") if path.is_file())
    library = parsed.library
    return Result(files, len(parsed.operations), len(library.models), len(library.unions), len(library.enums), skips)


def read(data: dict[str, Any]) -> Parsed:
    """Everything that a document says, in our terms.

    Raises:
        SpecError: it is not fully understood.
    """
    check_shape(data)
    document = hoist(Document(data))
    reader = TypeReader(document)
    library, operations = read_library(document, reader), read_operations(document, reader)
    return Parsed(document, library, operations, read_asked(document, operations))


def _contents(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.relative_to(folder).parts)
    return {p.relative_to(folder).as_posix(): p.read_bytes().replace(b"\r\n", b"\n") for p in files}

"""The pipeline from the document to the package."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from codegen import openapi_client_driver, parser
from codegen.atomic_replace import TEMPORARY, check_target, remove_abandoned, replace_package
from codegen.derive_sync import complete, write_sync
from codegen.document import Document, existing_place, load, reachable
from codegen.errors import SpecError, SpecErrors
from codegen.formatting import format_packages
from codegen.import_paths import OWN_TYPES, read_import_paths, write_import_paths
from codegen.inline_schemas import extract_inline_schemas
from codegen.manifest import digest, read_manifest, write_manifest
from codegen.models import Library, read_library
from codegen.operations import Operation, read_operations
from codegen.package import package_view
from codegen.paths import MIXINS, client_of
from codegen.paths import OUT as OUT
from codegen.paths import ROOT as ROOT
from codegen.paths import SPEC as SPEC
from codegen.prune import Skip, relax
from codegen.resources import read_resources, write_resources
from codegen.type_reader import TypeReader
from codegen.typed_dicts import write_typed_dicts
from codegen.validate import validate

PACKAGE, RESOURCES, TYPES, SYNC, ASYNC = "letta_api", "resources", "types", "_sync", "_async"
"""The names of the generated folders, and of the source of the sync modules."""

Say = Callable[[str], object]
"""A callback that receives the name of each step."""


def quiet(step: str) -> None:
    """Ignore the name of a step."""


@frozen
class Parsed:
    """A parsed document."""

    document: Document
    source: parser.Parsed
    library: Library
    operations: list[Operation]


@frozen
class Result:
    """The numbers of files, operations, models, unions and enums, and the skipped parts."""

    files: int
    operations: int
    models: int
    unions: int
    enums: int
    skips: list[Skip]


def generate(
    spec: Path = SPEC,
    out: Path = OUT,
    client: Path | None = None,
    *,
    lenient: bool = False,
    force: bool = False,
    say: Say = quiet,
) -> Result:
    """Generate the package and replace `out` with it.

    The package is generated in a temporary folder: if anything fails, `out` stays unchanged.

    Args:
        spec: The document.
        out: The folder of the package.
        client: The folder of the resource classes. Defaults to `client_of(out)`. If there is a neighboring `_async`,
            the sync modules are derived into the neighboring `_sync`, and the public types are written into `types`.
        lenient: Skip unsupported parts and list them in the result, instead of failing. Defaults to False.
        force: Replace `out` even if files in it were edited or added. Defaults to False.
        say: Receives the name of each step.

    Raises:
        SpecError: If the document is not fully supported.
        GeneratorFailure: If a generator reports an error or a warning.
        OccupiedError: If `out` is not a generated package, or files in it were edited or added.
        OSError: If a file operation fails.
    """
    targets = _targets(out, client)
    for target in targets.values():
        check_target(target, force=force)  # early; `replace_package` checks again
    with built(spec, targets, lenient=lenient, say=say) as (folder, result):
        for name, target in targets.items():
            replace_package(folder / name, target, force=force)
    return result


def _targets(out: Path, client: Path | None) -> dict[str, Path]:
    """Return the targets of the generated folders, by name."""
    client = client or client_of(out)
    if client is None:
        return {PACKAGE: out}
    derived = [TYPES, SYNC] if client.with_name(ASYNC).is_dir() else []
    return {PACKAGE: out, RESOURCES: client, **{name: client.with_name(name) for name in derived}}


def drift(
    spec: Path = SPEC, out: Path = OUT, client: Path | None = None, *, lenient: bool = False, say: Say = quiet
) -> list[str]:
    """Generate the package in a temporary folder and return the files of `out` that differ, are missing or unexpected.

    Raises:
        FileNotFoundError: If `out` does not exist.
        SpecError: If the document is not fully supported.
    """
    targets = _targets(out, client)
    for target in targets.values():
        if not target.is_dir():
            raise FileNotFoundError(f"found no package at {target}")
    found: list[str] = []
    with built(spec, targets, lenient=lenient, say=say) as (folder, _):
        for name, target in targets.items():
            fresh, there = _contents(folder / name), _contents(target)
            above = f"{name}/" if len(targets) > 1 and name != PACKAGE else ""
            found += [f"{above}{each}: differs" for each in fresh.keys() & there.keys() if fresh[each] != there[each]]
            found += [f"{above}{each}: missing" for each in fresh.keys() - there.keys()]
            found += [f"{above}{each}: not made by the generator" for each in there.keys() - fresh.keys()]
    return sorted(found)


@contextmanager
def built(
    spec: Path, targets: Mapping[str, Path], *, lenient: bool = False, say: Say = quiet
) -> Generator[tuple[Path, Result], None, None]:
    """Yield the generated folders in a temporary folder."""
    remove_abandoned(TEMPORARY)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY) as name, ThreadPoolExecutor(1) as background:
        folder = Path(name)
        say(f"read {spec}")
        data = load(spec)
        if SYNC in targets:
            say("derive sync modules")
            write_sync(targets[SYNC].with_name(ASYNC), folder / SYNC)
            derived = background.submit(format_packages, folder / SYNC)
        clients = {name: folder / name for name in (RESOURCES, TYPES) if name in targets}
        own = targets[TYPES].with_name(OWN_TYPES) if TYPES in targets else None
        result = write_package(data, folder / PACKAGE, digest(spec), clients, own, lenient=lenient, say=say)
        if SYNC in targets:
            derived.result()
            files = complete(folder / SYNC, read_manifest(folder / PACKAGE))
            result = evolve(result, files=result.files + files)
        yield folder, result


def write_package(
    data: dict[str, Any],
    package: Path,
    spec_hash: str,
    client: Mapping[str, Path] | None = None,
    own: Path | None = None,
    *,
    lenient: bool = False,
    say: Say = quiet,
) -> Result:
    """Write the package of a loaded document, its resource classes and its public types into new folders.

    Args:
        data: The document.
        package: The folder of the package.
        spec_hash: The hash of the document.
        client: The folders of the resource classes and of the types, by name. Defaults to none.
        own: The module of the client with hand-written types. Defaults to none.
        lenient: Skip unsupported parts. Defaults to False.
        say: Receives the name of each step.
    """
    client = client or {}
    skips: list[Skip] = []
    if lenient:
        say("find unsupported parts")
        accepted: list[Parsed] = []
        data, skips = relax(data, lambda part: accepted.append(read(part)))
        (parsed,) = accepted
    else:
        say("parse with openapi-python-client")
        parsed = read(data)
    say("write models, unions and operations")
    view = package_view(parsed.document, parsed.library, parsed.operations)
    openapi_client_driver.build(openapi_client_driver.open_project(parsed.source, package), view)
    say("write TypedDicts with datamodel-code-generator")
    write_typed_dicts(parsed.document, parsed.library, parsed.operations, package / "params.py")
    with ThreadPoolExecutor(1) as background:
        formatted = background.submit(format_packages, package)
        if RESOURCES in client:
            say("write resource classes")
            resources = read_resources(parsed.document, parsed.operations, MIXINS)
            write_resources(resources, parsed.operations, client[RESOURCES])
        if TYPES in client:
            say("write public types")
            paths = read_import_paths(parsed.document, parsed.library, parsed.operations, lenient=lenient)
            write_import_paths(paths, client[TYPES], own)
        say("format with ruff")
        formatted.result()
    if client:
        format_packages(*client.values())
    folders = [package, *client.values()]
    for folder in folders:
        write_manifest(folder, spec_hash, str(data.get("info", {}).get("version", "")))
    files = sum(1 for folder in folders for path in folder.rglob("*") if path.is_file())
    library = parsed.library
    return Result(files, len(parsed.operations), len(library.models), len(library.unions), len(library.enums), skips)


def read(data: dict[str, Any]) -> Parsed:
    """Parse a document.

    Raises:
        SpecError: If the document is not fully supported. Its place exists in the document.
    """
    validate(data)
    try:
        return _read(data)
    except SpecErrors as several:
        raise SpecErrors([_in_source(fault, data) for fault in several.faults]) from several
    except SpecError as fault:
        raise _in_source(fault, data) from fault


def _in_source(fault: SpecError, data: dict[str, Any]) -> SpecError:
    """Return an error whose place is in the document as it was read, not as normalization rewrote it."""
    return SpecError(existing_place(data, fault.place), fault.reason)


def _read(data: dict[str, Any]) -> Parsed:
    document = extract_inline_schemas(Document(data))
    source = parser.parse(document)
    reader = TypeReader(document, source)
    library, operations = read_library(document, reader), read_operations(document, source, reader)
    for name in _bodies(document, operations):
        del library.models[name]
    return Parsed(document, source, library, operations)


def _bodies(document: Document, operations: list[Operation]) -> set[str]:
    """Return the components whose properties are arguments and that only request bodies refer to. They are not used."""
    bodies = {operation.body for operation in operations if operation.body is not None}
    elsewhere = [schema for name, schema in document.schemas.items() if name not in bodies]
    arguments = [argument.schema for operation in operations for argument in operation.arguments]
    responses = [source.data.get("responses") for source in document.operations()]
    shared = document.data["components"].get("responses")
    return bodies.difference(reachable([*elsewhere, *arguments, *responses, shared], document.schemas))


def _contents(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.relative_to(folder).parts)
    return {p.relative_to(folder).as_posix(): p.read_bytes().replace(b"\r\n", b"\n") for p in files}

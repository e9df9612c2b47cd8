"""Small documents, and packages generated from them."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from codegen.pipeline import Result, write_package
from tests.stress.figures import FULL

Schema = dict[str, Any]

_numbers = count(1)

stress_in_full = pytest.mark.stress if FULL else pytest.mark.slow
"""Marks a test that runs a sample by default and every case with LETTA_STRESS=full."""

STRING: Schema = {"type": "string"}
NULL: Schema = {"type": "null"}


def ref(name: str) -> Schema:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def obj(required: str = "", **properties: Any) -> Schema:
    """Return an object schema; `required` lists its required properties."""
    return {"type": "object", "properties": properties, "required": required.split()}


def tagged(tag: str, **mapping: str) -> Schema:
    """Return a tagged union of components by tag value."""
    return {
        "oneOf": [ref(name) for name in dict.fromkeys(mapping.values())],
        "discriminator": {
            "propertyName": tag,
            "mapping": {value: f"#/components/schemas/{name}" for value, name in mapping.items()},
        },
    }


def responds(schema: Schema | bool | None) -> dict[str, Any]:
    """Return the responses of an operation with one JSON response."""
    content = {} if schema is None else {"content": {"application/json": {"schema": schema}}}
    return {"200": {"description": "ok", **content}}


def takes(schema: Schema) -> dict[str, Any]:
    """Return a JSON request body."""
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def operation(id_: str = "widgets.get", **parts: Any) -> dict[str, Any]:
    """Return an operation; without parts it responds with any JSON."""
    return {"operationId": id_, "tags": ["widgets"], "responses": responds({}), **parts}


def document(schemas: dict[str, Any] | None = None, paths: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a complete document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "T", "version": "1"},
        "paths": paths or {},
        "components": {"schemas": schemas or {}},
    }


def make(data: dict[str, Any], folder: Path, *, lenient: bool = False) -> tuple[Path, Result]:
    """Generate a package with a unique name."""
    package = folder / f"api{next(_numbers)}"
    return package, write_package(data, package, "0" * 64, lenient=lenient)


@contextmanager
def imported(package: Path) -> Iterator[ModuleType]:
    """Import a package with all of its modules."""
    sys.path.insert(0, str(package.parent))
    try:
        module = importlib.import_module(package.name)
        for path in sorted(package.rglob("*.py")):
            parts = path.relative_to(package.parent).with_suffix("").parts
            importlib.import_module(".".join(parts).removesuffix(".__init__"))
        yield module
    finally:
        sys.path.remove(str(package.parent))
        for name in [name for name in sys.modules if name.split(".")[0] == package.name]:
            del sys.modules[name]


def checked(tool: str, folder: Path, *only: str) -> str:
    """Check a folder, or paths in it, with strict mypy or pyright; an error fails the test."""
    pytest.importorskip(tool)
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "include": only or ["."]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    options = {
        "mypy": ["--strict", "--no-incremental", "--config-file=", *(only or ["."])],
        "pyright": ["--pythonpath", sys.executable, "--project", "."],
    }
    command = [sys.executable, "-m", tool, *options[tool]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return done.stdout.strip().splitlines()[-1]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder by relative path, without caches."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def sources(package: Path) -> dict[str, str]:
    """Return every Python file of a package by relative path."""
    return {p.relative_to(package).as_posix(): p.read_text(encoding="utf-8") for p in sorted(package.rglob("*.py"))}

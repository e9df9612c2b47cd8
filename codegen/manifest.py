"""The manifest of a package: the hashes of the document and of every file, and the versions of the tools."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from codegen.errors import VendorError

NAME = "manifest.json"
TOOLS = ("openapi-python-client", "datamodel-code-generator", "ruff")


def write_manifest(folder: Path, spec_hash: str, api_version: str) -> None:
    """Write the manifest of a finished package."""
    content = {
        "api_version": api_version,
        "spec_sha256": spec_hash,
        "tools": _tools(),
        "files": hashes(folder),
    }
    (folder / NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")


@cache
def _tools() -> dict[str, str]:
    return {tool: version(tool) for tool in TOOLS}


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every file of a folder by relative path, except caches and the manifest."""
    files = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name.as_posix(): digest(path)
        for name, path in files.items()
        if "__pycache__" not in name.parts and name.name != NAME
    }


def digest(path: Path) -> str:
    """Return the SHA-256 of a text file."""
    # A checkout can change line endings.
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a generated package.

    Raises:
        VendorError: If the manifest is missing or invalid.
    """
    try:
        manifest = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise VendorError(f"{folder} has no readable manifest: {fault}") from fault
    if not isinstance(manifest, dict) or not {"files", "spec_sha256", "api_version"} <= manifest.keys():
        raise VendorError(f"{folder / NAME} is not the manifest of a generated package")
    if not isinstance(manifest["files"], dict) or not all(map(_is_entry, manifest["files"].items())):
        raise VendorError(f"{folder / NAME} has no files with hashes")
    return manifest


def _is_entry(entry: tuple[str, object]) -> bool:
    """Return whether an entry of a manifest is a file of the package with its hash."""
    name, value = entry
    return isinstance(value, str) and not {"", ".", ".."} & set(name.split("/")) and "\\" not in name

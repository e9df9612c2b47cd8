"""The manifest beside the output: what it was made from, with what, and the hash of every file."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from codegen.errors import VendorError

NAME = "manifest.json"
TOOLS = ("openapi-python-client", "datamodel-code-generator", "ruff")


def write_manifest(folder: Path, spec_hash: str, api_version: str) -> None:
    """Writes the manifest of a finished output."""
    content = {
        "api_version": api_version,
        "spec_sha256": spec_hash,
        "tools": {tool: version(tool) for tool in TOOLS},
        "files": hashes(folder),
    }
    (folder / NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")


def hashes(folder: Path) -> dict[str, str]:
    """The hash of every file below a folder, by its path there; caches and the manifest left out."""
    files = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name.as_posix(): digest(path)
        for name, path in files.items()
        if "__pycache__" not in name.parts and name.name != NAME
    }


def digest(path: Path) -> str:
    """The SHA-256 of a text file."""
    # A checkout may have changed line ends; the text is what counts.
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a generated package.

    Raises:
        VendorError: If there is none, or it is not one of this generator.
    """
    try:
        manifest = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise VendorError(f"{folder} holds no manifest that can be read: {fault}") from fault
    if not isinstance(manifest, dict) or not {"files", "spec_sha256", "api_version"} <= manifest.keys():
        raise VendorError(f"{folder / NAME} is not the manifest of a generated package")
    if not isinstance(manifest["files"], dict) or not all(map(_is_entry, manifest["files"].items())):
        raise VendorError(f"{folder / NAME} does not list files and their hashes")
    return manifest


def _is_entry(entry: tuple[str, object]) -> bool:
    """Whether an entry of a manifest is the hash of a file below the package."""
    name, value = entry
    return isinstance(value, str) and not {"", ".", ".."} & set(name.split("/")) and "\\" not in name

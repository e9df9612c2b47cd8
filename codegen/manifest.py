"""The manifest beside the output: what it was made from, with what, and the hash of every file."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

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
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): digest(path) for path in files if path.name != NAME}


def digest(path: Path) -> str:
    """The SHA-256 of a text file."""
    # A checkout may have changed line ends; the text is what counts.
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()

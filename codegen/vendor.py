"""Copies the package into another code base, and checks such copies."""

from __future__ import annotations

import json
import keyword
import os
import re
import shutil
import tempfile
import unicodedata
from pathlib import Path

from codegen.atomic_replace import TEMPORARY, check_target, remove_abandoned, replace_package
from codegen.errors import VendorError
from codegen.manifest import NAME, digest, hashes, read_manifest
from codegen.vendored_main import faults

MAIN = Path(__file__).with_name("vendored_main.py")


def vendor(source: Path, dest: Path, package: str, *, spec: Path | None = None, force: bool = False) -> Path:
    """Copy a generated package below an import root of another code base.

    The copy uses relative imports and needs attrs and httpx. Its manifest has the hashes of the document and of every
    file, and its `__main__.py` checks them.

    Args:
        source: The generated package.
        dest: The import root.
        package: The dotted name of the copy, such as `acme.clients.letta_api`.
        spec: The document that the source must have been generated from. Defaults to None, which skips the check.
        force: Replace a copy even if files in it were edited or added. Defaults to False.

    Raises:
        VendorError: If the source was edited or is out of date, or the name is invalid.
        OccupiedError: If the target is another folder, or a copy in which files were edited or added.
        OSError: If a file operation fails.
    """
    place = _place(dest, package)
    manifest = read_manifest(source)
    if wrong := faults(source):
        raise VendorError(f"{source} was edited: {wrong[0]}. Run `python -m codegen generate --force` first.")
    if spec is not None and (stale := _changed_since(manifest["spec_sha256"], source, spec)):
        raise VendorError(f"{stale}. Run `python -m codegen generate` first.")
    if place.with_suffix(".py").exists():
        raise VendorError(f"{place.with_suffix('.py')} is a module called {package}. Give another name.")
    real = check_target(place, force=force)
    if real == source.resolve() or real in source.resolve().parents:
        raise VendorError(f"{place} is or contains the package to copy. Give another folder or name.")
    remove_abandoned(TEMPORARY)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder:
        copy = Path(folder) / place.name
        copy.mkdir()
        for name in (*manifest["files"], NAME):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, copy / name)
        shutil.copyfile(MAIN, copy / "__main__.py")
        manifest |= {"package": package, "files": hashes(copy)}
        (copy / NAME).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8", newline="\n")
        replace_package(copy, place, force=force)
    return place


def check_vendored(source: Path, dest: Path, package: str | None, *, spec: Path | None = None) -> list[str]:
    """Return the problems of a copy: files that were edited, and files that the checkout generates differently.

    Args:
        source: The package of the checkout.
        dest: The import root, or the copy.
        package: The dotted name of the copy. Defaults to None, which searches for it.
        spec: The document of the source, to detect an outdated source. Defaults to None, which skips the check.

    Raises:
        VendorError: If the folder contains no copy, or several.
    """
    place = _place(dest, package) if package else _find(dest)
    theirs, ours = read_manifest(place), read_manifest(source)
    found = [f"{place / line}" for line in faults(place)]
    if spec is not None and (stale := _changed_since(ours["spec_sha256"], source, spec)):
        found.append(f"{source}: stale: {stale}")
    if theirs["spec_sha256"] != ours["spec_sha256"]:
        found.append(f"{place}: stale: made from another version of the document ({theirs['api_version']})")
    current = ours["files"] | {"__main__.py": digest(MAIN)}
    for name in sorted(theirs["files"].keys() | current.keys()):
        if theirs["files"].get(name) != current.get(name):
            word = "new" if name not in theirs["files"] else "gone" if name not in current else "made otherwise"
            found.append(f"{place / name}: stale: {word} in this checkout")
    return found


def _changed_since(known: str, source: Path, spec: Path) -> str:
    """Return a message if the source was not generated from the document, or ""."""
    return "" if digest(spec) == known else f"{spec} has changed since {source} was generated"


def _place(dest: Path, package: str) -> Path:
    """Return the folder of a dotted name.

    Raises:
        VendorError: If the name cannot be imported.
    """
    parts = package.split(".")
    for part in parts:
        if not part.isidentifier() or keyword.iskeyword(part) or re.fullmatch("__.*__", part):
            raise VendorError(f"package must be a dotted name, got {package!r}: {part!r} cannot be imported")
        # Python normalizes identifiers, and file systems allow 255 bytes.
        if unicodedata.normalize("NFKC", part) != part or len(os.fsencode(part)) > 100:
            raise VendorError(f"package must be a dotted name, got {package!r}: {part!r} is not a valid file name")
    return dest.joinpath(*parts)


def _find(dest: Path) -> Path:
    if (dest / NAME).exists():
        return dest
    found = [path.parent for path in sorted(dest.rglob(NAME)) if (path.parent / "__main__.py").exists()]
    if len(found) != 1:
        raise VendorError(f"{dest} has {len(found)} copies. Select one with --package.")
    return found[0]

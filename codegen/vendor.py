"""Copies the package into another code base, and says later whether the copy is sound and up to date."""

from __future__ import annotations

import json
import keyword
import os
import re
import shutil
import tempfile
import unicodedata
from pathlib import Path

from codegen.atomic_replace import TEMPORARY, check_target, remove_abandoned, swap
from codegen.errors import VendorError
from codegen.manifest import NAME, digest, hashes, read_manifest
from codegen.vendored_main import faults

MAIN = Path(__file__).with_name("vendored_main.py")


def vendor(source: Path, dest: Path, package: str, *, spec: Path | None = None, force: bool = False) -> Path:
    """Copies a generated package below a source folder of another code base, under a name of its own.

    The copy imports itself relatively and needs attrs and httpx. It holds a manifest with the hash of the document,
    the tools and every file, and `__main__.py`, with which it checks itself.

    Args:
        source: the package that `generate` made.
        dest: the folder that the other code base imports from.
        package: the dotted name there, such as `acme.clients.letta_api`.
        spec: the document of the source, which must not have changed since; None leaves that open.
        force: replace a copy in which files were edited or added.

    Raises:
        VendorError: the source is not as the generator made it or not of the present document, or the name is none.
        OccupiedError: If there is another folder in the place, or a copy in which files were edited or added.
        OSError: If the file system refuses a step.
    """
    place = _place(dest, package)
    manifest = read_manifest(source)
    if wrong := faults(source):
        raise VendorError(f"{source} is not as the generator made it: {wrong[0]}")
    if spec is not None and (stale := _changed_since(manifest["spec_sha256"], source, spec)):
        raise VendorError(f"{stale}. Run `python -m codegen generate` first.")
    if place.with_suffix(".py").exists():
        raise VendorError(f"{place.with_suffix('.py')} is a module of the name {package}. Give another name.")
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
        swap(copy, place, force=force)
    return place


def check_vendored(source: Path, dest: Path, package: str | None, *, spec: Path | None = None) -> list[str]:
    """What is wrong with a copy: files that were edited, and what the checkout has made otherwise since.

    Args:
        source: the package of the checkout.
        dest: the folder that was vendored into, or the copy itself.
        package: its dotted name; without one it is looked for.
        spec: the document of the source: if it has changed since, source and copy are stale. None leaves that open.

    Raises:
        VendorError: there is no copy, or more than one.
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
    """What to say if the document is not the one that the source was made from, or ""."""
    return "" if digest(spec) == known else f"{spec} has changed since {source} was generated"


def _place(dest: Path, package: str) -> Path:
    """The folder of a dotted name.

    Raises:
        VendorError: If the name cannot be imported.
    """
    parts = package.split(".")
    for part in parts:
        if not part.isidentifier() or keyword.iskeyword(part) or re.fullmatch("__.*__", part):
            raise VendorError(f"{package!r} is no dotted package name: {part!r} cannot be imported")
        # Python looks for the normal form of a name, and file systems allow 255 bytes.
        if unicodedata.normalize("NFKC", part) != part or len(os.fsencode(part)) > 100:
            raise VendorError(f"{package!r} is no dotted package name: {part!r} is no file name of that form")
    return dest.joinpath(*parts)


def _find(dest: Path) -> Path:
    if (dest / NAME).exists():
        return dest
    found = [path.parent for path in sorted(dest.rglob(NAME)) if (path.parent / "__main__.py").exists()]
    if len(found) != 1:
        raise VendorError(f"{dest} holds {len(found)} copies; say which with --package")
    return found[0]

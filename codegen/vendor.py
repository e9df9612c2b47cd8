"""Copies the package into another code base, and says later whether the copy is sound and up to date."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from codegen.faults import VendorError
from codegen.manifest import NAME, hashes
from codegen.names import usable
from codegen.swap import swap
from codegen.vendored_main import faults

MAIN = Path(__file__).with_name("vendored_main.py")


def vendor(source: Path, dest: Path, package: str) -> Path:
    """Copies a generated package below a source folder of another code base, under a name of its own.

    The copy imports itself relatively and needs attrs and httpx. It holds a manifest with the hash of the document,
    the tools and every file, and `__main__.py`, with which it checks itself.

    Args:
        source: the package that `generate` made.
        dest: the folder that the other code base imports from.
        package: the dotted name there, such as `acme.clients.letta_api`.

    Raises:
        VendorError: the source is not as the generator made it, or the name is none.
        FileExistsError: there is something else in the place.
    """
    parts = package.split(".")
    if not all(usable(part) for part in parts):
        raise VendorError(f"{package!r} is no dotted package name")
    manifest = _manifest(source)
    if wrong := faults(source):
        raise VendorError(f"{source} is not as the generator made it: {wrong[0]}")
    place = dest.joinpath(*parts)
    with tempfile.TemporaryDirectory(prefix="letta-vendor-") as folder:
        copy = Path(folder) / parts[-1]
        copy.mkdir()
        for name in (*manifest["files"], NAME):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, copy / name)
        shutil.copyfile(MAIN, copy / "__main__.py")
        manifest |= {"package": package, "files": hashes(copy)}
        (copy / NAME).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8", newline="\n")
        swap(copy, place)
    return place


def check_vendored(source: Path, dest: Path, package: str | None) -> list[str]:
    """What is wrong with a copy: files that were edited, and what the checkout has made otherwise since.

    Args:
        source: the package of the checkout.
        dest: the folder that was vendored into, or the copy itself.
        package: its dotted name; without one it is looked for.

    Raises:
        VendorError: there is no copy, or more than one.
    """
    place = dest.joinpath(*package.split(".")) if package else _find(dest)
    theirs, ours = _manifest(place), _manifest(source)
    found = [f"{place / line}" for line in faults(place)]
    if theirs["spec_sha256"] != ours["spec_sha256"]:
        found.append(f"{place}: stale: made from another version of the document ({theirs['api_version']})")
    current = ours["files"] | {"__main__.py": hashes(MAIN.parent)[MAIN.name]}
    for name in sorted(theirs["files"].keys() | current.keys()):
        if theirs["files"].get(name) != current.get(name):
            word = "new" if name not in theirs["files"] else "gone" if name not in current else "made otherwise"
            found.append(f"{place / name}: stale: {word} in this checkout")
    return found


def _find(dest: Path) -> Path:
    if (dest / NAME).exists():
        return dest
    found = [path.parent for path in sorted(dest.rglob(NAME)) if (path.parent / "__main__.py").exists()]
    if len(found) != 1:
        raise VendorError(f"{dest} holds {len(found)} copies; say which with --package")
    return found[0]


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise VendorError(f"{folder} holds no manifest that can be read: {fault}") from fault
    if not isinstance(manifest, dict) or not {"files", "spec_sha256", "api_version"} <= manifest.keys():
        raise VendorError(f"{folder / NAME} is no manifest of ours")
    return manifest

"""States of an output folder, and the outcome of each command on each state."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from codegen.toolchain import pinned_tools

GENERATE, GENERATE_FORCE, CHECK = "generate", "generate --force", "check"
VENDOR, VENDOR_FORCE, VENDOR_CHECK = "vendor", "vendor --force", "vendor --check"
COMMANDS = (GENERATE, GENERATE_FORCE, CHECK, VENDOR, VENDOR_FORCE, VENDOR_CHECK)

DONE, DIFFERS, FAILED = 0, 1, 2
Outcome = tuple[int, str]
"""The exit status of a command, and a part of its message."""


@frozen
class Place:
    """A folder for one test.

    Attributes:
        root: That folder. All of it is compared before and after.
        package: The place of the package, inside of it.
        spec: The document.
    """

    root: Path
    package: Path
    spec: Path


@frozen
class Tree:
    """A state and its outcome by command. `all` applies to commands without an outcome."""

    prepare: Callable[[Place], object]
    outcomes: dict[str, Outcome]
    default: Outcome = (DONE, "")
    env: Callable[[Place], dict[str, str]] | None = None
    cwd: Callable[[Place], Path] | None = None
    home: Callable[[Place], Path] | None = None
    wrapper: Callable[[], list[str]] | None = None

    @property
    def alone(self) -> bool:
        """Return whether the state needs a new process."""
        return bool(self.env or self.wrapper)

    def outcome(self, command: str) -> Outcome:
        return self.outcomes.get(command, self.default)


def refused(message: str, *, forced: bool = False, checks: tuple[Outcome, Outcome]) -> dict[str, Outcome]:
    """Return the outcomes of a state that would lose files; `forced` if --force allows that."""
    return {
        GENERATE: (FAILED, message),
        GENERATE_FORCE: (DONE, "made") if forced else (FAILED, message),
        CHECK: checks[0],
        VENDOR: (FAILED, message),
        VENDOR_FORCE: (DONE, "copied") if forced else (FAILED, message),
        VENDOR_CHECK: checks[1],
    }


ABSENT: dict[str, Outcome] = {
    CHECK: (FAILED, "found no package at"),
    VENDOR_CHECK: (FAILED, "has 0 copies"),
}


def unchanged(place: Place) -> None:
    """Leave the package unchanged."""


def remove(place: Place) -> None:
    shutil.rmtree(place.package)


def edit(place: Place) -> None:
    (place.package / "types.py").write_text("x = 1\n")


def add(place: Place) -> None:
    (place.package / "models" / "mine.py").write_text("x = 1\n")


def add_others(place: Place) -> None:
    (place.package / "link").symlink_to(place.spec)
    (place.package / "dangling").symlink_to("nowhere")
    os.mkfifo(place.package / "pipe")


def remove_file(place: Place) -> None:
    (place.package / "errors.py").unlink()


def change_document(place: Place) -> None:
    data = json.loads(place.spec.read_text())
    data["components"]["schemas"]["More"] = {"type": "object", "properties": {"x": {"type": "string"}}}
    place.spec.write_text(json.dumps(data))


def damage_manifest(place: Place) -> None:
    (place.package / "manifest.json").write_text("<<<<<<< ours\n{}\n=======\n")


def foreign_files(place: Place) -> None:
    remove(place)
    place.package.mkdir()
    (place.package / "notes.txt").write_text("mine")


def of_another_tool(place: Place) -> None:
    foreign_files(place)
    (place.package / "manifest.json").write_text('{"name": "A web application", "icons": []}')


def file_there(place: Place) -> None:
    remove(place)
    place.package.write_text("mine")


def file_above(place: Place) -> None:
    shutil.rmtree(place.package.parent)
    place.package.parent.write_text("mine")


def behind_link(place: Place) -> None:
    real = place.root / "elsewhere"
    place.package.rename(real)
    place.package.symlink_to(real, target_is_directory=True)


def dangling(place: Place) -> None:
    remove(place)
    place.package.symlink_to(place.root / "elsewhere")


def circular(place: Place) -> None:
    remove(place)
    place.package.symlink_to(place.package)


def inside_another(place: Place) -> None:
    shutil.copytree(place.package, place.root / "outer")
    shutil.rmtree(place.package.parent)
    (place.root / "outer").rename(place.package.parent)


def left_over(place: Place) -> None:
    """Create the leftovers of a run that was killed before or after the exchange."""
    beside = place.package.parent / f".{place.package.name}.codegen-abc"
    shutil.copytree(place.package, beside / "new")
    (beside / "new" / "types.py").unlink()


def between(place: Place) -> None:
    """Create the leftovers of a run that was killed between two renames."""
    beside = place.package.parent / f".{place.package.name}.codegen-abc"
    beside.mkdir()
    place.package.rename(beside / "old")


def read_only(place: Place) -> None:
    for folder in (place.root, *(path for path in place.root.rglob("*") if path.is_dir())):
        folder.chmod(0o555)


def without_root() -> list[str]:
    """Return a command prefix that drops root, which may write everywhere."""
    if os.getuid():
        return []
    code = "import os, sys; os.setgid(65534); os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", code]


def without_space() -> list[str]:
    """Return a command prefix that limits files to 2000 bytes, as a full disk would."""
    code = "import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", code]


def other_version(place: Place) -> dict[str, str]:
    """Put another version of a tool first in the search path."""
    info = place.root / "site" / "openapi_python_client-9.9.9.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: openapi-python-client\nVersion: 9.9.9\n")
    return {"PYTHONPATH": str(info.parent)}


def without_extra(place: Place) -> dict[str, str]:
    """Provide only the dependencies of the package; the interpreter starts with -S."""
    site = place.root / "site"
    site.mkdir(exist_ok=True)
    for name in ("attr", "attrs"):
        (site / name).unlink(missing_ok=True)
        (site / name).symlink_to(Path(sys.modules[name].__path__[0]))
    return {"PYTHONPATH": str(site), "CODEGEN_TEST_FLAGS": "-S"}


PINNED = f"openapi-python-client {pinned_tools()['openapi-python-client']}"
WRONG_TOOL = f"{PINNED} is required and 9.9.9 is installed"
NO_TOOL = f"{PINNED} is required and is not installed"

EDITED = (DIFFERS, "types.py: edited")
TREES: dict[str, Tree] = {
    "absent": Tree(remove, ABSENT),
    "as it was made": Tree(unchanged, {}),
    "a file edited": Tree(
        edit, refused("types.py: edited", forced=True, checks=((DIFFERS, "types.py: differs"), EDITED))
    ),
    "a file added": Tree(
        add,
        refused(
            "models/mine.py: not part of the copy",
            forced=True,
            checks=((DIFFERS, "mine.py: not made by the generator"), (DIFFERS, "mine.py: not part of the copy")),
        ),
    ),
    "links and pipes added": Tree(
        add_others,
        refused(
            "dangling: not part of the copy",
            forced=True,
            checks=((DIFFERS, "link: not made by the generator"), (DIFFERS, "pipe: not part of the copy")),
        ),
    ),
    "a file missing": Tree(
        remove_file, {CHECK: (DIFFERS, "errors.py: missing"), VENDOR_CHECK: (DIFFERS, "errors.py: missing")}
    ),
    "the document changed since": Tree(
        change_document,
        {
            CHECK: (DIFFERS, "models/more.py: missing"),
            VENDOR: (FAILED, "has changed since"),
            VENDOR_FORCE: (FAILED, "has changed since"),
            VENDOR_CHECK: (DIFFERS, "has changed since"),
        },
    ),
    "a manifest in conflict": Tree(
        damage_manifest,
        refused(
            "--force replaces them",
            forced=True,
            checks=((DIFFERS, "manifest.json: differs"), (FAILED, "has no readable manifest")),
        ),
    ),
    "another folder": Tree(
        foreign_files,
        refused(
            "has files that were not generated",
            checks=((DIFFERS, "notes.txt: not made by the generator"), (FAILED, "has 0 copies")),
        ),
    ),
    "a manifest of another tool": Tree(
        of_another_tool,
        refused(
            "has files that were not generated",
            checks=(
                (DIFFERS, "notes.txt: not made by the generator"),
                (FAILED, "is not the manifest of a generated package"),
            ),
        ),
    ),
    "a file in its place": Tree(
        file_there,
        refused("is a file. Give a folder", checks=((FAILED, "no package at"), (FAILED, "0 copies"))),
    ),
    "a file above it": Tree(
        file_above,
        refused("cannot be created", checks=((FAILED, "no package at"), (FAILED, "0 copies"))),
    ),
    "behind a link": Tree(behind_link, {}),
    "behind a dangling link": Tree(dangling, ABSENT),
    "behind a link to itself": Tree(
        circular, refused("link to itself", checks=((FAILED, "no package at"), (FAILED, "0 copies")))
    ),
    "inside another package": Tree(
        inside_another,
        refused(
            "is inside the generated package",
            checks=((FAILED, "no package at"), (FAILED, "0 copies")),
        ),
    ),
    "the current folder": Tree(
        unchanged,
        refused("is or contains the current folder", checks=((DONE, ""), (DONE, ""))),
        cwd=lambda p: p.package,
    ),
    "around the current folder": Tree(
        unchanged,
        refused("is or contains the current folder", checks=((DONE, ""), (DONE, ""))),
        cwd=lambda p: p.package / "models",
    ),
    "the home folder": Tree(
        unchanged,
        refused("is or contains the home folder", checks=((DONE, ""), (DONE, ""))),
        home=lambda p: p.package,
    ),
    "read-only": Tree(read_only, refused("is read-only", checks=((DONE, ""), (DONE, ""))), wrapper=without_root),
    "a full disk": Tree(
        unchanged,
        refused("File too large", checks=((FAILED, "File too large"), (DONE, ""))),
        wrapper=without_space,
    ),
    "a killed run beside it": Tree(left_over, {}),
    "a run killed between two renames": Tree(between, ABSENT),
    "another version of a tool": Tree(
        unchanged, dict.fromkeys((GENERATE, GENERATE_FORCE, CHECK), (FAILED, WRONG_TOOL)), env=other_version
    ),
    "the tools not installed": Tree(
        unchanged, dict.fromkeys((GENERATE, GENERATE_FORCE, CHECK), (FAILED, NO_TOOL)), env=without_extra
    ),
}

OTHER_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108  # a file system in memory, where there is one


def on_another_file_system() -> bool:
    """Return whether a second file system exists."""
    here = Path(tempfile.gettempdir())
    return OTHER_FILE_SYSTEM.is_dir() and OTHER_FILE_SYSTEM.stat().st_dev != here.stat().st_dev

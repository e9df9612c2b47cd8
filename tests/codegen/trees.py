"""States of a folder in which the generator finds, or puts, a package; what each command makes of each."""

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

DONE, DIFFERS, FALLBACK_ERRORS = 0, 1, 2
Outcome = tuple[int, str]
"""The exit status of a command, and words of its message."""


@frozen
class Place:
    """A folder of its own for one test.

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
    """A state, and its outcome by command. `all` outcomes hold for each command without one of its own."""

    prepare: Callable[[Place], object]
    outcomes: dict[str, Outcome]
    default: Outcome = (DONE, "")
    env: Callable[[Place], dict[str, str]] | None = None
    cwd: Callable[[Place], Path] | None = None
    home: Callable[[Place], Path] | None = None
    wrapper: Callable[[], list[str]] | None = None

    @property
    def alone(self) -> bool:
        """Whether it needs a process of its own."""
        return bool(self.env or self.wrapper)

    def outcome(self, command: str) -> Outcome:
        return self.outcomes.get(command, self.default)


def refused(message: str, *, forced: bool = False, checks: tuple[Outcome, Outcome]) -> dict[str, Outcome]:
    """A state in which files would be lost; `forced` says whether --force allows that."""
    return {
        GENERATE: (FALLBACK_ERRORS, message),
        GENERATE_FORCE: (DONE, "made") if forced else (FALLBACK_ERRORS, message),
        CHECK: checks[0],
        VENDOR: (FALLBACK_ERRORS, message),
        VENDOR_FORCE: (DONE, "copied") if forced else (FALLBACK_ERRORS, message),
        VENDOR_CHECK: checks[1],
    }


ABSENT: dict[str, Outcome] = {
    CHECK: (FALLBACK_ERRORS, "found no package at"),
    VENDOR_CHECK: (FALLBACK_ERRORS, "has 0 copies"),
}


def nothing(place: Place) -> None:
    """Leaves the package as it is."""


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


def lose(place: Place) -> None:
    (place.package / "errors.py").unlink()


def change_document(place: Place) -> None:
    data = json.loads(place.spec.read_text())
    data["components"]["schemas"]["More"] = {"type": "object", "properties": {"x": {"type": "string"}}}
    place.spec.write_text(json.dumps(data))


def damage(place: Place) -> None:
    (place.package / "manifest.json").write_text("<<<<<<< ours\n{}\n=======\n")


def of_somebody_else(place: Place) -> None:
    remove(place)
    place.package.mkdir()
    (place.package / "notes.txt").write_text("mine")


def of_another_tool(place: Place) -> None:
    of_somebody_else(place)
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
    """What a run leaves that was killed before the exchange, or after it."""
    beside = place.package.parent / f".{place.package.name}.codegen-abc"
    shutil.copytree(place.package, beside / "new")
    (beside / "new" / "types.py").unlink()


def between(place: Place) -> None:
    """What a run leaves that was killed between two renames, where folders cannot be exchanged."""
    beside = place.package.parent / f".{place.package.name}.codegen-abc"
    beside.mkdir()
    place.package.rename(beside / "old")


def read_only(place: Place) -> None:
    for folder in (place.root, *(path for path in place.root.rglob("*") if path.is_dir())):
        folder.chmod(0o555)


def as_nobody() -> list[str]:
    """Runs what follows as a user who may not write there: root may write everywhere."""
    if os.getuid():
        return []
    code = "import os, sys; os.setgid(65534); os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", code]


def without_space() -> list[str]:
    """Runs what follows with files of at most 2000 bytes, which fail as on a full disk."""
    code = "import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", code]


def other_version(place: Place) -> dict[str, str]:
    """Another version of a tool comes first in the search path, as importlib.metadata finds it."""
    info = place.root / "site" / "openapi_python_client-9.9.9.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: openapi-python-client\nVersion: 9.9.9\n")
    return {"PYTHONPATH": str(info.parent)}


def without_extra(place: Place) -> dict[str, str]:
    """Nothing is installed but what the package itself needs; the interpreter is started with -S."""
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
    "as it was made": Tree(nothing, {}),
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
        lose, {CHECK: (DIFFERS, "errors.py: missing"), VENDOR_CHECK: (DIFFERS, "errors.py: missing")}
    ),
    "the document changed since": Tree(
        change_document,
        {
            CHECK: (DIFFERS, "models/more.py: missing"),
            VENDOR: (FALLBACK_ERRORS, "has changed since"),
            VENDOR_FORCE: (FALLBACK_ERRORS, "has changed since"),
            VENDOR_CHECK: (DIFFERS, "has changed since"),
        },
    ),
    "a manifest in conflict": Tree(
        damage,
        refused(
            "--force replaces them",
            forced=True,
            checks=((DIFFERS, "manifest.json: differs"), (FALLBACK_ERRORS, "has no readable manifest")),
        ),
    ),
    "another folder": Tree(
        of_somebody_else,
        refused(
            "has files that were not generated",
            checks=((DIFFERS, "notes.txt: not made by the generator"), (FALLBACK_ERRORS, "has 0 copies")),
        ),
    ),
    "a manifest of another tool": Tree(
        of_another_tool,
        refused(
            "has files that were not generated",
            checks=(
                (DIFFERS, "notes.txt: not made by the generator"),
                (FALLBACK_ERRORS, "is not the manifest of a generated package"),
            ),
        ),
    ),
    "a file in its place": Tree(
        file_there,
        refused("is a file. Give a folder", checks=((FALLBACK_ERRORS, "no package at"), (FALLBACK_ERRORS, "0 copies"))),
    ),
    "a file above it": Tree(
        file_above,
        refused("cannot be created", checks=((FALLBACK_ERRORS, "no package at"), (FALLBACK_ERRORS, "0 copies"))),
    ),
    "behind a link": Tree(behind_link, {}),
    "behind a dangling link": Tree(dangling, ABSENT),
    "behind a link to itself": Tree(
        circular, refused("link to itself", checks=((FALLBACK_ERRORS, "no package at"), (FALLBACK_ERRORS, "0 copies")))
    ),
    "inside another package": Tree(
        inside_another,
        refused(
            "is inside the generated package",
            checks=((FALLBACK_ERRORS, "no package at"), (FALLBACK_ERRORS, "0 copies")),
        ),
    ),
    "the current folder": Tree(
        nothing, refused("is or contains the current folder", checks=((DONE, ""), (DONE, ""))), cwd=lambda p: p.package
    ),
    "around the current folder": Tree(
        nothing,
        refused("is or contains the current folder", checks=((DONE, ""), (DONE, ""))),
        cwd=lambda p: p.package / "models",
    ),
    "the home folder": Tree(
        nothing,
        refused("is or contains the home folder", checks=((DONE, ""), (DONE, ""))),
        home=lambda p: p.package,
    ),
    "read-only": Tree(read_only, refused("is read-only", checks=((DONE, ""), (DONE, ""))), wrapper=as_nobody),
    "a full disk": Tree(
        nothing,
        refused("File too large", checks=((FALLBACK_ERRORS, "File too large"), (DONE, ""))),
        wrapper=without_space,
    ),
    "a killed run beside it": Tree(left_over, {}),
    "a run killed between two renames": Tree(between, ABSENT),
    "another version of a tool": Tree(
        nothing, dict.fromkeys((GENERATE, GENERATE_FORCE, CHECK), (FALLBACK_ERRORS, WRONG_TOOL)), env=other_version
    ),
    "the tools not installed": Tree(
        nothing, dict.fromkeys((GENERATE, GENERATE_FORCE, CHECK), (FALLBACK_ERRORS, NO_TOOL)), env=without_extra
    ),
}

OTHER_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108 - a file system in memory, where there is one


def on_another_file_system() -> bool:
    """Whether there is one to test with."""
    here = Path(tempfile.gettempdir())
    return OTHER_FILE_SYSTEM.is_dir() and OTHER_FILE_SYSTEM.stat().st_dev != here.stat().st_dev

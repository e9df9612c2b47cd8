"""Kill the generator before each file system operation. `test_kills.py` starts this program.

It forks once for each step, as it has no threads: what takes a process a second to import is imported once.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from codegen import atomic_replace
from codegen.__main__ import main
from codegen.vendor import vendor

PACKAGE = "acme"
EVENTS = ("open", "os.", "shutil.", "tempfile.", "ctypes.call", "subprocess.")
"""The audit events of file system operations."""

_seen: list[str] = []
_killed_at = -1


def watch(event: str, args: tuple[Any, ...]) -> None:
    if _killed_at < 0 or not event.startswith(EVENTS):
        return
    _seen.append(event)
    if len(_seen) == _killed_at:
        os.kill(os.getpid(), signal.SIGKILL)


def run(command: str, folder: Path, *, killed_at: int, renames: bool) -> list[str] | None:
    """Run a command in a new process that is killed before a step. Return the steps if it ended."""
    global _killed_at
    reading, writing = os.pipe()
    if not (child := os.fork()):
        if renames:
            vars(atomic_replace)["exchange"] = lambda one, other: False
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
        _killed_at = killed_at
        status = main(arguments(command, folder))
        _killed_at = -1
        with os.fdopen(writing, "w") as pipe:
            json.dump(_seen if status == 0 else [], pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        printed = pipe.read()
    os.waitpid(child, 0)
    found: list[str] | None = json.loads(printed) if printed else None
    return found


def arguments(command: str, folder: Path) -> list[str]:
    if command == "vendor":
        return ["vendor", str(folder / "out"), "--package", PACKAGE, "--source", str(folder / "new")]
    return ["generate", "--spec", str(folder / "new.json"), "--out", str(folder / "out" / PACKAGE)]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def reset(command: str, folder: Path, state: str) -> None:
    """Restore the old package, or remove it."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir()
    if state == "old":
        shutil.copytree(folder / f"{command}-old", folder / "out" / PACKAGE)


def killed(command: str, folder: Path, state: str, step: int, *, renames: bool, wanted: dict[str, bytes]) -> str:
    """Return the contents of the target after a kill before a step, and after a complete run."""
    reset(command, folder, state)
    before = contents(folder / "out" / PACKAGE)
    assert run(command, folder, killed_at=step, renames=renames) is None
    place = folder / "out" / PACKAGE
    found = contents(place)
    if found == wanted:
        word = "new"
    elif found == before and place.exists() == (state == "old"):
        word = "old"
    else:
        (left,) = (folder / "out").glob(f".{PACKAGE}.*")
        word = "set aside" if not place.exists() and contents(left / "old") == before else "lost"
    assert run(command, folder, killed_at=0, renames=renames)
    clean = [path.name for path in (folder / "out").iterdir()] == [PACKAGE] and contents(place) == wanted
    return word if clean else "not cleaned up"


def work(command: str, folder: Path, state: str, most: int, *, renames: bool) -> dict[str, Any]:
    """Kill one command before each step, and count the resulting states."""
    reset(command, folder, state)
    steps = run(command, folder, killed_at=0, renames=renames)
    assert steps, "the command failed"
    wanted = contents(folder / "out" / PACKAGE)
    chosen = list(range(1, len(steps) + 1))
    if len(steps) > most:
        # All around the renames, which put the package in its place, and a sample of the others.
        last = max(n for n, event in enumerate(steps, 1) if event in ("os.rename", "os.mkdir", "ctypes.call_function"))
        near = [n for n in chosen if last - 3 <= n <= last + 3]
        chosen = sorted({*near, *chosen[:: -(-len(steps) // most)], len(steps)})
    found: dict[str, int] = {}
    for step in chosen:
        word = killed(command, folder, state, step, renames=renames, wanted=wanted)
        found[word] = found.get(word, 0) + 1
    return {"steps": len(steps), "killed": len(chosen), "found": found}


if __name__ == "__main__":
    base = Path(sys.argv[1])
    if not (first := os.fork()):  # the tools are loaded in a child: a small process is forked faster
        from codegen.pipeline import generate

        generate(base / "old.json", base / "generate-old")
        generate(base / "new.json", base / "new")
        os._exit(0)
    os.waitpid(first, 0)
    vendor(base / "generate-old", base / "vendor", PACKAGE)
    shutil.copytree(base / "vendor" / PACKAGE, base / "vendor-old")
    sys.addaudithook(watch)
    if sys.argv[2] == "generate":
        import codegen.pipeline  # noqa: F401 - once, and not for each kill
    print(json.dumps(work(sys.argv[2], base, sys.argv[3], int(sys.argv[4]), renames=sys.argv[5] == "renames")))

"""`kill -9` at each step: the old package or the new one is in its place, and the next run cleans up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from codegen.pipeline import ROOT
from tests.codegen.building import STRING, document, obj, stress_in_full
from tests.stress.figures import FULL, figure

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")


def kill(folder: Path, command: str, state: str, most: int, *, renames: bool) -> dict[str, dict[str, int]]:
    """What was found after each kill."""
    for name, version in (("old", "1"), ("new", "2")):
        data = document({"T": obj("", a=STRING)} if name == "old" else {"U": obj("", b=STRING)})
        data["info"]["version"] = version
        (folder / f"{name}.json").write_text(json.dumps(data))
    (folder / "tmp").mkdir()
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "generated")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(folder / "tmp"),
    }
    program = [sys.executable, str(Path(__file__).with_name("killing.py")), str(folder)]
    program += [command, state, str(most), "renames" if renames else "exchange"]
    done = subprocess.run(program, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, dict[str, int]] = json.loads(done.stdout)
    figure(f"{command} killed ({state}{', two renames' if renames else ''})", json.dumps(found))
    return found


@pytest.mark.parametrize("state", ["absent", "old"])
@stress_in_full
def test_vendor_killed_at_any_step_leaves_the_old_copy_or_the_new_one(state: str, tmp_path: Path) -> None:
    """A copy is replaced in one step."""
    found = kill(tmp_path, "vendor", state, 10_000 if FULL else 8, renames=False)["found"]
    assert set(found) == {"old", "new"}


@stress_in_full
def test_generate_killed_at_any_step_leaves_the_old_package_or_the_new_one(tmp_path: Path) -> None:
    """The package is replaced in one step."""
    found = kill(tmp_path, "generate", "old", 300 if FULL else 2, renames=False)["found"]
    assert set(found) <= {"old", "new"}


@stress_in_full
def test_kill_between_two_renames_is_repaired_by_the_next_run(tmp_path: Path) -> None:
    """Where folders cannot be exchanged, the old copy is put back; it is never removed before the new one is there."""
    found = kill(tmp_path, "vendor", "old", 10_000 if FULL else 8, renames=True)["found"]
    assert set(found) == {"old", "new", "set aside"}
    assert found["set aside"] <= 2

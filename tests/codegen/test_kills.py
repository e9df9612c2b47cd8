"""A kill at any step leaves a complete package, and the next run cleans up."""

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
    """Return the states found after each kill."""
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
def test_vendor_killed_at_any_step_leaves_complete_copy(state: str, tmp_path: Path) -> None:
    """A killed run leaves the old copy or the new one."""
    found = kill(tmp_path, "vendor", state, 10_000 if FULL else 8, renames=False)["found"]
    assert set(found) == {"old", "new"}


@stress_in_full
def test_generate_killed_at_any_step_leaves_complete_package(tmp_path: Path) -> None:
    """A killed run leaves the old package or the new one."""
    found = kill(tmp_path, "generate", "old", 300 if FULL else 2, renames=False)["found"]
    assert set(found) <= {"old", "new"}


@stress_in_full
def test_kill_between_renames_is_repaired_by_next_run(tmp_path: Path) -> None:
    """Where folders cannot be exchanged, the next run restores the old copy."""
    found = kill(tmp_path, "vendor", "old", 10_000 if FULL else 8, renames=True)["found"]
    assert set(found) == {"old", "new", "set aside"}
    assert found["set aside"] <= 2

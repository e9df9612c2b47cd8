"""The output depends on the document alone, in any folder and with any settings, within seconds."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from codegen.pipeline import OUT, ROOT, SPEC, generate
from tests.codegen.building import contents, document, operation, stress_in_full
from tests.stress.figures import FULL, figure

HERE = Path(__file__).parent

LONGEST = 5
"""The time limit of a run in seconds."""

HOSTILE_PYPROJECT = """\
[tool.ruff]
line-length = 40
target-version = "py38"
[tool.ruff.format]
quote-style = "single"
indent-style = "tab"
[tool.ruff.lint]
select = ["ALL"]
[tool.black]
line-length = 30
[tool.isort]
force_single_line = true
[tool.datamodel-codegen]
use-annotated = true
snake-case-field = true
output-model-type = "pydantic_v2.BaseModel"
"""

AROUND: list[dict[str, str]] = [
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONHASHSEED": "2", "LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"},
    {"PYTHONHASHSEED": "3", "TZ": "America/St_Johns", "LC_ALL": "C.UTF-8"},
]


@pytest.fixture
def hostile_folder(tmp_path: Path) -> Path:
    """Return a folder with tool settings, in itself and above, that would change the output."""
    nest = tmp_path / "nest" / "deep"
    nest.mkdir(parents=True)
    for folder in (tmp_path, nest):
        (folder / "pyproject.toml").write_text(HOSTILE_PYPROJECT)
        (folder / "ruff.toml").write_text("line-length = 50\n")
        (folder / ".editorconfig").write_text("root = true\n[*]\nend_of_line = crlf\nindent_style = tab\n")
    return nest


@stress_in_full
def test_generate_environment_does_not_change_output(hostile_folder: Path) -> None:
    """Hash seed, locale, time zone, working directory and tool settings do not change the output."""
    spec, expected = (SPEC, contents(OUT)) if FULL else (HERE / "golden.yaml", contents(HERE / "golden"))
    around = AROUND if FULL else AROUND[:1]
    for n, environment in enumerate(around):
        out = hostile_folder / f"api{n}"
        command = [sys.executable, "-m", "codegen", "generate", "--spec", str(spec), "--out", str(out)]
        variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "", **environment}
        subprocess.run(command, cwd=hostile_folder, env=variables, check=True, capture_output=True)
        assert {name: text for name, text in contents(out).items() if name in expected} == expected
    figure("surroundings that change nothing", f"{len(around)} of other hash seed, locale, time zone and settings")


def test_generate_excluded_folders_are_formatted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag or a temporary folder with a name that ruff excludes, or that git ignores, does not change the output."""
    paths = {f"/{tag}": {"get": operation(f"{tag}.list", tags=[tag])} for tag in ("dist", "plan")}
    spec = tmp_path / "openapi.json"
    spec.write_text(json.dumps(document(paths=paths)))
    generate(spec, tmp_path / "here")
    temporary = tmp_path / ".nox" / "build"
    temporary.mkdir(parents=True)
    (temporary / ".git").mkdir()
    (temporary / ".gitignore").write_text("*\n")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    generate(spec, tmp_path / "there")
    found = contents(tmp_path / "here")
    assert contents(tmp_path / "there") == found
    dist, plan = (found[f"api/{tag}/{tag}_list.py"].lower() for tag in ("dist", "plan"))
    assert dist.replace(b"dist", b"plan") == plan


@stress_in_full
@pytest.mark.parametrize("command", ["check", "generate"])
def test_command_takes_less_than_five_seconds(command: str, tmp_path: Path) -> None:
    """The check and generate commands take less than five seconds."""
    if command == "generate" and not FULL:
        pytest.skip("does what check does, and a little more: with LETTA_STRESS=full only")
    out = OUT
    if command == "generate":
        out = tmp_path / "letta_api"
        generate(SPEC, out)
    arguments = [sys.executable, "-m", "codegen", command, "--out", str(out)]
    for _ in range(3 if FULL else 1):  # among other work a machine makes anything wait: the best of three counts
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True)
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        if wall < LONGEST:
            break
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    figure(f"{command}, all of it in a new process", f"{wall:.1f} s, {cpu:.1f} s of them computing")
    assert (wall if FULL else cpu) < LONGEST  # a sample looks at what this takes by itself

"""The excerpts in codegen/README.md equal the output, its commands exist and its examples run."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from ruff import find_ruff_bin  # type: ignore[import-untyped]  # it ships no types

from codegen.__main__ import main, make_parser
from codegen.pipeline import ROOT, SPEC
from letta_ext.testing import EmbeddedServer
from tests.codegen.building import stress_in_full
from tests.stress.figures import FULL, figure

README = ROOT / "codegen" / "README.md"
BLOCK = re.compile(r'```python title="([^"]+)"\n(.*?)```\n', re.DOTALL)
EXAMPLE = re.compile(r'```python title="service: ([^"]+)"\n(.*?)```\n', re.DOTALL)
PACKAGE = "acme.clients.letta"
COUNTED = re.compile(r"\| Python lines, all operations, to the nearest thousand \| ([\d,]+) \| ([\d,]+) \|")


def lines_below(folder: Path) -> int:
    return round(sum(len(path.read_text(encoding="utf-8").splitlines()) for path in folder.rglob("*.py")), -3)


def count_errors(tool: str, folder: Path) -> int:
    """Return the number of errors that strict mypy or pyright reports."""
    pytest.importorskip(tool)
    (folder.parent / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "pythonVersion": "3.11"}')
    options = {
        "mypy": ["--strict", "--no-incremental", "--config-file=", folder.name],
        "pyright": ["--pythonpath", sys.executable, "--project", "."],
    }
    command = [sys.executable, "-m", tool, *options[tool]]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)
    found = re.search(r"(\d+) errors?\b", done.stdout.strip().splitlines()[-1])
    assert found is not None, done.stdout[-2000:]
    return int(found[1])


def test_readme_excerpts_match_generated_code() -> None:
    """The excerpts of our package equal the generated code."""
    text = README.read_text(encoding="utf-8")
    ours = {title: code for title, code in BLOCK.findall(text) if not title.startswith(("stock", "service"))}
    assert len(ours) == 2
    for title, code in ours.items():
        emitted = (ROOT / title).read_text(encoding="utf-8")
        # An excerpt goes from its first line to the end of the file.
        start = code.splitlines(keepends=True)[0]
        wanted = start + emitted.partition(start)[2]
        text = text.replace(code, wanted)
    counted = COUNTED.search(text)
    assert counted is not None
    text = text.replace(counted[0], counted[0].replace(counted[2], f"{lines_below(ROOT / 'generated'):,}"))
    if os.environ.get("LETTA_WRITE_GOLDEN"):
        README.write_text(text, encoding="utf-8")
    assert README.read_text(encoding="utf-8") == text


@stress_in_full
def test_readme_stock_excerpts_match_stock_generator(tmp_path: Path) -> None:
    """The excerpts of the stock generator equal its output."""
    if not FULL:
        pytest.skip("runs the stock generator: with LETTA_STRESS=full only")
    text = README.read_text(encoding="utf-8")
    out = tmp_path / "stock"
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    ruff = str(Path(find_ruff_bin()).parent)
    done = subprocess.run(
        [*command, "--path", str(SPEC), "--output-path", str(out)],
        cwd=tmp_path,
        env={**os.environ, "PATH": os.pathsep.join([ruff, os.environ["PATH"]])},
        capture_output=True,
        text=True,
        check=True,
    )
    blocks = {title.removeprefix("stock: "): code for title, code in BLOCK.findall(text) if title.startswith("stock")}
    assert len(blocks) == 2
    for title, code in blocks.items():
        emitted = (out / title).read_text(encoding="utf-8")
        for piece in code.split("\n\n\n"):
            assert piece in emitted, title
    counted = COUNTED.search(text)
    assert counted is not None
    assert counted[1] == f"{lines_below(out):,}"
    removed = len(re.findall(r"^Unable to process schema", done.stdout + done.stderr, re.MULTILINE))
    assert f"| schemas dropped with a warning | {removed} | 0 |" in text
    errors = (count_errors("mypy", out), count_errors("pyright", out))
    assert f"| errors of strict mypy, strict pyright | {errors[0]}, {errors[1]} | 0, 0 |" in text
    figure("lines of Python, stock and ours", f"{counted[1]} and {counted[2]}; {removed} schemas dropped by stock")


def test_readme_commands_are_valid() -> None:
    """The parser accepts the documented commands."""
    given = re.findall(r"^\$ python -m codegen (.*?)(?:  +#.*)?$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(given) >= 5
    for arguments in given:
        assert isinstance(make_parser().parse_args(shlex.split(arguments)), argparse.Namespace)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a service with a vendored package and the documented examples."""
    folder = tmp_path_factory.mktemp("service")
    assert main(["vendor", str(folder), "--package", PACKAGE]) == 0
    for name, code in EXAMPLE.findall(README.read_text(encoding="utf-8")):
        (folder / name).write_text(code, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["events.py", "async_events.py"])
def test_readme_service_reads_events(name: str, service: Path) -> None:
    """The documented example runs against a server, and its function has four lines."""
    code = (service / name).read_text(encoding="utf-8")
    body = re.search(r"def send\(.*\n((?:    .*\n)+)", code)
    assert body is not None
    assert len(body[1].splitlines()) <= 4
    with EmbeddedServer() as server:
        command = [sys.executable, name, server.base_url, server.conversation_id, "Tell me six words."]
        done = subprocess.run(command, cwd=service, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.split()) >= 3


@stress_in_full
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_readme_service_passes_strict_checkers(tool: str, service: Path) -> None:
    """The type of an event is known without an annotation."""
    pytest.importorskip(tool)
    (service / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "pythonVersion": "3.11"}')
    options = {
        "mypy": ["--strict", "--no-incremental", "--explicit-package-bases", "--config-file=", "."],
        "pyright": ["--pythonpath", sys.executable, "--project", "."],
    }
    command = [sys.executable, "-m", tool, *options[tool]]
    done = subprocess.run(command, cwd=service, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]

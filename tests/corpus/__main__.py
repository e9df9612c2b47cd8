"""Generates the public documents and prints a table of the figures: `python -m tests.corpus FOLDER [NAME ...]`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import openapi_python_client
from attrs import frozen

from codegen.document import METHODS, load
from tests.corpus.documents import DOCUMENTS, Source

COLUMNS: Final = (
    "document",
    "revision",
    "operations",
    "strict",
    "lenient",
    "stock",
    "skips",
    "seconds",
    "MiB",
    "import",
    "mypy",
    "pyright",
    "examples",
)


@frozen
class Run:
    """A finished command: its exit status, output, seconds of the processor and peak memory in MiB."""

    status: int
    output: str
    seconds: float
    memory: float


def run(*command: str, folder: Path) -> Run:
    """Run a command of this Python in a folder, and measure it."""
    log = folder / "output.txt"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(folder)])}
    with log.open("w", encoding="utf-8") as out:
        child = subprocess.Popen(
            [sys.executable, *command], cwd=folder, stdout=out, stderr=subprocess.STDOUT, env=environment
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    text = log.read_text(encoding="utf-8", errors="replace")
    return Run(child.returncode, text, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def operations_of(document: Path) -> int:
    """Return the number of operations of a document."""
    return sum(method in item for item in load(document).get("paths", {}).values() for method in METHODS)


def generated(found: Run) -> int:
    """Return the number of operations in the output of a run of the generator."""
    match = re.search(r": (\d+) operations?,", found.output)
    return int(match[1]) if match and not found.status else 0


def stock(document: Path, folder: Path) -> int:
    """Return the number of operations that openapi-python-client keeps by itself."""
    source = f"import sys; sys.path.insert(0, {str(Path(openapi_python_client.__file__).parent.parent)!r})"
    command = "from openapi_python_client.cli import app; app()"
    arguments = ["generate", "--path", str(document), "--output-path", str(folder / "stock"), "--meta", "none"]
    run("-c", f"{source}; {command}", *arguments, "--overwrite", folder=folder)
    found = (folder / "stock" / "api").rglob("*.py")
    return sum(path.name != "__init__.py" for path in found)


def measure(source: Source, cache: Path, work: Path) -> list[str]:
    """Return the row of a document."""
    document, folder = source.fetch(cache), work / source.name
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / "package_api"
    command = ("-m", "codegen", "generate", "--spec", str(document), "--out", str(package), "--force")
    strict = run(*command, folder=folder)
    lenient = run(*command, "--lenient", folder=folder)
    (folder / "lenient.txt").write_text(lenient.output, encoding="utf-8")
    skips = re.search(r"(\d+) parts? skipped", lenient.output)
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "include": [package.name]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    walk = f"import pkgutil, importlib, {package.name} as p\n" + (
        "for m in pkgutil.walk_packages(p.__path__, p.__name__ + '.'): importlib.import_module(m.name)"
    )
    imported = run("-c", walk, folder=folder)
    mypy = run("-m", "mypy", "--strict", "--config-file=", "--no-incremental", package.name, folder=folder)
    pyright = run("-m", "pyright", "--pythonpath", sys.executable, "--project", ".", folder=folder)
    examples = run("-m", "tests.corpus.examples", str(document), str(package), folder=folder)
    (folder / "errors.txt").write_text("\n".join(each.output for each in (imported, mypy, pyright, examples)))
    return [
        source.name,
        f"{source.package} {source.version}",
        str(operations_of(document)),
        str(generated(strict)),
        str(generated(lenient)),
        str(stock(document, folder)),
        skips[1] if skips else "0",
        f"{lenient.seconds:.0f}",
        f"{lenient.memory:.0f}",
        "ok" if not imported.status else "fails",
        _errors(mypy),
        _errors(pyright),
        " of ".join(examples.output.split()[-2:]) if not examples.status else "fails",
    ]


def _errors(found: Run) -> str:
    match = re.search(r"(\d+) errors?\b", found.output)
    return "0" if "no issues found" in found.output else match[1] if match else "fails"


def main(folder: str, *names: str) -> None:
    """Print the rows of all documents, or of the named ones, as a Markdown table."""
    cache, work = Path(folder).resolve() / "documents", Path(folder).resolve() / "work"
    cache.mkdir(parents=True, exist_ok=True)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for source in DOCUMENTS:
        if not names or source.name in names:
            print(f"| {' | '.join(measure(source, cache, work))} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

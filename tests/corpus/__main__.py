"""Generates the public documents and prints a table of the figures: `python -m tests.corpus FOLDER [NAME ...]`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

import openapi_python_client
from attrs import frozen

from tests.corpus.documents import DOCUMENTS, Source

COLUMNS: Final = (
    "document",
    "revision",
    "operations",
    "strict",
    "lenient",
    "stock",
    "streams",
    "skips",
    "seconds",
    "MiB",
    "import",
    "mypy",
    "pyright",
    "examples",
)


LONGEST: Final = 60
"""The largest number of seconds of the processor."""

WORKERS: Final = 2
"""The number of documents at a time."""


@frozen
class Run:
    """A finished command: its exit status, output, seconds of the processor and peak memory in MiB."""

    status: int
    output: str
    seconds: float
    memory: float


MEASURE: Final = """
import json, os, sys
usage, *command = sys.argv[1:]
_, status, used = os.wait4(os.posix_spawn(command[0], command, os.environ), 0)
with open(usage, "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], file)
"""
"""A small program between, since the peak memory of a process begins with that of the process that starts it."""


def run(*command: str, folder: Path) -> Run:
    """Run a command of this Python in a folder, and measure it."""
    log, usage = folder / "output.txt", folder / "usage.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(folder)])}
    measured = [sys.executable, "-I", "-S", "-c", MEASURE, str(usage), sys.executable, *command]
    with log.open("w", encoding="utf-8") as out:
        subprocess.run(measured, cwd=folder, stdout=out, stderr=subprocess.STDOUT, env=environment, check=True)
    status, seconds, memory = json.loads(usage.read_text(encoding="utf-8"))
    return Run(status, log.read_text(encoding="utf-8", errors="replace"), seconds, memory)


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


def measure(source: Source, cache: Path, work: Path) -> dict[str, str]:
    """Return the row of a document, which is downloaded."""
    document, folder = source.fetch(cache), work / source.name
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / "package_api"
    command = ("-m", "codegen", "generate", "--spec", str(document), "--out", str(package), "--force")
    strict = run(*command, folder=folder)
    lenient = run(*command, "--lenient", folder=folder)
    (folder / "lenient.txt").write_text(lenient.output, encoding="utf-8")
    (folder / "strict.txt").write_text(strict.output, encoding="utf-8")
    skips = re.search(r"(\d+) parts? skipped", lenient.output)
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "include": [package.name]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    walk = f"import pkgutil, importlib, {package.name} as p\n" + (
        "for m in pkgutil.walk_packages(p.__path__, p.__name__ + '.'): importlib.import_module(m.name)"
    )
    imported = run("-c", walk, folder=folder)
    # The documents of a thread share a cache, for the libraries that each package imports.
    checks = ("--strict", "--config-file=", f"--cache-dir={work.parent / f'mypy-{threading.get_ident()}'}")
    mypy = run("-m", "mypy", *checks, package.name, folder=folder)
    pyright = run("-m", "pyright", "--pythonpath", sys.executable, "--project", ".", folder=folder)
    examples = run("-m", "tests.corpus.examples", str(document), str(package), folder=folder)
    (folder / "errors.txt").write_text("\n".join(each.output for each in (imported, mypy, pyright, examples)))
    counts = examples.output.splitlines()[-1].split() if not examples.status else []
    operations, good, valid, invalid, streams, of = counts if len(counts) == 6 else ["0", *["fails"] * 5]
    values = (
        source.name,
        f"{source.package} {source.version}",
        operations,
        str(generated(strict)),
        str(generated(lenient)),
        str(stock(document, folder)),
        f"{streams} of {of}",
        skips[1] if skips else "0",
        f"{lenient.seconds:.0f}",
        f"{lenient.memory:.0f}",
        "ok" if not imported.status else "fails",
        _errors(mypy),
        _errors(pyright),
        f"{good} of {valid}" + (f", {invalid} invalid" if invalid != "0" else ""),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _errors(found: Run) -> str:
    match = re.search(r"(\d+) errors?\b", found.output)
    return "0" if "no issues found" in found.output else match[1] if match else "fails"


def shortfalls(row: Mapping[str, str]) -> list[str]:
    """Return what a row lacks: each document is generated as a whole, in a minute, and its package has no errors."""
    numbers = {name: int(row[name]) for name in ("operations", "lenient", "stock", "seconds")}
    wrong = {
        "fewer operations than stock": numbers["lenient"] < numbers["stock"],
        "operations left out": numbers["lenient"] < numbers["operations"],
        "over a minute": numbers["seconds"] > LONGEST,
        "does not import": row["import"] != "ok",
        "errors of mypy": row["mypy"] != "0",
        "errors of pyright": row["pyright"] != "0",
        "event streams left out": not re.match(r"(\d+) of \1$", row["streams"]),
        "examples that change": not re.match(r"(\d+) of \1\b", row["examples"]),
    }
    return [reason for reason, is_wrong in wrong.items() if is_wrong]


def main(folder: str, *names: str) -> int:
    """Print the rows of all documents, or of the named ones, as a Markdown table, and return the exit status."""
    cache, work = Path(folder).resolve() / "documents", Path(folder).resolve() / "work"
    cache.mkdir(parents=True, exist_ok=True)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    lacking: list[str] = []
    sources = [source for source in DOCUMENTS if not names or source.name in names]
    for source in sources:
        source.fetch(cache)
    with ThreadPoolExecutor(WORKERS) as pool:
        for done in as_completed([pool.submit(measure, source, cache, work) for source in sources]):
            row = done.result()
            print(f"| {' | '.join(row.values())} |", flush=True)
            lacking += [f"{row['document']}: {reason}" for reason in shortfalls(row)]
    print("\n".join(["", *(lacking or ["every document is generated as a whole, without errors"])]))
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

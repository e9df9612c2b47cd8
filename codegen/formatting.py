"""Formats the output with the pinned ruff, whatever configuration lies around."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ruff import find_ruff_bin  # type: ignore[import-untyped]  # it ships no types

from codegen.faults import GeneratorFailure

FIXED = ("--isolated", "--no-cache", "--target-version=py311", "--line-length=120")


def format_package(folder: Path) -> None:
    """Sorts and merges imports, drops unused ones, formats.

    Raises:
        GeneratorFailure: ruff cannot read a file, which means that a template wrote something that is no Python.
    """
    _ruff("check", *FIXED, "--fix-only", "--quiet", "--select=I,F401", str(folder))
    _ruff("format", *FIXED, "--config=format.line-ending='lf'", str(folder))
    # What could not be parsed is passed over by --fix-only: ask once more, for syntax alone.
    _ruff("check", *FIXED, "--quiet", "--select=E9", str(folder))


def _ruff(*arguments: str) -> None:
    done = subprocess.run([find_ruff_bin(), *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - our own ruff, our own arguments
    if done.returncode:
        raise GeneratorFailure(f"ruff {arguments[0]}: {done.stdout}{done.stderr}".strip())

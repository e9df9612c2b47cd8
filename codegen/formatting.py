"""Formats the output with the pinned ruff, whatever configuration lies around."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ruff import find_ruff_bin  # type: ignore[import-untyped]  # it ships no types

from codegen.errors import GeneratorFailure

FIXED = ("--isolated", "--no-cache", "--target-version=py311", "--line-length=120")


def format_package(folder: Path) -> None:
    """Sorts and merges imports, drops unused ones, formats.

    Raises:
        GeneratorFailure: a file is no Python, or uses a name that it does not have.
    """
    _ruff("check", *FIXED, "--fix-only", "--quiet", "--select=I,F401", str(folder))
    _ruff("format", *FIXED, "--config=format.line-ending='lf'", str(folder))
    # What could not be parsed is passed over by --fix-only: ask for syntax again, and for names that nothing defines.
    _ruff("check", *FIXED, "--quiet", "--ignore-noqa", "--select=E9,F811,F821,F822,F823", str(folder))


def _ruff(*arguments: str) -> None:
    done = subprocess.run([find_ruff_bin(), *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - our own ruff, our own arguments
    if done.returncode:
        raise GeneratorFailure(f"ruff {arguments[0]}: {done.stdout}{done.stderr}".strip())

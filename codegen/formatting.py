"""Formats the output with the pinned ruff, independent of configuration files."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ruff import find_ruff_bin  # type: ignore[import-untyped]  # ruff ships no types

from codegen.errors import GeneratorFailure

FIXED = ("--isolated", "--no-cache", "--target-version=py311", "--line-length=120")


def format_package(folder: Path) -> None:
    """Sort and merge imports, remove unused imports, and format.

    Raises:
        GeneratorFailure: If a file is not valid Python or uses an undefined name.
    """
    _ruff("check", *FIXED, "--fix-only", "--quiet", "--select=I,F401", str(folder))
    _ruff("format", *FIXED, "--config=format.line-ending='lf'", str(folder))
    # --fix-only skips files with syntax errors, so check syntax and undefined names separately.
    _ruff("check", *FIXED, "--quiet", "--ignore-noqa", "--select=E9,F811,F821,F822,F823", str(folder))


def _ruff(*arguments: str) -> None:
    done = subprocess.run([find_ruff_bin(), *arguments], capture_output=True, text=True, check=False)  # noqa: S603  # constant arguments
    if done.returncode:
        raise GeneratorFailure(f"ruff {arguments[0]}: {done.stdout}{done.stderr}".strip())

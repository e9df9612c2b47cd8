"""Formats the output with the pinned ruff, independent of configuration files."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ruff import find_ruff_bin  # type: ignore[import-untyped]  # ruff ships no types

from codegen.errors import GeneratorFailure

FIXED = (
    *("--isolated", "--no-cache", "--target-version=py311", "--line-length=120"),
    # By default, ruff skips folders such as `build` and `dist`, and those that git ignores.
    *("--no-respect-gitignore", "--config=exclude=[]"),
)

IMPORTS = "I,F401"
ERRORS = "E9,F811,F821,F822,F823"
"""Syntax errors and undefined names."""


def format_packages(*folders: Path) -> None:
    """Sort and merge imports, remove unused imports, and format.

    Raises:
        GeneratorFailure: If a file is not valid Python or uses an undefined name.
    """
    given = [str(folder) for folder in folders]
    # Packages import names for their users, which ruff reports and does not remove.
    ignored = "--per-file-ignores=__init__.py:F401"
    selected = (f"--select={IMPORTS},{ERRORS}", f"--fixable={IMPORTS}", ignored)
    _ruff("check", *FIXED, "--fix", "--quiet", "--ignore-noqa", *selected, *given)
    _ruff("format", *FIXED, "--quiet", "--config=format.line-ending='lf'", *given)


def _ruff(*arguments: str) -> None:
    done = subprocess.run([find_ruff_bin(), *arguments], capture_output=True, text=True, check=False)  # noqa: S603  # constant arguments
    if done.returncode:
        raise GeneratorFailure(f"ruff {arguments[0]}: {done.stdout}{done.stderr}".strip())

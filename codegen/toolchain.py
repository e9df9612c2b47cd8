"""The pinned versions of the tools that affect the output."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version

from codegen.errors import InstallationError
from codegen.paths import ROOT

INSTALL = "Run `nox -s generate`, or with pip 25.1 or newer `pip install -e . --group codegen`."

_PINNED = re.compile(r"([A-Za-z0-9._-]+)==([^\s;]+)")


def pinned_tools() -> dict[str, str]:
    """Return the version of each tool that the dependency group `codegen` pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = map(_PINNED.match, project["dependency-groups"]["codegen"])
    return {match[1]: match[2] for match in found if match is not None}


def require_tools() -> None:
    """Check that each pinned tool is installed in its pinned version.

    Raises:
        InstallationError: If a tool is missing or has another version. The message names all of them.
    """
    wrong: list[str] = []
    for tool, wanted in pinned_tools().items():
        try:
            found = version(tool)
        except PackageNotFoundError:
            wrong.append(f"{tool} {wanted} is required and is not installed")
            continue
        if found != wanted:
            wrong.append(f"{tool} {wanted} is required and {found} is installed")
    if wrong:
        raise InstallationError("\n".join([*wrong, INSTALL]))

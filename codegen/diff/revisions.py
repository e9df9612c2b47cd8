"""Loads a document from a file or a git revision."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from codegen.document import load, parse
from codegen.errors import SpecError


def load_revision(what: str, *, default: Path, root: Path) -> dict[str, Any]:
    """Load a document: a file, a revision (`HEAD~1`), or a revision with a path (`HEAD~1:spec/openapi.yaml`).

    Args:
        what: The user's input. Files take precedence.
        default: The path for a revision without a path.
        root: The checkout.

    Raises:
        SpecError: If the file or revision does not exist, or is not a document.
    """
    if Path(what).is_file():
        return load(Path(what))
    revision, _, path = what.partition(":")
    path = path or default.relative_to(root).as_posix()
    # `--end-of-options`: the input may look like an option.
    command = ["git", "-C", str(root), "show", "--end-of-options", f"{revision}:{path}"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # git with validated arguments
    except OSError as fault:
        raise SpecError(what, f"is not a file, and git cannot be run: {fault}") from fault
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["unknown revision"]
        raise SpecError(what, f"is neither a file nor a revision: {reason[0]}")
    return parse(done.stdout.decode("utf-8", errors="replace"), what)

"""Gets a document from a file, or as it was in a git revision."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from codegen.document import load, parse
from codegen.errors import SpecError


def load_revision(what: str, *, default: Path, root: Path) -> dict[str, Any]:
    """The document that `what` names: a file, a revision (`HEAD~1`), or one with a path (`HEAD~1:spec/openapi.yaml`).

    Args:
        what: as the user gave it. A file is preferred where one is there.
        default: the file of a revision without a path.
        root: the checkout whose git is asked.

    Raises:
        SpecError: there is no such file and no such revision, or it holds no document.
    """
    if Path(what).is_file():
        return load(Path(what))
    revision, _, path = what.partition(":")
    path = path or default.relative_to(root).as_posix()
    # `--end-of-options`: a revision that looks like an option is none.
    command = ["git", "-C", str(root), "show", "--end-of-options", f"{revision}:{path}"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - git, with our own arguments
    except OSError as fault:
        raise SpecError(what, f"is no file, and git cannot be asked: {fault}") from fault
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["git does not know it"]
        raise SpecError(what, f"is neither a file nor a revision: {reason[0]}")
    return parse(done.stdout.decode("utf-8", errors="replace"), what)

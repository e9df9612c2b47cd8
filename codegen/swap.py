"""Puts a finished folder in place of another in one step, so that nobody ever sees half of one."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from codegen.manifest import NAME


def swap(package: Path, out: Path) -> None:
    """Puts a copy of `package` where `out` was. Where that fails, `out` is what it was before.

    Raises:
        FileExistsError: `out` holds something that the generator did not make.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise FileExistsError(f"{out} is no folder; give another")
    if out.exists() and any(out.iterdir()) and not (out / NAME).exists():
        raise FileExistsError(f"{out} holds something that the generator did not make; give another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    # Within one folder a rename copies nothing and either happens or does not.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
        fresh, old = Path(folder) / "fresh", Path(folder) / "old"
        shutil.copytree(package, fresh)
        if not out.exists():
            fresh.rename(out)
            return
        os.replace(out, old)
        try:
            os.replace(fresh, out)
        except BaseException:
            os.replace(old, out)
            raise

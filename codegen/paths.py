"""Where the checkout has its document and its package."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "spec" / "openapi.yaml"
OUT = ROOT / "generated" / "letta_api"
CLIENT = ROOT / "letta_ext" / "resources"
MIXINS = ROOT / "letta_ext" / "_async" / "mixins"


def client_of(out: Path) -> Path | None:
    """Return the folder of the resource classes that belong to a package: only that of the checkout has any."""
    return CLIENT if Path(os.path.realpath(out)) == OUT else None

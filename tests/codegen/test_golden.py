"""One small project, byte for byte.

After a wanted change: `LETTA_WRITE_GOLDEN=1 pytest tests/codegen/test_golden.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

from codegen.__main__ import main
from codegen.pipeline import drift

HERE = Path(__file__).parent
SPEC, GOLDEN = HERE / "golden.yaml", HERE / "golden"


def test_it_is_what_it_was() -> None:
    if os.environ.get("LETTA_WRITE_GOLDEN"):
        main(["generate", "--spec", str(SPEC), "--out", str(GOLDEN), "--force"])
    assert drift(SPEC, GOLDEN) == []


def test_it_holds_something_of_each_kind() -> None:
    names = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*.py")}
    assert {"models/thing.py", "unions/pet.py", "api/things/things_create.py", "params.py", "enums.py"} <= names

"""The golden package is compared byte for byte.

After a wanted change: `LETTA_WRITE_GOLDEN=1 pytest tests/codegen/test_golden.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codegen.__main__ import main
from codegen.openapi_client_driver import RUNTIME, TEMPLATES
from codegen.pipeline import OUT, drift

HERE = Path(__file__).parent
SPEC, GOLDEN = HERE / "golden.yaml", HERE / "golden"

COPIED = sorted(path.name for path in RUNTIME.glob("*.py") if path.name != "__init__.py")
"""The modules that are the same in every package, which the golden one omits."""


def test_golden_package_is_unchanged() -> None:
    """The package of the golden document is unchanged byte for byte."""
    if os.environ.get("LETTA_WRITE_GOLDEN"):
        main(["generate", "--spec", str(SPEC), "--out", str(GOLDEN), "--force"])
        for name in COPIED:
            (GOLDEN / name).unlink(missing_ok=True)
    absent = {f"{name}: missing" for name in COPIED}
    assert [difference for difference in drift(SPEC, GOLDEN) if difference not in absent] == []


def test_golden_package_covers_each_module_kind() -> None:
    """The golden package has a module of each kind."""
    names = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*.py")}
    assert {"models/gadget.py", "unions/pet.py", "api/gadgets/gadgets_create.py", "params.py", "enums.py"} <= names


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.j*")), ids=lambda path: path.name)
def test_template_is_short(path: Path) -> None:
    """A template has at most 150 lines; code that is equal in every package is in `codegen/runtime`."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 150


UNUSED = ("bodies.py", "matching.py", "styles.py")
"""The modules for parts that the document does not have."""


def test_runtime_module_is_copied_unchanged() -> None:
    """A runtime module is copied byte for byte below the header, if the package needs it."""
    assert len(COPIED) >= 10
    assert not any((OUT / name).exists() for name in UNUSED)
    for name in set(COPIED) - {*UNUSED}:
        copy = (OUT / name).read_text(encoding="utf-8").partition("\n")[2]
        assert copy == (RUNTIME / name).read_text(encoding="utf-8")

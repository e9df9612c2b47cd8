"""The package imports modules on demand and exports every name of `__all__`."""

from __future__ import annotations

import subprocess
import sys

import letta_ext


def test_all_names_are_importable() -> None:
    """Every name of `__all__` is an attribute and is listed by `dir()`."""
    assert [name for name in letta_ext.__all__ if not hasattr(letta_ext, name)] == []
    assert set(letta_ext.__all__) <= set(dir(letta_ext))


def test_import_of_package_does_not_import_httpx() -> None:
    """`import letta_ext` does not import httpx; using the client does."""
    code = "import sys, letta_ext; print('httpx' in sys.modules); letta_ext.Letta; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]

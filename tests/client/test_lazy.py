"""The package loads its modules when they are needed, and has all the names that it says it has."""

from __future__ import annotations

import subprocess
import sys

import letta_ext


def test_every_name_is_there() -> None:
    assert [name for name in letta_ext.__all__ if not hasattr(letta_ext, name)] == []
    assert set(letta_ext.__all__) <= set(dir(letta_ext))


def test_importing_the_package_loads_no_client() -> None:
    code = "import sys, letta_ext; print('httpx' in sys.modules); letta_ext.Letta; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]

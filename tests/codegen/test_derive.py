"""Derivation of the sync modules and their drift check."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from codegen.derive_sync import derive
from codegen.errors import OccupiedError
from codegen.manifest import read_manifest
from codegen.paths import OUT, ROOT
from codegen.pipeline import drift, generate

SPEC = Path(__file__).with_name("golden.yaml")
MODULE = '''"""Reads."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx


async def read(response: httpx.Response, done: Callable[[], Awaitable[int]]) -> AsyncIterator[bytes]:
    """Read a body."""
    async for piece in response.aiter_bytes():
        yield piece
    await done()
'''
SYNC = '''"""Reads."""

from collections.abc import Callable, Iterator

import httpx


def read(response: httpx.Response, done: Callable[[], int]) -> Iterator[bytes]:
    """Read a body."""
    for piece in response.iter_bytes():
        yield piece
    done()
'''


def contents(folder: Path) -> dict[str, str]:
    """Return the files below a folder by relative path."""
    found = (path for path in folder.rglob("*") if path.suffix in (".py", ".json"))  # no compiled ones
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in found}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a client of one async module and its derived modules."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "client" / "_async").mkdir(parents=True)
    (folder / "client" / "_async" / "raw_body.py").write_text(MODULE, "utf-8")
    generate(SPEC, folder / "api", folder / "client" / "resources")
    return folder


@pytest.fixture
def client(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the client that a test may edit."""
    return shutil.copytree(made, tmp_path / "made") / "client"


def test_derive_library_matches_sync_modules(tmp_path: Path) -> None:
    """The sync modules of the library equal those derived from its async modules."""
    count = derive(ROOT / "letta_ext" / "_async", tmp_path / "_sync", read_manifest(OUT))
    found, there = contents(tmp_path / "_sync"), contents(ROOT / "letta_ext" / "_sync")
    assert len(found) == count > 15
    assert found == {name: text for name, text in there.items() if "__pycache__" not in name}


def test_derive_async_module_emits_sync_module(client: Path) -> None:
    """Async code becomes sync code below a header that names its source."""
    header, _, code = (client / "_sync" / "raw_body.py").read_text("utf-8").partition("\n")
    assert "Do not edit: change `letta_ext/_async/raw_body.py` instead." in header
    assert code == SYNC


def test_drift_of_sync_modules_is_reported(client: Path) -> None:
    """Edited, missing and foreign sync modules are reported."""
    out, resources = client.parent / "api", client / "resources"
    (client / "_async" / "lists.py").write_text('"""Lists."""\n', "utf-8")
    (client / "_sync" / "raw_body.py").write_text(SYNC, "utf-8")
    (client / "_sync" / "own.py").write_text('"""Own."""\n', "utf-8")
    assert [line for line in drift(SPEC, out, resources) if "manifest" not in line] == [
        "_sync/lists.py: missing",
        "_sync/own.py: not made by the generator",
        "_sync/raw_body.py: differs",
    ]


def test_generate_edited_sync_module_is_kept(client: Path) -> None:
    """An edited sync module is not replaced without --force."""
    (client / "_sync" / "raw_body.py").write_text(SYNC, "utf-8")
    with pytest.raises(OccupiedError, match=r"raw_body\.py: edited"):
        generate(SPEC, client.parent / "api", client / "resources")
    assert (client / "_sync" / "raw_body.py").read_text("utf-8") == SYNC

"""Deriving the sync modules of a client: what is written, and what the drift check names."""

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
    """The files below a folder."""
    found = (path for path in folder.rglob("*") if path.suffix in (".py", ".json"))  # no compiled ones
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in found}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a client of one async module, and what is made beside it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "client" / "_async").mkdir(parents=True)
    (folder / "client" / "_async" / "raw_body.py").write_text(MODULE, "utf-8")
    generate(SPEC, folder / "api", folder / "client" / "resources")
    return folder


@pytest.fixture
def client(made: Path, tmp_path: Path) -> Path:
    """A copy of that client, which a test may edit."""
    return shutil.copytree(made, tmp_path / "made") / "client"


def test_the_sync_modules_of_the_client_are_those_of_its_async_modules(tmp_path: Path) -> None:
    count = derive(ROOT / "letta_ext" / "_async", tmp_path / "_sync", read_manifest(OUT))
    found, there = contents(tmp_path / "_sync"), contents(ROOT / "letta_ext" / "_sync")
    assert len(found) == count > 15
    assert found == {name: text for name, text in there.items() if "__pycache__" not in name}


def test_async_code_becomes_sync_code_with_a_header(client: Path) -> None:
    header, _, code = (client / "_sync" / "raw_body.py").read_text("utf-8").partition("\n")
    assert "Do not edit: change `letta_ext/_async/raw_body.py` instead." in header
    assert code == SYNC


def test_the_drift_check_names_sync_modules(client: Path) -> None:
    """One that was edited, one that is missing, and one that has no async module."""
    out, resources = client.parent / "api", client / "resources"
    (client / "_async" / "lists.py").write_text('"""Lists."""\n', "utf-8")
    (client / "_sync" / "raw_body.py").write_text(SYNC, "utf-8")
    (client / "_sync" / "own.py").write_text('"""Own."""\n', "utf-8")
    assert [line for line in drift(SPEC, out, resources) if "manifest" not in line] == [
        "_sync/lists.py: missing",
        "_sync/own.py: not made by the generator",
        "_sync/raw_body.py: differs",
    ]


def test_edited_sync_modules_are_not_replaced_without_force(client: Path) -> None:
    (client / "_sync" / "raw_body.py").write_text(SYNC, "utf-8")
    with pytest.raises(OccupiedError, match=r"raw_body\.py: edited"):
        generate(SPEC, client.parent / "api", client / "resources")
    assert (client / "_sync" / "raw_body.py").read_text("utf-8") == SYNC

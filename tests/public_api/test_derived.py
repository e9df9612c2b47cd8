"""Sync code is derived from async code, so that no more than a few lines of it are written twice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import letta_ext
from codegen.unasync import sync_name, to_sync

LIBRARY: Final = Path(letta_ext.__file__).parent
GENERATED: Final = {"_sync", "resources", "testing"}
"""Folders that are generated, and the server, which is async alone."""

MOST: Final = 12
"""Lines in a row that sync and async code may share where both are written by hand."""


def written() -> list[Path]:
    """The modules that are written by hand."""
    return [file for file in LIBRARY.rglob("*.py") if file.relative_to(LIBRARY).parts[0] not in GENERATED]


def lines_of(text: str) -> list[str]:
    """The lines of code: without indentation, empty lines, and those that open or close a docstring alone."""
    return [line.strip() for line in text.splitlines() if line.strip() not in ("", '"""')]


def shared(one: list[str], other: list[str]) -> int:
    """The length of the longest run of lines that both have."""
    longest, ending = 0, [0] * (len(other) + 1)
    for line in one:
        ending = [0, *(ending[place] + 1 if line == there else 0 for place, there in enumerate(other))]
        longest = max(longest, *ending)
    return longest


def parts(file: Path) -> Iterator[tuple[str, bool]]:
    """The classes and functions of a module, and whether each is of async code."""
    text = file.read_text("utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            source = ast.get_source_segment(text, node) or ""
            kinds = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
            inside = any(isinstance(each, kinds) for each in ast.walk(node))
            yield source, inside or sync_name(node.name) != node.name or file.name.startswith("async_")


def test_sync_and_async_code_that_is_written_by_hand_shares_no_long_run_of_lines() -> None:
    """Each async class or function, after token substitution, against each other one that is written by hand."""
    found = [part for file in written() for part in parts(file)]
    asynchronous = [(source, lines_of(to_sync(source))) for source, is_async in found if is_async]
    others = [(source, lines_of(source)) for source, is_async in found if not is_async]
    assert len(asynchronous) > 60
    assert len(others) > 300
    runs = [(shared(one, other), source) for source, one in asynchronous for _, other in others]
    longest, source = max(runs)
    assert longest <= MOST, f"{longest} lines are shared by sync code and\n{source}"


@pytest.mark.parametrize(
    ("code", "derived"),
    [
        ("async def f() -> None:\n    await g()\n", "def f() -> None:\n    g()\n"),
        ("async for x in aiter(y): await z.aclose()\n", "for x in iter(y): z.close()\n"),
        ("f: Callable[[], Awaitable[list[AsyncPage[T]]]]\n", "f: Callable[[], list[SyncPage[T]]]\n"),
        ("x: AsyncGenerator[int, None]  # noqa: ASYNC109  # why\n", "x: Generator[int, None]  \n"),
        (
            '"""For an `async with` block of `AsyncStream`, from any task."""\n',
            '"""For a `with` block of `Stream`, from any thread."""\n',
        ),
        ("from ..async_primitives import async_raw, AsyncGuard\n", "from ..sync_primitives import raw, Guard\n"),
        ("raise StopAsyncIteration\n", "raise StopIteration\n"),
        ("asynchronous, AsyncioError = task, 1\n", "asynchronous, AsyncioError = task, 1\n"),
    ],
)
def test_tokens_are_substituted(code: str, derived: str) -> None:
    assert to_sync(code) == derived

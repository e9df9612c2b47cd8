"""Sync code is derived from async code, so that few lines are written twice."""

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
"""Generated packages, and the server, which has no sync version."""

MAX_SHARED_LINES: Final = 12
"""The maximum number of consecutive lines that handwritten sync and async code may share."""


def handwritten_modules() -> list[Path]:
    """Return the handwritten modules."""
    return [file for file in LIBRARY.rglob("*.py") if file.relative_to(LIBRARY).parts[0] not in GENERATED]


def lines_of(text: str) -> list[str]:
    """Return the lines of code without indentation, empty lines and lone docstring quotes."""
    return [line.strip() for line in text.splitlines() if line.strip() not in ("", '"""')]


def longest_common_run(one: list[str], other: list[str]) -> int:
    """Return the length of the longest common run of lines."""
    longest, ending = 0, [0] * (len(other) + 1)
    for line in one:
        ending = [0, *(ending[place] + 1 if line == there else 0 for place, there in enumerate(other))]
        longest = max(longest, *ending)
    return longest


def definitions(file: Path) -> Iterator[tuple[str, bool]]:
    """Yield the classes and functions of a module, and whether each is async."""
    text = file.read_text("utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            source = ast.get_source_segment(text, node) or ""
            kinds = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
            inside = any(isinstance(each, kinds) for each in ast.walk(node))
            yield source, inside or sync_name(node.name) != node.name or file.name.startswith("async_")


@pytest.mark.slow
def test_handwritten_sync_and_async_code_share_few_lines() -> None:
    """No async definition, converted to sync, shares many consecutive lines with a handwritten sync one."""
    found = [definition for file in handwritten_modules() for definition in definitions(file)]
    asynchronous = [(source, lines_of(to_sync(source))) for source, is_async in found if is_async]
    others = [(source, lines_of(source)) for source, is_async in found if not is_async]
    assert len(asynchronous) > 60
    assert len(others) > 300
    runs = [(longest_common_run(one, other), source) for source, one in asynchronous for _, other in others]
    longest, source = max(runs)
    assert longest <= MAX_SHARED_LINES, f"{longest} lines are shared by sync code and\n{source}"


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
def test_to_sync_substitutes_tokens(code: str, derived: str) -> None:
    """Async code becomes sync code by token substitution."""
    assert to_sync(code) == derived

"""The tests of letta-client's source distribution, with their imports mapped to this client.

The archive is not part of this project: `nox -s migration` downloads it, and `LETTA_CLIENT_SDIST` names it. Run as a
program, the module lists the tests that are set aside and the replacements, each with its reason.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import tarfile
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from attrs import frozen

import letta_ext
from letta_api.model import Model
from tests.migration.closure import operation_ids

VARIABLE: Final = "LETTA_CLIENT_SDIST"
MISSING: Final = f"{VARIABLE} does not name the source distribution of letta-client: `nox -s migration` downloads it"

TEN_OPERATIONS: Final = (
    "test_steps.py",
    "steps/test_feedback.py",
    "steps/test_messages.py",
    "steps/test_metrics.py",
    "steps/test_trace.py",
    "conversations/test_messages.py",
)
"""The files about the ten operations that Letta's documentation describes."""

FILES: Final = (
    *TEN_OPERATIONS,
    "test_conversations.py",
    "test_agents.py",
    "test_runs.py",
    "runs/test_messages.py",
    "runs/test_steps.py",
    "agents/test_messages.py",
    "test_client.py",
)

MAPPED: Final = {
    r"\bletta_client\b": ("letta_ext", "the import"),
    r"from (tests\.utils|letta_ext\._utils) import": (
        "from tests.migration.published_tests import",
        "the functions of the tests themselves",
    ),
    r"Expected a non-empty value for `(\w+)` but received ''": (
        r"\1 must be .*, got ''",
        "the text of an error, which names the argument here too",
    ),
    r"\bbatch_size=0,": ("batch_size=2,", "the server responds to 0 with 500, so the client refuses it"),
    r"\bmax_steps=0,": ("max_steps=1,", "0 leaves the run running, so the client refuses it"),
    r"assert_matches_type\(ConversationListResponse, conversation,": (
        "assert_matches_type(list[Conversation], conversation.items,",
        "a list returns a page here, with `items`",
    ),
    r'\binput="string",': ("", "the server and the client refuse `input` beside `messages`"),
}
"""Replacements in the source of the tests, each with its reason."""

SYNC, ASYNC = ("loose", "strict"), ("loose", "strict", "aiohttp")
"""The clients that each test runs with."""


@frozen
class Case:
    """A test of the distribution with one of its clients.

    Attributes:
        file: The file below `tests/api_resources`.
        cls: The name of the class.
        name: The name of the method.
        client: The client that it runs with.
        operation: The id of the operation that it calls.
    """

    file: str
    cls: str
    name: str
    client: str
    operation: str

    def __str__(self) -> str:
        return f"{self.file.removesuffix('.py')}-{self.cls}-{self.name}-{self.client}"

    @property
    def is_async(self) -> bool:
        """Whether the test is a coroutine function."""
        return self.cls.startswith("TestAsync")

    @property
    def set_aside(self) -> str:
        """The reason why the test does not apply, or ""."""
        if self.operation not in operation_ids():
            return f"the client has no method for {self.operation}"
        return ""

    def function(self) -> Callable[..., Any]:
        """Return the test as a function of the client."""
        return typing.cast(Callable[..., Any], getattr(_loaded(self.file)[self.cls](), self.name))


@cache
def sources() -> dict[str, str]:
    """Return the source of each file of the distribution, or {} if it is not there."""
    archive = Path(os.environ.get(VARIABLE, ""))
    if not archive.is_file():
        return {}
    found = {}
    with tarfile.open(archive) as opened:
        for member in opened.getmembers():
            name = member.name.partition("/tests/api_resources/")[2]
            content = opened.extractfile(member) if name in FILES else None
            if content is not None:
                found[name] = content.read().decode()
    return found


def cases() -> Iterator[Case]:
    """Yield each test of the distribution, with each of its clients."""
    for file in FILES:
        for cls in ast.parse(sources().get(file, "")).body:
            for node in cls.body if isinstance(cls, ast.ClassDef) else []:
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and isinstance(cls, ast.ClassDef):
                    operation = _operation(ast.unparse(node))
                    for client in ASYNC if isinstance(node, ast.AsyncFunctionDef) else SYNC:
                        yield Case(file, cls.name, node.name, client, operation)


def _operation(source: str) -> str:
    """Return the id of the operation that a test calls."""
    found = re.search(r"client\.([\w.]+)\(", source)
    path = found.group(1) if found else ""
    return ".".join(part for part in path.split(".") if not part.startswith("with_"))


@cache
def _loaded(file: str) -> dict[str, Any]:
    """Return the namespace of a file, with its imports mapped."""
    source = sources()[file]
    for pattern, (replacement, _) in MAPPED.items():
        source = re.sub(pattern, replacement, source)
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("letta_ext"):
            # Types of operations that this client does not have. Tests that use them are set aside.
            module = importlib.import_module(str(node.module))
            node.names = [each for each in node.names if hasattr(module, each.name)]
    namespace: dict[str, Any] = {"__name__": f"published.{file}"}
    # The archive is a pinned release, which a developer downloads to run its tests.
    exec(compile(tree, file, "exec"), namespace)  # noqa: S102  # as above
    return namespace


def parse_datetime(text: str) -> datetime:
    """Return the time of an ISO 8601 text, as the tests need it."""
    return datetime.fromisoformat(text)


def assert_matches_type(type_: Any, value: object, *, path: list[str]) -> None:
    """Assert that a value and everything in it has a type: the counterpart of letta-client's own function."""
    origin: Any = typing.get_origin(type_) or type_
    if origin in (typing.Any, object):
        return
    if origin in (types.UnionType, typing.Union):
        assert any(_matches(member, value, path) for member in typing.get_args(type_)), (path, type_, value)
    elif origin is typing.Literal:
        assert value in typing.get_args(type_), (path, value)
    elif type_ is None:
        assert value is None, (path, value)
    else:
        assert isinstance(value, origin), (path, type_, value)
        items: Any = value.items if isinstance(value, (letta_ext.SyncPage, letta_ext.AsyncPage)) else value
        if isinstance(items, list):
            for number, item in enumerate(items):
                assert_matches_type(typing.get_args(type_)[0], item, path=[*path, str(number)])
        elif isinstance(value, Model):
            assert not value.extra_fields, (path, value)
            assert any(getattr(value, name) is not None for name in value.fields_set), (path, value)


def _matches(type_: Any, value: object, path: list[str]) -> bool:
    try:
        assert_matches_type(type_, value, path=path)
    except AssertionError:
        return False
    return True


def main() -> None:
    """Print how many tests apply, and the reasons of the others and of the replacements."""
    found = list(cases())
    aside = Counter(case.set_aside for case in found if case.set_aside)
    print(f"{len(found) - aside.total()} of {len(found)} tests apply")
    for reason, count in sorted(aside.items()):
        print(f"  {count} set aside: {reason}")
    for pattern, (replacement, reason) in MAPPED.items():
        print(f"  replaced: {pattern} by {replacement!r}: {reason}")


if __name__ == "__main__":
    main()

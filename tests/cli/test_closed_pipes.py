"""A reader that closes the pipe, as `head` does, ends each command quietly."""

from __future__ import annotations

import subprocess
import sys

import pytest

from letta_ext import Letta
from letta_ext.testing import EmbeddedServer

from .cases import CASES, Ids, groups
from .running import CommandLine

QUIET = {name for name, case in CASES.items() if case.piped == ""} | {"agents delete", "conversations delete"}
"""Commands that print no result in a pipe."""

FORMS = {"steps list": "a table", "steps retrieve": "details", "tail": "messages", "doctor": "lines"}
"""Commands with each form of text."""


@pytest.mark.parametrize("name", [*CASES, *groups()], ids=lambda name: name or "letta-ext")
def test_help_in_a_closed_pipe_ends_quietly(command_line: CommandLine, name: str) -> None:
    """The help of each command and group ends with 141."""
    done = command_line.run_with_closed_pipe(*name.split(), "--help")
    expected = 0 if name == "serve" else 141  # argparse ignores a closed pipe
    assert (done.code, done.err) == (expected, "")


@pytest.mark.parametrize("name", sorted({*CASES} - QUIET - {"chat"}))
def test_command_in_a_closed_pipe_ends_quietly(shared_cli: CommandLine, ids: Ids, name: str) -> None:
    """Each command that prints a result ends with 141."""
    done = shared_cli.run_with_closed_pipe(*name.split(), *ids.fill(CASES[name].arguments))
    assert (done.code, done.err) == (141, "")


@pytest.mark.parametrize("name", FORMS)
def test_text_in_a_closed_pipe_ends_quietly(shared_cli: CommandLine, ids: Ids, name: str) -> None:
    """Text ends with 141 as JSON does."""
    done = shared_cli.run_with_closed_pipe(*name.split(), *ids.fill(CASES[name].arguments), "--no-json")
    assert (done.code, done.err) == (141, "")


def test_version_in_a_closed_pipe_ends_quietly(command_line: CommandLine) -> None:
    """The version ends with 141."""
    done = command_line.run_with_closed_pipe("--version")
    assert (done.code, done.err) == (141, "")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["export"], ["export", "steps"], ["steps", "list", "--limit", "x"], ["--base-url"]],
    ids=" ".join,
)
def test_usage_error_in_a_closed_pipe_ends_quietly(command_line: CommandLine, arguments: list[str]) -> None:
    """A usage error whose pipe is closed ends with 141."""
    done = command_line.run_with_closed_pipe(*arguments, name="stderr")
    assert (done.code, done.out) == (141, "")


def test_error_in_a_closed_pipe_ends_quietly(shared_cli: CommandLine) -> None:
    """An error of the server whose pipe is closed ends with 141."""
    done = shared_cli.run_with_closed_pipe("runs", "retrieve", "run-x", name="stderr")
    assert (done.code, done.out) == (141, "")


def test_pipe_closed_by_its_reader_ends_the_process_quietly(cli: CommandLine, server: EmbeddedServer) -> None:
    """A reader that closes the pipe, as `head` does, ends the command with 141 and without a message."""
    with Letta(base_url=server.base_url) as client:
        for _ in range(100):
            client.conversations.create(agent_id=server.agent_id, summary="x" * 5000)
    process = subprocess.Popen(
        [sys.executable, "-m", "letta_ext", "conversations", "--all"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b'{"id": "conv-')
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141

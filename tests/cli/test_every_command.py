"""Each command of the application, in a pipe and on a terminal, on the embedded server."""

from __future__ import annotations

import json
from typing import Final

import pytest

from .cases import CASES, Ids, commands
from .running import CommandLine

TEXT: Final = {"send", "resume", "chat", "report run", "report period", "serve"}
"""Commands that print text or a document in a pipe."""


def test_each_command_has_a_case() -> None:
    """A new command needs an invocation in `cases.py`."""
    assert sorted(commands()) == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_command_in_a_pipe_prints_json_lines(shared_cli: CommandLine, ids: Ids, name: str) -> None:
    """A command whose output is a pipe prints JSON lines, without styles, and ends with its exit code."""
    case = CASES[name]
    done = shared_cli.run(*name.split(), *ids.fill(case.arguments), input=case.keys)
    assert done.code == case.code, (done.out, done.err)
    [expected] = ids.fill([case.shows if case.piped is None else case.piped])
    assert expected in done.out
    assert "\x1b" not in done.out + done.err
    if name not in TEXT:
        for line in done.out.splitlines():
            json.loads(line)


@pytest.mark.parametrize("name", CASES)
def test_command_on_a_terminal_prints_text(shared_cli: CommandLine, ids: Ids, name: str) -> None:
    """A command on a terminal prints text that has the facts of the case."""
    case = CASES[name]
    done = shared_cli.on_terminal(*name.split(), *ids.fill(case.arguments), keys=case.keys, width=120)
    assert done.code == case.code, done.out
    [expected] = ids.fill([case.shows])
    assert expected in done.out


@pytest.mark.parametrize("name", CASES)
def test_help_of_command_describes_each_option(command_line: CommandLine, name: str) -> None:
    """The help of a command begins with a sentence, and describes each option."""
    done = command_line.run(*name.split(), "--help")
    assert done.code == 0
    assert done.out.startswith(("Usage: letta-ext", "usage: letta-ext"))
    assert name in done.out

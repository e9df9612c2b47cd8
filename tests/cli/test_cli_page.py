"""The page about the command line: its commands run, and its tables are complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from letta_ext import Letta
from letta_ext.cli.exit_codes import ExitCode
from letta_ext.testing import EmbeddedServer

from .cases import CASES, make_ids
from .running import CommandLine

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "cli.md").read_text("utf-8")
README: Final = (ROOT / "README.md").read_text("utf-8").partition("## Command line")[2].partition("## ")[0]
BLOCKS: Final = re.findall(r"^```console\n(.*?)^```$", PAGE + README, re.MULTILINE | re.DOTALL)
ELSEWHERE: Final = {"serve", "chat", "--install-completion"}
"""Commands that need a terminal or a process. They have tests of their own."""


@pytest.mark.parametrize("block", BLOCKS)
def test_commands_of_the_page_succeed(
    cli: CommandLine, server: EmbeddedServer, tmp_path: Path, block: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command runs as it is written, with ids in place of names in capital letters."""
    monkeypatch.chdir(tmp_path)  # some write files
    with Letta(base_url=server.base_url) as client:
        ids = make_ids(client, server.agent_id, server.conversation_id, "openai/gpt-4o-mini", tmp_path)
    names = {"AGENT_ID": ids.agent, "CONVERSATION_ID": ids.conversation, "RUN_ID": ids.run, "STEP_ID": ids.step}
    for line in re.findall(r"^\$ (.*letta-ext .*)$", block, re.MULTILINE):
        words = [names.get(word, word) for word in shlex.split(line, comments=True)]
        arguments = words[words.index("letta-ext") + 1 :]
        if arguments[0] in ELSEWHERE or "pip" in words:
            continue
        text = words[1] if words[0] == "echo" else ""
        done = cli.run(*arguments[: arguments.index(">")] if ">" in arguments else arguments, input=text)
        pending = "CALL" in line or line.endswith("pending CONVERSATION_ID")
        assert done.code == (3 if pending else 0), (line, done.err)


def test_table_of_commands_is_complete() -> None:
    """The table names each command of its own, and each group of operations."""
    table = PAGE.partition("| command | effect |")[2].partition("\n\n")[0]
    named = set(re.findall(r"[`,] ?`?([a-z]+)[ `]", "".join(re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE))))
    assert named >= {name.split()[0] for name in CASES}


def test_table_of_exit_codes_is_complete() -> None:
    """The table has each exit code."""
    table = PAGE.partition("| code | meaning |")[2].partition("\n\n")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == set(map(int, ExitCode))

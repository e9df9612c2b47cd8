"""Each command of the command line on the real server, in a pipe and on a terminal."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from letta_ext import Letta

from ..cli.cases import CASES, Ids, make_ids
from ..cli.running import STYLE, CommandLine, TerminalProcess
from .server_resources import Agent, ServerResources

SEPARATE = {"agents create": "agents", "conversations create": "conversations"}
"""Commands that create an object, by the resource that deletes it."""


@pytest.fixture
def cli(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("LETTA_BASE_URL", address)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return CommandLine(monkeypatch)


@pytest.fixture
def ids(address: str, resources: ServerResources, model: str, tmp_path: Path) -> Ids:
    """Return the ids of an agent of its own with one exchange."""
    agent = resources.agent().id
    with Letta(base_url=address) as client:
        return make_ids(client, agent, resources.conversation(agent), model, tmp_path)


@pytest.mark.parametrize("on_terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize("name", CASES)
def test_command_prints_its_result(cli: CommandLine, ids: Ids, name: str, on_terminal: bool) -> None:
    """A command prints the facts of its case, and ends with its exit code."""
    case = CASES[name]
    arguments = [*name.split(), *ids.fill(case.arguments)]
    if on_terminal:
        done = cli.on_terminal(*arguments, keys=case.keys, width=120)
    else:
        done = cli.run(*arguments, input=case.keys)
    assert done.code == case.code, done.out + done.err
    expected = case.shows if on_terminal or case.piped is None else case.piped
    assert ids.fill([expected])[0] in done.out
    if name in SEPARATE:
        [created] = set(re.findall(r"(?:agent|conv)-[0-9a-f-]{36}", STYLE.sub("", done.out))) - {ids.agent} or [None]
        assert created is not None
        assert cli.run(SEPARATE[name], "delete", created, "--yes").code == 0


def test_chat_interrupted_reply_is_resumed_by_the_printed_command(
    cli: CommandLine, agent: Agent, conversation: str
) -> None:
    """Ctrl+C leaves the run on the server, and the command of the note prints exactly the rest."""
    with TerminalProcess("chat", conversation, width=100) as chat:
        chat.wait_for("> ")
        chat.type("LONG 400\n")
        chat.wait_for("word3 ")
        chat.signal(signal.SIGINT)
        printed = chat.finish()
    assert chat.code == 130
    found = re.search(r"letta-ext (resume run-\S+ --after \d+)", printed)
    assert found is not None, printed
    rest = cli.run(*found[1].split())
    assert rest.code == 0, rest.err
    begun = re.findall(r"word\d+", printed)
    assert [*begun, *rest.out.split()] == [f"word{number}" for number in range(400)]


@pytest.mark.parametrize(("reply", "decision"), [("y", "approved"), ("not today", "denied (not today)")])
def test_chat_approval_is_asked_and_sent(
    cli: CommandLine, agent: Agent, conversation: str, reply: str, decision: str
) -> None:
    """A tool that needs approval is asked about, and the decision is stored."""
    done = cli.on_terminal("chat", conversation, keys=f"CALL {agent.guarded}\n{reply}\n/quit\n", width=200)
    assert done.code == 0, done.out
    assert f"Run {agent.guarded}?" in done.out
    assert decision in cli.on_terminal("messages", conversation, width=200).out

"""Each command of the command line on the real server, in a pipe and on a terminal."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from letta_ext import Letta

from ..cli.cases import CASES, SEPARATE, Ids, make_ids
from ..cli.running import STYLE, CommandLine, TerminalProcess
from ..stress.figures import sample
from .server_resources import Agent, ServerResources

CREATED = {"agents create": "agents", "conversations create": "conversations"}
"""Commands that create an object, by the resource that deletes it."""


@pytest.fixture
def cli(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("LETTA_BASE_URL", address)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return CommandLine(monkeypatch)


@pytest.fixture(scope="module")
def shared_ids(
    address: str, resources: ServerResources, agent: Agent, model: str, tmp_path_factory: pytest.TempPathFactory
) -> Ids:
    """Return the ids of a conversation that the commands share."""
    return new_ids(address, resources, agent.id, model, tmp_path_factory.mktemp("cli"))


@pytest.fixture
def ids(
    address: str,
    resources: ServerResources,
    shared_ids: Ids,
    model: str,
    name: str,
    tmp_path: Path,
) -> Ids:
    """Return the ids of a new agent for a command that needs its own, else the shared ones."""
    if name not in SEPARATE:
        return shared_ids
    return new_ids(address, resources, resources.agent().id, model, tmp_path)


def new_ids(address: str, resources: ServerResources, agent: str, model: str, folder: Path) -> Ids:
    """Return the ids of an agent with a new conversation that has one exchange."""
    with Letta(base_url=address) as client:
        ids = make_ids(client, agent, resources.conversation(agent), model, folder)
    resources.wait_until_recorded(ids.step)
    return ids


@pytest.mark.parametrize("name", CASES)
def test_command_in_a_pipe_prints_its_result(cli: CommandLine, ids: Ids, name: str) -> None:
    """A command prints the facts of its case, and ends with its exit code."""
    case = CASES[name]
    done = cli.run(*name.split(), *ids.fill(case.arguments), input=case.keys)
    assert done.code == case.code, done.out + done.err
    assert ids.fill([case.shows if case.piped is None else case.piped])[0] in done.out
    delete_created(cli, ids, name, done.out)


@pytest.mark.stress
@pytest.mark.parametrize("name", sample(list(CASES), 8))
def test_command_on_a_terminal_prints_its_result(cli: CommandLine, ids: Ids, name: str) -> None:
    """A command on a terminal prints the facts of its case, and ends with its exit code."""
    case = CASES[name]
    done = cli.on_terminal(*name.split(), *ids.fill(case.arguments), keys=case.keys, width=120)
    assert done.code == case.code, done.out
    assert ids.fill([case.shows])[0] in done.out
    delete_created(cli, ids, name, done.out)


def delete_created(cli: CommandLine, ids: Ids, name: str, printed: str) -> None:
    """Delete the object that a command has created, by its printed id."""
    if name in CREATED:
        [created] = set(re.findall(r"(?:agent|conv)-[0-9a-f-]{36}", STYLE.sub("", printed))) - {ids.agent} or [None]
        assert created is not None
        assert cli.run(CREATED[name], "delete", created, "--yes").code == 0


def test_chat_interrupted_reply_is_resumed_by_the_printed_command(
    cli: CommandLine, agent: Agent, conversation: str
) -> None:
    """Ctrl+C leaves the run on the server, and the command of the note prints exactly the rest."""
    with TerminalProcess("chat", conversation, width=100) as chat:
        chat.wait_for("> ")
        chat.type("LONG 150\n")
        chat.wait_for("word3 ")
        chat.signal(signal.SIGINT)
        printed = chat.finish()
    assert chat.code == 130
    found = re.search(r"letta-ext (resume run-\S+ --after \d+)", printed)
    assert found is not None, printed
    rest = cli.run(*found[1].split())
    assert rest.code == 0, rest.err
    begun = re.findall(r"word\d+", printed)
    assert [*begun, *rest.out.split()] == [f"word{number}" for number in range(150)]


@pytest.mark.parametrize(("reply", "decision"), [("y", "approved"), ("not today", "denied (not today)")])
def test_chat_approval_is_asked_and_sent(
    cli: CommandLine, agent: Agent, conversation: str, reply: str, decision: str
) -> None:
    """A tool that needs approval is asked about, and the decision is stored."""
    done = cli.on_terminal("chat", conversation, keys=f"CALL {agent.guarded}\n{reply}\n/quit\n", width=200)
    assert done.code == 0, done.out
    assert f"Run {agent.guarded}?" in done.out
    assert decision in cli.on_terminal("messages", conversation, width=200).out

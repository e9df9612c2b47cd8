"""Fixtures: the command line on an embedded server, with a pipe and with a terminal as its output."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from letta_ext import Letta
from letta_ext.testing import EmbeddedServer

from .cases import SEPARATE, Ids, make_ids
from .running import CommandLine

MODEL: Final = "openai/gpt-4o-mini"


@pytest.fixture(scope="session")
def shared_server() -> Iterator[EmbeddedServer]:
    """Return a server for tests that use agents of their own."""
    with EmbeddedServer() as running:
        yield running


@pytest.fixture(scope="session")
def shared_ids(shared_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Ids:
    """Return the ids of an agent that tests share."""
    return new_ids(shared_server, tmp_path_factory.mktemp("cli"))


@pytest.fixture
def ids(request: pytest.FixtureRequest, shared_ids: Ids, shared_server: EmbeddedServer, tmp_path: Path) -> Ids:
    """Return the ids of an agent: a new one for a command that needs its own, else the shared one."""
    name = request.node.callspec.params.get("name") if hasattr(request.node, "callspec") else None
    return new_ids(shared_server, tmp_path) if name in SEPARATE else shared_ids


def new_ids(server: EmbeddedServer, folder: Path) -> Ids:
    """Create an agent, and return its ids."""
    with Letta(base_url=server.base_url) as client:
        agent = client.agents.create(name="Ada", model=MODEL)
        return make_ids(client, agent.id, client.conversations.create(agent_id=agent.id).id, MODEL, folder)


@pytest.fixture
def shared_cli(
    shared_server: EmbeddedServer, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    """Return the command line on the shared server."""
    monkeypatch.setenv("LETTA_BASE_URL", shared_server.base_url)
    return command_line


@pytest.fixture
def command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    return CommandLine(monkeypatch)


@pytest.fixture
def cli(server: EmbeddedServer, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Return the command line, which finds the server by its environment variable."""
    monkeypatch.setenv("LETTA_BASE_URL", server.base_url)
    return command_line

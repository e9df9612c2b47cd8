"""Tests of `letta-ext export`."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from letta_ext import Letta
from letta_ext.testing import EmbeddedServer, Respond

from .running import CommandLine


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory of the command."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ids_of(directory: Path) -> list[str]:
    lines = [line for path in sorted(directory.glob("part-*.jsonl")) for line in path.read_text("utf-8").splitlines()]
    return [json.loads(line)["id"] for line in lines]


def test_export_steps_writes_the_steps_of_a_period(cli: CommandLine, server: EmbeddedServer, folder: Path) -> None:
    """The shards of a period are written by several workers, quietly in a pipe."""
    created = server.state.add_steps(server.agent_id, 30)
    period = ["--start", "2026-01-01T00:00:00Z", "--end", "2026-01-02T00:00:00Z"]
    options = ["--agent", server.agent_id, "--format", "jsonl", "--shards", "3", "--workers", "2", "-o", "steps"]

    done = cli.run("export", "steps", *period, *options)

    assert (done.code, done.err) == (0, "")
    [summary] = done.json
    assert (summary["rows"], summary["shards"], summary["directory"]) == (30, 3, str(folder / "steps"))
    assert ids_of(folder / "steps") == created


def test_export_messages_of_an_agent_by_name(cli: CommandLine, server: EmbeddedServer, folder: Path) -> None:
    """The messages of all conversations of an agent are written, as Parquet unless another format is chosen."""
    with Letta(base_url=server.base_url) as client:
        name = client.agents.retrieve(server.agent_id).name
    done = cli.run("export", "messages", "--agent", name, "-o", "messages")

    assert done.code == 0, done.err
    assert done.json[0]["shards"] == 2
    assert [path.name for path in sorted((folder / "messages").glob("part-*"))] == [
        "part-00000-00000.parquet",
        "part-00001-00000.parquet",
    ]


def test_failed_export_is_continued_with_the_option(cli: CommandLine, server: EmbeddedServer, folder: Path) -> None:
    """After an error the output names the option, without which a directory with an export is refused."""
    created = server.state.add_steps(server.agent_id, 30)
    server.faults.add(None, None, Respond(400), on="steps.list")
    command = ["export", "steps", "-o", "steps", "-f", "jsonl", "--page-size", "10"]

    failed = cli.run(*command)
    refused = cli.run(*command)
    done = cli.run(*command, "--continue")
    changed = cli.run(*command, "--agent", server.agent_id, "--continue")

    assert (failed.code, refused.code, done.code, changed.code) == (1, 2, 0, 2)
    assert "pass --continue to continue" in failed.err
    assert "Pass --continue to continue it" in refused.err
    assert "agent_id=None" in changed.err
    assert ids_of(folder / "steps") == created


def test_commands_of_the_page_succeed(cli: CommandLine) -> None:
    """Each command of the page about exports runs as it is written."""
    page = Path(__file__).parents[2] / "docs" / "export.md"
    commands = re.findall(r"^\$ letta-ext (.*)$", page.read_text("utf-8"), re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        done = cli.run(*shlex.split(command, comments=True))
        assert done.code == 0, (command, done.err)


def test_export_on_a_terminal_shows_progress(cli: CommandLine, server: EmbeddedServer) -> None:
    """A terminal shows the rows so far, and the totals at the end."""
    server.state.add_steps(server.agent_id, 30)
    done = cli.on_terminal("export", "steps", "-o", "steps", "--page-size", "10", width=120)

    assert done.code == 0, done.out
    assert "of 1 shards" in done.raw
    assert "30 rows in 1 files" in done.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["steps", "--shards", "2"], "--shards must be 1 without --start and --end"),
        (["steps", "--start", "soon"], "--start"),
        (["steps", "--format", "csv"], "csv"),
        (["messages"], "mutually exclusive"),
    ],
)
def test_invalid_option_is_a_usage_error(
    arguments: list[str], message: str, cli: CommandLine, server: EmbeddedServer
) -> None:
    """Nothing is written, and the exit code is 2."""
    done = cli.run("export", *arguments, "-o", "rows")
    assert done.code == 2
    assert message in done.err
    assert not Path("rows").exists()

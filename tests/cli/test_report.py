"""Tests of `letta-ext report`."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from letta_ext import Letta
from letta_ext.testing import EmbeddedServer

from .running import CommandLine

PRICES = {"source": "a test", "models": {"openai-proxy/gpt-4o-mini": {"input": 1, "output": 10}}}


@pytest.fixture
def run_id(server: EmbeddedServer) -> str:
    with Letta(base_url=server.base_url) as client:
        response = client.conversations.messages.create(server.conversation_id, input="Hello", streaming=False)
    return response.messages[-1].run_id or ""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory of the command."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_report_run_writes_a_file_named_after_the_run(cli: CommandLine, run_id: str, folder: Path) -> None:
    """Without an output, the file has the id of the run as its name, which is printed."""
    done = cli.run("report", "run", run_id)

    assert (done.code, done.json) == (0, [{"path": f"{run_id}.html"}])
    assert "<h2" in (folder / f"{run_id}.html").read_text("utf-8")


def test_report_run_uses_the_given_prices(cli: CommandLine, run_id: str, folder: Path) -> None:
    """The prices of a file become the cost: 100 tokens for 1 and 12 tokens for 10 per million."""
    (folder / "prices.json").write_text(json.dumps(PRICES))

    done = cli.run("report", "run", run_id, "-o", "run.html", "--prices", "prices.json")

    assert done.code == 0, done.err
    page = (folder / "run.html").read_text("utf-8")
    assert "0.000220" in page
    assert "a test" in page


def test_report_on_a_terminal_counts_its_requests(cli: CommandLine, run_id: str) -> None:
    """On a terminal, the number of requests is shown while the report is made. In a pipe it is not."""
    printed = list[bytes]()

    done = cli.on_terminal("report", "run", run_id, on_write=printed.append)

    assert done.code == 0, done.out
    assert re.search(rb"[1-9] requests", b"".join(printed))
    assert "requests" not in cli.run("report", "run", run_id).err


def test_report_period_writes_to_the_standard_output(cli: CommandLine, run_id: str) -> None:
    """With - as the output, the page is printed."""
    done = cli.run("report", "period", "--start", "2026-01-01", "--end", "2026-01-02", "-o", "-")

    assert done.code == 0, done.err
    assert done.out.startswith("<!doctype html>")
    assert run_id in done.out


def test_report_period_of_another_agent_has_no_runs(cli: CommandLine, run_id: str, folder: Path) -> None:
    """The option for the agent selects its runs."""
    agent = "agent-00000000-0000-4000-8000-000000000000"

    done = cli.run("report", "period", "--start", "2026-01-01", "--end", "2026-01-02", "--agent", agent)

    assert done.code == 0, done.err
    assert "The period has no runs" in (folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "run-1", "-o", "missing/run.html"], "--output must be in an existing directory"),
        (["run", "run-1", "--prices", "missing.json"], "prices must be a readable JSON file"),
        (["period", "--start", "yesterday"], "--start must be an ISO 8601 date or time"),
        (["period", "--start", "2026-01-02", "--end", "2026-01-01"], "--end must be after --start"),
        (["period"], "Missing option"),
        (["run", "run-1", "--max-steps", "0"], "--max-steps"),
    ],
)
def test_report_with_invalid_option_is_a_usage_error(
    cli: CommandLine, server: EmbeddedServer, arguments: list[str], message: str
) -> None:
    """An invalid option ends with the exit code for usage, and nothing is sent."""
    done = cli.run("report", *arguments)

    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert len(server.requests) == 0


def test_report_of_a_missing_run_is_an_error(cli: CommandLine, folder: Path) -> None:
    """The error of the server is printed, and no file is written."""
    done = cli.run("report", "run", "run-00000000-0000-4000-8000-000000000000")

    assert done.code == 1
    assert "not found" in done.err.lower()
    assert list(folder.iterdir()) == []


def test_report_to_a_pipe_or_a_link_leaves_it_in_place(cli: CommandLine, run_id: str, folder: Path) -> None:
    """A file that is not a regular one, such as a device, is written and not replaced, and a link remains a link."""
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("target.html")
    with ThreadPoolExecutor(1) as executor:
        received = executor.submit((folder / "pipe").read_text, "utf-8")
        assert cli.run("report", "run", run_id, "-o", "pipe").code == 0
        assert (folder / "pipe").is_fifo()
        assert received.result().rstrip().endswith("</html>")
    assert cli.run("report", "run", run_id, "-o", "link").code == 0
    assert (folder / "link").is_symlink()
    assert (folder / "target.html").stat().st_size


def test_report_period_takes_the_name_of_an_agent(cli: CommandLine, server: EmbeddedServer, run_id: str) -> None:
    """The agent is named as in an export. An unknown name ends with 2."""
    period = ["report", "period", "--start", "2026-01-01", "-o", "-"]
    assert run_id in cli.run(*period, "--agent", "Ada").out
    assert "no agent has the name" in cli.run(*period, "--agent", "Grace").err

"""An invocation of each command, which the tests run on the embedded and on the real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from letta_ext import Letta

from .running import app


@frozen
class Ids:
    """The objects that the commands are about."""

    agent: str
    conversation: str
    run: str
    step: str
    model: str
    folder: str

    def fill(self, arguments: list[str]) -> list[str]:
        """Return the arguments with ids in place of names in braces."""
        values = {name: getattr(self, name) for name in self.__annotations__}
        return [argument.format_map(values) for argument in arguments]


def make_ids(client: Letta, agent: str, conversation: str, model: str, folder: Path) -> Ids:
    """Send a message in a conversation, and return the ids of its run and step, and a folder for files."""
    stream = client.conversations.messages.create(conversation, input="LONG 6", background=True)
    stream.result()
    run = stream.run_id
    assert run is not None
    step = next(iter(client.runs.steps.list(run)))
    return Ids(agent, conversation, run, step.id, model, str(folder))


@frozen
class Case:
    """An invocation.

    Attributes:
        arguments: The arguments after the name of the command.
        shows: A part of the output on a terminal.
        piped: A part of the output in a pipe. Defaults to that of the terminal.
        code: The exit code.
        keys: The lines that are typed.
    """

    arguments: list[str]
    shows: str
    piped: str | None = None
    code: int = 0
    keys: str = ""


CASES: Final = {
    "chat": Case(["{conversation}"], "word0", keys="LONG 6\n/quit\n"),
    "send": Case(["{conversation}", "LONG 6"], "word0"),
    "resume": Case(["{run}"], "word0"),
    "pending": Case(["{conversation}"], "no call is pending", "null"),
    "tail": Case(["{conversation}", "--from-start", "--for", "0"], "word0"),
    "messages": Case(["{conversation}", "--limit", "5"], "word0"),
    "compact": Case(["{conversation}", "--compaction-settings", '{{"mode": "all"}}'], "summary"),
    "feedback": Case(["{step}", "positive"], "positive"),
    "health": Case([], "version"),
    "doctor": Case([], "latency"),
    "export steps": Case(["--agent", "{agent}", "-o", "{folder}/steps"], "1 rows in 1 files", '"rows": 1'),
    "export messages": Case(["{conversation}", "-o", "{folder}/messages"], "rows in 1 files", '"parts": 1'),
    "report run": Case(["{run}", "--output", "-"], "<h1>Run {run}</h1>"),
    "report period": Case(["--start", "2026-01-01", "--agent", "{agent}", "--output", "-"], "{run}"),
    "serve": Case(["--schema"], "$schema"),
    "step show": Case(["{step}"], "model time", '"trace"'),
    "steps list": Case(["--agent-id", "{agent}"], "tokens", "total_tokens"),
    "steps retrieve": Case(["{step}"], "{step}"),
    "steps metrics retrieve": Case(["{step}"], "step_ns"),
    "steps trace retrieve": Case(["{step}"], "request_json"),
    "steps feedback create": Case(["{step}", "--feedback", "negative"], "negative"),
    "steps messages list": Case(["{step}"], "LONG 6"),
    "conversations list": Case(["--agent-id", "{agent}"], "{conversation}"),
    "conversations create": Case(["--agent-id", "{agent}"], "conv-"),
    "conversations retrieve": Case(["{conversation}"], "{conversation}"),
    "conversations update": Case(["{conversation}", "--summary", "a test"], "a test"),
    "conversations delete": Case(["{conversation}", "--yes"], ""),
    "conversations cancel": Case(["{conversation}"], "409", "", code=1),
    "conversations messages list": Case(["{conversation}"], "word0"),
    "conversations messages create": Case(["{conversation}", "--input", "LONG 6"], "word0"),
    "conversations messages stream": Case(["{conversation}", "--run-id", "{run}"], "word0"),
    "conversations messages compact": Case(["{conversation}", "--compaction-settings", '{{"mode": "all"}}'], "summary"),
    "agents list": Case(["--limit", "1000"], "{agent}"),
    "agents create": Case(["--name", "cli", "--model", "{model}", "--tags", "a", "--tags", "b"], "agent-"),
    "agents retrieve": Case(["{agent}"], "{agent}"),
    "agents update": Case(["{agent}", "--data", '{{"description": "a test"}}'], "a test"),
    "agents delete": Case(["{agent}", "--yes"], ""),
    "agents messages cancel": Case(["{agent}", "--run-ids", "{run}"], "{run}"),
    "runs list": Case(["--conversation-id", "{conversation}"], "{run}"),
    "runs retrieve": Case(["{run}"], "{run}"),
    "runs messages list": Case(["{run}"], "word0"),
    "runs steps list": Case(["{run}"], "{step}"),
    "runs cancel": Case(["{run}"], "cancelled"),
    "runs wait": Case(["{run}"], "completed"),
}
"""The case of each command."""

SEPARATE: Final = {
    "agents delete",
    "agents messages cancel",
    "compact",
    "conversations delete",
    "conversations messages compact",
    "export messages",
    "export steps",
    "runs cancel",
}
"""Commands that need an agent and a folder of their own."""


def commands() -> list[str]:
    """Return the name of each command of the application."""
    return [name for name, is_group in _names(app(), "") if not is_group]


def groups() -> list[str]:
    """Return the name of each group of commands. That of the application is empty."""
    return ["", *(name for name, is_group in _names(app(), "") if is_group)]


def _names(group: Any, path: str) -> Iterator[tuple[str, bool]]:
    for name, each in group.commands.items():
        is_group = hasattr(each, "commands")
        yield f"{path}{name}", is_group
        if is_group:
            yield from _names(each, f"{path}{name} ")

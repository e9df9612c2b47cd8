"""Tests of `letta-ext`, `python -m letta_ext`, shell completion and `serve`."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tomllib
from importlib import import_module, util
from pathlib import Path

import pytest

from letta_ext import Letta, __main__, __version__

from .running import CommandLine, TerminalProcess

PROBE = "import sys, letta_ext; letta_ext.Letta; print(sorted({'typer', 'letta_ext.cli'} & sys.modules.keys()))"


def test_importing_the_client_does_not_import_the_command_line() -> None:
    """The client does not load the command line and its packages."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_extra_one_sentence_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without typer, the command ends with one sentence instead of a traceback."""
    monkeypatch.setattr(__main__, "find_spec", lambda name: None if name == "typer" else util.find_spec(name))
    with pytest.raises(SystemExit, match=r"Run: pip install 'letta-ext\[cli\]'$") as caught:
        __main__.main()
    assert isinstance(caught.value.code, str)
    assert "\n" not in caught.value.code


def test_installed_command_is_the_main_function() -> None:
    """The installed package has the command `letta-ext`."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, function = project["scripts"]["letta-ext"].partition(":")
    assert getattr(import_module(module), function) is __main__.main


def test_version_is_printed(command_line: CommandLine) -> None:
    """--version prints the version of the package."""
    assert command_line.run("--version").out == f"letta-ext {__version__}\n"


def test_help_lists_commands_and_exit_codes(command_line: CommandLine) -> None:
    """The help names each command with a whole sentence, and the exit codes."""
    done = command_line.run("--help")
    assert "..." not in done.out.partition("Commands:")[2]
    assert "130 interrupted" in " ".join(done.out.split())
    assert "..." not in command_line.run("export", "--help").out.partition("Commands:")[2]
    group = command_line.run("steps", "metrics", "--help").out
    assert "'letta-ext steps metrics retrieve -h' has its options" in " ".join(group.split())
    assert command_line.run().code == 2


def test_completion_offers_commands_and_options(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The completion script of a shell gets the names of commands, options and choices."""
    monkeypatch.setenv("_LETTA_EXT_COMPLETE", "complete_bash")
    cases = {
        "letta-ext st": "steps",
        "letta-ext agents up": "update",  # a group with a default command
        "letta-ext steps --or": "--order",
        "letta-ext steps list --or": "--order",
        "letta-ext steps list --order d": "desc",
    }
    for words, expected in cases.items():
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        assert expected in command_line.run().out.split()


def test_serve_prints_its_address_and_ends_with_ctrl_c(command_line: CommandLine) -> None:
    """`serve` runs the embedded server in the foreground, prints a line per request, and ends with 130."""
    with TerminalProcess("serve", "--port", "0", width=200) as serve:
        serve.wait_for("conversation conv-")
        found = re.search(r"Letta on (\S+)", serve.printed)
        assert found is not None
        with Letta(base_url=found[1]) as client:
            client.health()
        serve.wait_for("/v1/health/")
        serve.signal(signal.SIGINT)
        serve.finish()
    assert serve.code == 130


def test_serve_invalid_option_ends_with_two(command_line: CommandLine) -> None:
    """The options of `serve` are checked before it listens."""
    assert command_line.run("serve", "--port", "nonsense").code == 2

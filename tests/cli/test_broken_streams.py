"""A standard output that cannot be written, closed standard streams, and text that is not UTF-8."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from letta_ext import __main__
from letta_ext.cli.exit_codes import UsageError
from letta_ext.cli.inputs import read_stdin
from letta_ext.testing import EmbeddedServer

from .cases import Ids
from .running import CommandLine

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="Linux has this device")
@pytest.mark.parametrize("arguments", [["health"], ["steps", "--no-json"], ["doctor", "--no-json"], ["--version"]])
def test_full_device_ends_with_one_and_its_error(
    shared_cli: CommandLine,
    ids: Ids,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An output that cannot be written ends the command with 1 and one line, without a traceback."""
    with monkeypatch.context() as patched, FULL.open("wb", buffering=0) as device:
        patched.setattr("sys.stdout", io.TextIOWrapper(device, "utf-8", write_through=True))
        patched.setattr("sys.argv", ["letta-ext", *arguments])
        with pytest.raises(SystemExit) as ended:
            __main__.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: the output cannot be written: No space left on device\n"


@pytest.mark.skipif(not FULL.exists(), reason="Linux has this device")
def test_send_full_device_names_the_command_that_prints_the_rest(
    cli: CommandLine, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reply that cannot be written continues on the server, and its text is printed by the command of the note."""
    with monkeypatch.context() as patched, FULL.open("wb", buffering=0) as device:
        patched.setattr("sys.stdout", io.TextIOWrapper(device, "utf-8", write_through=True))
        patched.setattr("sys.argv", ["letta-ext", "send", server.conversation_id, "Hello"])
        with pytest.raises(SystemExit):
            __main__.main()
    note = capsys.readouterr().err.splitlines()[0]
    resumed = cli.run(*note.partition("letta-ext ")[2].split())
    assert resumed.out == "Hello! How can I help you?\n"


def test_closed_standard_output_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command does not begin if the standard output is closed."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", None)
        with pytest.raises(SystemExit, match=r"^error: the standard output is closed\. "):
            __main__.main()


def test_closed_standard_error_keeps_notes_out_of_the_output(
    shared_cli: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Notes and errors are not printed anywhere if the standard error is closed."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", None)
        patched.setattr("sys.argv", ["letta-ext", "steps", "--limit", "0"])
        with pytest.raises(SystemExit) as ended:
            __main__.main()
        sys.stderr.close()
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


def test_ctrl_c_during_the_imports_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+C before a command begins does not print a traceback."""

    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(__main__, "find_spec", interrupt)
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 130


def test_utf8_in_a_locale_without_it_is_decoded(cli: CommandLine, server: EmbeddedServer) -> None:
    """Bytes that Python could not decode, as in the locale C, are the text of the message."""
    cli.run("send", server.conversation_id, "héllo 😀".encode().decode("ascii", "surrogateescape"))
    assert cli.run("messages", server.conversation_id, "--limit", "2").json[-1]["content"] == "héllo 😀"


def test_text_that_is_not_utf8_is_a_usage_error(shared_cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are not UTF-8 are named, also in a locale in which Python reads them as surrogates."""
    done = shared_cli.run("send", "Ada", b"\xff".decode("utf-8", "surrogateescape"))
    assert (done.code, done.err) == (2, "error: the message must be UTF-8\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), "utf-8", errors="surrogateescape"))
    with pytest.raises(UsageError, match=r"^the standard input must be UTF-8$"):
        read_stdin()

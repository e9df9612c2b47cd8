"""Tests of `letta-ext chat`."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from letta_ext.testing import Call, EmbeddedServer, Respond, Turn

from .running import CommandLine, TerminalProcess


def test_chat_lines_on_a_terminal_are_messages(cli: CommandLine, server: EmbeddedServer) -> None:
    """Each line is a message, /help prints the keys, and the end of the input ends the chat."""
    done = cli.on_terminal("chat", server.conversation_id, keys="/help\n\nLONG 2\nREASON\n\x04")
    assert done.code == 0
    assert done.out.count("Ctrl+D ends the chat") == 2
    assert "word0 word1 \n> " in done.out
    assert "thinking" in done.out


def test_chat_piped_lines_are_messages(cli: CommandLine, server: EmbeddedServer) -> None:
    """Without a terminal, each line of the input gets a reply, and no prompt is printed."""
    done = cli.run("chat", server.conversation_id, input="LONG 2\nLONG 3\n")
    assert done.code == 0
    assert done.out == "word0 word1\nword0 word1 word2\n"


def test_chat_tool_calls_and_returns_are_shown(cli: CommandLine, server: EmbeddedServer) -> None:
    """A call of a tool of the server is shown with its arguments, and its return below it."""
    server.script.say(Turn(calls=[Call("get_weather", {"city": "Rome"})]), "Sunny.")
    done = cli.on_terminal("chat", server.conversation_id, keys="Rome?\n/quit\n")
    assert re.search(r'call +get_weather\(\{"city": ?"Rome"\}\)', done.out), done.out
    assert re.search(r"return +\S", done.out), done.out
    assert done.out.index("call ") < done.out.index("return ") < done.out.index("Sunny.")


@pytest.mark.parametrize(
    ("reply", "decision"), [("y", "approved"), ("n", "denied"), ("too dangerous", "denied (too dangerous)")]
)
def test_chat_approval_is_asked_and_sent(cli: CommandLine, server: EmbeddedServer, reply: str, decision: str) -> None:
    """A tool that needs approval is asked about. Any text but yes denies it, with the text as the reason."""
    done = cli.on_terminal("chat", server.conversation_id, keys=f"CALL guarded\n{reply}\n/quit\n")
    assert done.code == 0, done.out
    assert "Run guarded? [y]es, [n]o, or a reason against it: " in done.out
    assert decision in cli.on_terminal("messages", server.conversation_id).out


def test_chat_pending_calls_are_asked_about_first(cli: CommandLine, server: EmbeddedServer) -> None:
    """A chat that ends at a question exits with 3, and the next chat begins with that question."""
    left = cli.on_terminal("chat", server.conversation_id, keys="CALL guarded\n\x04")
    assert left.code == 3
    assert "letta-ext pending" in left.out
    done = cli.on_terminal("chat", server.conversation_id, keys="y\n/quit\n")
    assert done.code == 0, done.out
    assert "The agent waits for a decision" in done.out
    assert cli.run("pending", server.conversation_id).json == [None]


def test_chat_interrupted_question_names_the_pending_decision(
    cli: CommandLine, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl+C at a question ends with 130. The note is about the decision, as the run does not continue without it."""

    def type_line(prompt: str) -> str:
        if prompt.startswith("Run "):
            raise KeyboardInterrupt
        return "CALL guarded"

    monkeypatch.setattr("builtins.input", type_line)
    done = cli.on_terminal("chat", server.conversation_id)
    assert done.code == 130
    assert "The agent waits for a decision. Run 'letta-ext pending" in done.out
    assert "letta-ext resume" not in done.out


def test_chat_error_on_a_terminal_does_not_end_the_chat(cli: CommandLine, server: EmbeddedServer) -> None:
    """An error response is printed, and the next line is sent."""
    server.faults.add(Respond(400), on="conversations.messages.create")
    done = cli.on_terminal("chat", server.conversation_id, keys="LONG 2\nLONG 3\n/quit\n")
    assert done.code == 0
    assert "error: " in done.out
    assert "word2" in done.out


def test_chat_piped_error_ends_with_one(cli: CommandLine, server: EmbeddedServer) -> None:
    """Without a terminal, an error ends the chat."""
    server.faults.add(Respond(400), on="conversations.messages.create")
    assert cli.run("chat", server.conversation_id, input="LONG 2\nLONG 3\n").code == 1


def test_chat_interrupted_reply_is_resumed_by_the_printed_command(cli: CommandLine, server: EmbeddedServer) -> None:
    """Ctrl+C ends the chat with 130. The run continues, and the command of the note prints exactly the rest."""
    server.state.delay = 0.01
    with TerminalProcess("chat", server.conversation_id, width=100) as chat:
        chat.wait_for("> ")
        chat.type("LONG 150\n")
        chat.wait_for("word20 ")
        chat.signal(signal.SIGINT)
        printed = chat.finish()
    assert chat.code == 130
    found = re.search(r"letta-ext (resume run-\S+ --after \d+)", printed.replace("\n", " "))
    assert found is not None, printed
    server.state.delay = 0
    rest = cli.run(*found[1].split())
    assert rest.code == 0
    begun = re.findall(r"word\d+", printed)
    assert [*begun, *rest.out.split()] == [f"word{number}" for number in range(150)]


def test_chat_history_is_kept_for_its_owner_only(cli: CommandLine, server: EmbeddedServer, tmp_path: Path) -> None:
    """The lines of a chat are stored in a file that only its owner can read."""
    with TerminalProcess("chat", server.conversation_id) as chat:
        chat.wait_for("> ")
        chat.type("LONG 2\n")
        chat.wait_for("word1")
        chat.type("/quit\n")
        chat.finish()
    history = tmp_path / "letta-ext" / "chat_history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert "LONG 2" in history.read_text("utf-8")

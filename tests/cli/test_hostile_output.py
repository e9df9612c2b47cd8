"""Text of a server that tries to control the terminal."""

from __future__ import annotations

from typing import Final

import pytest

from letta_ext import Letta
from letta_ext.testing import Call, EmbeddedServer, ToolResult, Turn

from .running import STYLE, CommandLine, Result
from .test_terminal_text import is_safe

HOSTILE: Final = "\x1b]0;owned\x07[bold red]bold[/] \x1b[2Jcleared \u202eexe.txt\u202c [/nothing] \x9b31mred"
SEEN: Final = "[bold red]bold[/] cleared exe.txt [/nothing] red"


def assert_safe(done: Result) -> None:
    """Check that all escape sequences of an output are styles of this program."""
    assert all(map(is_safe, STYLE.sub("", done.raw))), done.raw
    assert all(code in {"0", "1", "2", "3"} for found in STYLE.findall(done.raw) for code in _simple(found)), done.raw


def _simple(style: str) -> list[str]:
    """Return the codes of a style without those of its 8 colors."""
    return [code for code in style[2:-1].split(";") if code not in {"31", "32", "33", "36"}]


@pytest.fixture
def hostile(server: EmbeddedServer) -> EmbeddedServer:
    server.script.otherwise = lambda _: Turn(text=HOSTILE, reasoning=HOSTILE)
    server.script.when("tool", Turn(calls=[Call("get_weather", {"city": HOSTILE})]), HOSTILE)
    server.script.tools["get_weather"] = lambda _: ToolResult(HOSTILE, status="error", stderr=[HOSTILE])
    return server


@pytest.mark.parametrize("text", ["Hello", "tool"])
def test_reply_with_escape_sequences_is_printed_as_text(cli: CommandLine, hostile: EmbeddedServer, text: str) -> None:
    """Text, reasoning, tool calls and their returns reach the terminal without control characters or markup."""
    done = cli.on_terminal("send", hostile.conversation_id, text, width=200)
    assert done.code == 0, done.out
    assert SEEN in done.out
    assert_safe(done)
    listed = cli.on_terminal("messages", hostile.conversation_id, width=200)
    assert SEEN in listed.out
    assert_safe(listed)


def test_names_with_escape_sequences_are_printed_as_text(cli: CommandLine, server: EmbeddedServer) -> None:
    """The name of an agent in a table, in a chat and in an error cannot control the terminal."""
    with Letta(base_url=server.base_url) as client:
        agent = client.agents.create(name=HOSTILE, model="openai/gpt-4o-mini")
        client.conversations.create(agent_id=agent.id, summary=HOSTILE)
    for arguments in (["agents"], ["agents", "retrieve", agent.id], ["conversations"], ["send", HOSTILE + "?", "x"]):
        done = cli.on_terminal(*arguments, width=200)
        assert_safe(done)
        assert "cleared" in done.out
    done = cli.on_terminal("chat", agent.id, keys="/quit\n", width=200)
    assert SEEN in done.out
    assert_safe(done)


def test_tool_name_with_escape_sequences_is_printed_as_text(cli: CommandLine, server: EmbeddedServer) -> None:
    """The name of a tool in the question of a chat, and in the list of pending calls, cannot control the terminal."""
    agent = server.state.agents[server.agent_id]
    agent.tools[2].name, agent.guarded = HOSTILE, [HOSTILE]
    server.script.when("tool", Turn(calls=[Call(HOSTILE, {})]))
    done = cli.on_terminal("chat", server.conversation_id, keys="tool\n\x04", width=200)
    assert f"Run {SEEN}? [y]es" in done.out
    assert_safe(done)
    done = cli.on_terminal("pending", server.conversation_id, width=200)
    assert SEEN in done.out
    assert_safe(done)


def test_piped_reply_with_escape_sequences_is_plain_text(cli: CommandLine, hostile: EmbeddedServer) -> None:
    """A reply in a pipe has no control characters, and its JSON has all of them, escaped."""
    assert cli.run("send", hostile.conversation_id, "Hello").out == f"{SEEN}\n"
    lines = cli.run("send", hostile.conversation_id, "Hello", "--json")
    assert all(map(is_safe, lines.out))
    assert [each["content"] for each in lines.json if each["message_type"] == "assistant_message"] == [HOSTILE]

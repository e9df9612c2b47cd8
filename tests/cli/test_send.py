"""Tests of `letta-ext send`, `resume` and `pending`."""

from __future__ import annotations

import re
import signal
import threading

from letta_ext import Letta
from letta_ext.testing import Cut, EmbeddedServer, LostResponse, Respond

from .running import CommandLine


def test_send_text_of_standard_input_prints_only_the_reply(cli: CommandLine, server: EmbeddedServer) -> None:
    """A message can be piped in, and the reply without reasoning is piped out."""
    for arguments in ([], ["-"]):
        done = cli.run("send", server.conversation_id, *arguments, input="LONG 2\n")
        assert done.code == 0
        assert done.out == "word0 word1\n"


def test_send_json_prints_one_event_per_line(cli: CommandLine, server: EmbeddedServer) -> None:
    """Each line is an event, and pings are left out."""
    done = cli.run("send", server.conversation_id, "LONG 2", "--json")
    types = [event["message_type"] for event in done.json]
    assert types == ["assistant_message", "stop_reason", "usage_statistics"]


def test_send_interrupted_connections_sends_the_message_once(cli: CommandLine, server: EmbeddedServer) -> None:
    """A lost response and a broken stream neither duplicate the message nor lose a part of the reply."""
    server.faults.add(LostResponse(), on="conversations.messages.create")
    server.faults.add(Cut(events=2), on="conversations.messages.stream")
    done = cli.run("send", server.conversation_id, "LONG 3")
    assert (done.code, done.out) == (0, "word0 word1 word2\n")
    with Letta(base_url=server.base_url) as client:
        messages = client.conversations.messages.list(server.conversation_id)
        assert sum(message.message_type == "user_message" for message in messages) == 1


def test_send_interrupted_before_any_text_names_a_command(cli: CommandLine, server: EmbeddedServer) -> None:
    """Ctrl+C before the reply begins ends with 130, and a note has the command that prints it."""

    def interrupt(_: str) -> str:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return "a reply"

    server.script.otherwise = interrupt
    done = cli.run("send", server.conversation_id, "Hello")
    assert (done.code, done.out) == (130, "")
    # `resume` if an event has named the run already.
    assert re.search(rf"letta-ext (messages {server.conversation_id}|resume run-)", done.err)


def test_send_interrupted_while_it_prints_writes_each_word_once(cli: CommandLine, server: EmbeddedServer) -> None:
    """Ctrl+C within a write repeats nothing at the end, and the command of the note prints exactly the rest."""
    server.state.delay = 0.005
    due = ["word5"]

    def interrupt(data: bytes) -> None:
        if due and due[0].encode() in data:
            due.clear()
            signal.raise_signal(signal.SIGINT)

    done = cli.on_terminal("send", server.conversation_id, "LONG 30", width=120, on_write=interrupt)
    assert done.code == 130
    found = re.search(r"letta-ext (resume run-\S+ --after \d+)", done.out)
    assert found is not None, done.out
    rest = cli.run(*found[1].split())
    words = re.findall(r"word\d+", done.out + rest.out)
    assert words == [f"word{number}" for number in range(30)]


def test_send_background_prints_a_run_that_resume_prints(cli: CommandLine, server: EmbeddedServer) -> None:
    """The id of the run is the output. `resume` prints the reply, and with --after its rest."""
    done = cli.run("send", server.conversation_id, "LONG 3", "--background")
    assert done.code == 0
    run_id = done.out.strip()
    assert f"letta-ext resume {run_id}" in done.err
    events = cli.run("resume", run_id, "--json").json
    assert events[0]["content"] == "word0 word1 word2"
    rest = cli.run("resume", run_id, "--json", "--after", str(events[0]["seq_id"]))
    assert rest.code == 0
    assert rest.json == events[1:]


def test_resume_expired_run_prints_its_messages(cli: CommandLine, server: EmbeddedServer) -> None:
    """If the events of a run are gone, its stored messages are printed."""
    run_id = cli.run("send", server.conversation_id, "LONG 3", "--background").out.strip()
    cli.run("resume", run_id)
    server.faults.add(Respond(410), on="conversations.messages.stream")
    done = cli.run("resume", run_id)
    assert done.code == 0
    assert "word0 word1 word2" in done.out
    assert "does not store" in done.err


def test_send_to_an_agent_by_name_uses_its_default_conversation(cli: CommandLine, server: EmbeddedServer) -> None:
    """An agent is found by its name; an unknown or ambiguous name is a usage error that names the remedy."""
    with Letta(base_url=server.base_url) as client:
        first = client.agents.create(name="twin", model="openai/gpt-4o-mini")
        assert cli.run("send", "twin", "LONG 2").out == "word0 word1\n"
        assert len(client.conversations.messages.list("default", agent_id=first.id)) > 2
        second = client.agents.create(name="twin", model="openai/gpt-4o-mini")
    ambiguous = cli.run("send", "twin", "Hello")
    assert ambiguous.code == 2
    assert first.id in ambiguous.err
    assert second.id in ambiguous.err
    unknown = cli.run("send", "nameless", "Hello")
    assert unknown.code == 2
    assert "letta-ext agents" in unknown.err


def test_send_new_begins_a_conversation(cli: CommandLine, server: EmbeddedServer) -> None:
    """--new sends to a new conversation of the agent."""
    done = cli.run("send", server.agent_id, "LONG 2", "--new")
    assert done.out == "word0 word1\n"
    listed = cli.run("conversations", "--agent-id", server.agent_id).json
    assert len(listed) == 2
    assert cli.run("send", server.conversation_id, "Hello", "--new").code == 2


def test_send_failing_model_ends_with_one_and_an_error(cli: CommandLine, server: EmbeddedServer) -> None:
    """An error of the model is one line on the standard error."""
    done = cli.run("send", server.conversation_id, "FAIL 429")
    assert done.code == 1
    assert done.out == ""
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("error: ")


def test_send_tool_that_needs_approval_waits_for_pending(cli: CommandLine, server: EmbeddedServer) -> None:
    """The turn ends with 3, `pending` shows the call, and --approve continues the turn."""
    done = cli.run("send", server.conversation_id, "CALL guarded")
    assert done.code == 3
    assert "letta-ext pending" in done.err
    refused = cli.run("send", server.conversation_id, "Hello")
    assert refused.code == 3
    shown = cli.run("pending", server.conversation_id)
    assert shown.code == 3
    assert [call["name"] for call in shown.json[0]["calls"]] == ["guarded"]
    assert "guarded(" in cli.on_terminal("pending", server.conversation_id).out
    decided = cli.run("pending", server.conversation_id, "--approve")
    assert decided.code == 0
    assert decided.out == "Hello! How can I help you?\n"
    assert cli.run("pending", server.conversation_id).json == [None]


def test_pending_deny_gives_the_reason(cli: CommandLine, server: EmbeddedServer) -> None:
    """A denial ends the wait, and the agent receives the reason."""
    cli.run("send", server.conversation_id, "CALL guarded")
    done = cli.on_terminal("pending", server.conversation_id, "--deny", "--reason", "not today")
    assert " ".join(done.out.split()) == 'approve? guarded({"city": "Paris"}) Hello! How can I help you?'
    cli.run("send", server.conversation_id, "CALL guarded")
    denied = cli.run("pending", server.conversation_id, "--deny", "--reason", "not today", "--json")
    assert denied.code == 0
    assert "not today" in cli.run("messages", server.conversation_id).out
    assert cli.run("pending", server.conversation_id, "--approve", "--deny").code == 2
    assert cli.run("pending", server.conversation_id, "--reason", "x").code == 2


def test_send_without_text_is_a_usage_error(cli: CommandLine, server: EmbeddedServer) -> None:
    """Neither an empty message nor a terminal as the input sends a request."""
    assert cli.run("send", server.conversation_id, input=" \n").code == 2
    done = cli.on_terminal("send", server.conversation_id)
    assert done.code == 2
    assert "pipe it" in done.out
    assert len(server.requests) == 0

"""Tests of lists, objects, colors, pipes and exit codes."""

from __future__ import annotations

import pytest

from letta_ext import Letta
from letta_ext.testing import EmbeddedServer, Respond

from .cases import Ids
from .running import STYLE, CommandLine


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ["steps", "agents", "runs", "conversations", "messages", "doctor"])
def test_output_on_a_terminal_fits_its_width(shared_cli: CommandLine, ids: Ids, name: str, width: int) -> None:
    """No line of a table or a dialog is wider than the terminal, and each item has its whole id."""
    arguments = {
        "agents": ["--limit", "1000"],
        "steps": ["--agent-id", ids.agent],
        "messages": [ids.conversation],
        "runs": ["--agent-id", ids.agent],
        "conversations": ["--agent-id", ids.agent],
    }
    done = shared_cli.on_terminal(name, *arguments.get(name, []), width=width)
    assert done.code == 0, done.out
    assert max(map(len, done.out.splitlines())) <= width
    expected = {"steps": ids.step, "agents": ids.agent, "runs": ids.run, "conversations": ids.conversation}
    assert expected.get(name, "") in done.out


def test_steps_on_a_wide_terminal_show_tokens_time_model_and_stop_reason(shared_cli: CommandLine, ids: Ids) -> None:
    """The table of steps has what people compare."""
    head, _, row, *_ = shared_cli.on_terminal("steps", "--agent-id", ids.agent, width=140).out.splitlines()
    assert [*head.split()] == ["id", "time", "tokens", "stop", "reason", "model", "prompt", "completion", "status"]
    assert " s " in row
    assert "end_turn" in row


@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_output_without_color_has_no_color_codes(
    shared_cli: CommandLine, ids: Ids, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_COLOR and a dumb terminal get text without colors."""
    colored = shared_cli.on_terminal("doctor")
    assert "\x1b[32m" in colored.raw
    values = {"NO_COLOR": "1", "TERM": "dumb"}
    plain = shared_cli.on_terminal("doctor", environment={variable: values[variable]})
    assert not any(code in plain.raw for code in ("\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m")), plain.raw
    assert STYLE.sub("", colored.raw).split()[:3] == STYLE.sub("", plain.raw).split()[:3]


def test_limit_prints_that_many_and_how_to_continue(cli: CommandLine, server: EmbeddedServer) -> None:
    """--limit is the number of items, however many pages they need. A note names the next one, and --all prints all."""
    with Letta(base_url=server.base_url) as client:
        for number in range(120):
            client.conversations.create(agent_id=server.agent_id, summary=str(number))
    assert len(cli.run("conversations", "--limit", "110").json) == 110
    assert len(cli.run("conversations").json) == 50
    assert len(cli.run("conversations", "--all").json) == 121
    shown = cli.on_terminal("conversations", "--limit", "3").out.splitlines()
    last = shown[4].split()[0]
    assert shown[5:] == [f"There are more: --all, or --after {last}"]
    following = cli.run("conversations", "--limit", "1", "--after", last).json
    assert following[0]["summary"] == "116"
    assert "There are more" not in cli.on_terminal("conversations", "--limit", "121").out
    assert cli.run("conversations", "--limit", "0").code == 2


def test_messages_on_a_terminal_end_with_the_newest(cli: CommandLine, server: EmbeddedServer) -> None:
    """A dialog reads from top to bottom. JSON and --order have the order of the server."""
    for text in ("LONG 1", "LONG 2"):
        cli.run("send", server.conversation_id, text)
    lines = cli.on_terminal("messages", server.conversation_id, "--limit", "4").out.splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["user", "LONG", "1"],
        ["agent", "word0"],
        ["user", "LONG", "2"],
        ["agent", "word0", "word1"],
    ]
    assert cli.run("messages", server.conversation_id, "--limit", "1").json[0]["content"] == "word0 word1"
    ascending = cli.on_terminal("messages", server.conversation_id, "--order", "asc", "--limit", "1").out
    assert ascending.startswith("system")


def test_json_on_a_terminal_and_text_in_a_pipe_can_be_chosen(shared_cli: CommandLine, ids: Ids) -> None:
    """--json prints JSON on a terminal, and --no-json a table in a pipe."""
    assert shared_cli.on_terminal("runs", "retrieve", ids.run, "--json", width=5000).json[0]["id"] == ids.run
    piped = shared_cli.run("runs", "retrieve", ids.run, "--no-json").out
    assert piped.split()[:2] == ["id", ids.run]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["steps", "--order", "sideways"], 2, "asc"),
        (["steps", "--limit", "many"], 2, "many"),
        (["steps", "--start-date", "yesterday"], 1, "yesterday"),
        (["steps", "retrieve", "step/../x"], 2, "step_id"),
        (["agents", "create", "--data", "[1]"], 2, "--data must be a JSON object"),
        (["agents", "create", "--data", "{"], 2, "--data must be JSON"),
        (["agents", "create", "--data", "@/nowhere/file"], 2, "cannot read /nowhere/file"),
        (["agents", "create", "--tool-rules", "no json"], 2, "--tool-rules must be JSON"),
        (["steps", "--base-url", "ftp://x"], 2, "base_url"),
        (
            ["steps", "--timeout", "-1"],
            2,
            "error: --timeout must be a positive number of seconds up to 10000000, got -1.0.",
        ),
        (["tail", "conv-1", "--for", "-1"], 2, "error: --for must be"),
        (["tail", "conv-1", "--after", "x", "--from-start"], 2, "error: --after and --from-start exclude each other"),
        (["export", "messages", "-o", "x"], 2, "error: TARGET and --agent are"),
        (["export", "steps", "-o", "/proc/x"], 1, "error: Creating /proc/x/_export failed"),
        (["report", "period", "--start", "yesterday"], 2, "error: --start must be"),
        (["nonsense"], 2, "nonsense"),
        (["steps", "--nonsense"], 2, "--nonsense"),
        (["runs", "retrieve"], 2, "RUN_ID"),
        (["runs", "retrieve", "run-00000000-0000-4000-8000-000000000000"], 1, "404"),
        (["steps", "--base-url", "http://127.0.0.1:1", "--max-retries", "0"], 1, "127.0.0.1:1"),
    ],
)
def test_exit_code_of_error(shared_cli: CommandLine, arguments: list[str], code: int, text: str) -> None:
    """An invalid argument ends with 2 before a request, an error of the server or the network with 1.

    Options are named as on the command line, and no file is promised that does not exist.
    """
    done = shared_cli.run(*arguments)
    assert (done.code, done.out) == (code, ""), done.err
    assert text in done.err
    assert "kept" not in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("status", [401, 403])
def test_rejected_key_is_never_printed(cli: CommandLine, server: EmbeddedServer, status: int) -> None:
    """A rejected key is an error with a remedy, and neither it nor the doctor prints the key."""
    for arguments in (["steps"], ["doctor"]):
        server.faults.add(Respond(status), on="steps.list" if arguments == ["steps"] else "agents.list")
        done = cli.run(*arguments, "--api-key", "sk-secret-1234")
        assert done.code == 1
        assert "LETTA_API_KEY" in done.out + done.err
        assert "sk-secret" not in done.out + done.err


def test_delete_on_a_terminal_asks_first(cli: CommandLine, server: EmbeddedServer) -> None:
    """On a terminal a deletion needs a yes. In a pipe it needs none."""
    kept = cli.on_terminal("agents", "delete", server.agent_id, keys="n\n")
    assert kept.code == 2
    assert "nothing was changed" in kept.out
    assert cli.run("agents", "retrieve", server.agent_id).code == 0
    assert cli.on_terminal("agents", "delete", server.agent_id, keys="y\n").code == 0
    assert cli.run("agents", "retrieve", server.agent_id).code == 1


def test_data_can_be_a_file_or_the_standard_input(
    cli: CommandLine, server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """--data takes JSON, @FILE, or - for the standard input."""
    file = tmp_path_factory.mktemp("data") / "agent.json"
    file.write_text('{"description": "from a file"}', encoding="utf-8")
    update = ["agents", "update", server.agent_id, "--data"]
    assert cli.run(*update, f"@{file}").json[0]["description"] == "from a file"
    assert cli.run(*update, "-", input='{"description": "from a pipe"}').json[0]["description"] == "from a pipe"


def test_output_encoding_without_the_characters_does_not_end_the_command(
    cli: CommandLine, server: EmbeddedServer
) -> None:
    """An output in ASCII has question marks in text, and escapes in JSON."""
    server.script.otherwise = "Grüße \N{SLIGHTLY SMILING FACE}"
    assert cli.run("send", server.conversation_id, "x", encoding="ascii").out == "Gr??e ?\n"
    lines = cli.run("messages", server.conversation_id, "--limit", "1", encoding="ascii")
    assert lines.json[0]["content"] == "Grüße \N{SLIGHTLY SMILING FACE}"
    assert cli.run("runs", "retrieve", "Grüße", encoding="ascii").code == 2


@pytest.mark.parametrize("name", ["send", "chat"])
def test_input_that_is_not_utf_8_is_a_usage_error(cli: CommandLine, server: EmbeddedServer, name: str) -> None:
    """Bytes that are not UTF-8 are not sent."""
    done = cli.run(name, server.conversation_id, input=b"caf\xe9\n")
    assert done.code == 2
    assert "must be UTF-8" in done.err

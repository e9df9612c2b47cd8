"""What each program gives with each client, as the table of docs/migration.md."""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class Outcome:
    """What a program gives.

    Attributes:
        program: Its file.
        published: What it gives with letta-client.
        ours: What it gives with this client.
    """

    program: str
    published: str
    ours: str


SAME: Final = "the same"

OUTCOMES: Final = (
    Outcome("relay.py", "events as lines, steps as JSON, 404 for a missing step", SAME),
    Outcome("generator.py", "the text in pieces, and the stop reason", SAME),
    Outcome("reader.py", "the text as it grows, the run and the position", SAME),
    Outcome("reader.py, connection lost", "`httpx.RemoteProtocolError`, which it does not catch", "the whole reply"),
    Outcome("evaluation.py", "a score, tokens and rated steps of each case", SAME),
    Outcome("evaluation.py, request refused", "one failed case", SAME),
    Outcome("tool_bot.py", "the reply of the agent to the result of its call, or to its error", SAME),
    Outcome("export.py", "a line of JSON for each conversation, message and step", SAME),
    Outcome("dashboard.py", "models in dictionaries, generics and pages; one conversation for each user", SAME),
    Outcome("recovery.py", "the calls of a killed program are denied, and the message is sent", SAME),
    Outcome("adapter.py", "a pickled chat model, its reply, and its history from a file", SAME),
    Outcome("doubles.py", "`Mock(spec=Letta)`, built errors and `respx` work; copies of models survive JSON", SAME),
)


def programs_table() -> str:
    """Return the outcomes as a table of Markdown."""
    rows = [f"| {each.program} | {each.published} | {each.ours} |" for each in OUTCOMES]
    return "\n".join(["| program | letta-client | letta_ext |", "|---|---|---|", *rows])

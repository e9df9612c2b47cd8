"""What the agent answers: a script where one is written, and otherwise what the user's message asks for.

The second is the language of the deterministic model server that drives a real Letta in the live tests, so that one
scenario runs against both:

========================  ============================================================
``CALL name [name ...]``  calls these tools once, all in one turn, if they are offered
``LONG n``                answers n words
``REASON``                thinks before it answers
``FAIL status``           the model answers that HTTP status
anything else             answers six words
========================  ============================================================
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

ARGUMENT_PIECE = 4
"""How many characters of a call's arguments one token holds."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of a scripted turn.

    Attributes:
        name: the tool's name.
        arguments: its arguments.
        id: the call's id; the server makes one if it is empty.
    """

    name: str
    arguments: dict[str, object] = field(default_factory=lambda: {"city": "Paris"})
    id: str = ""

    @property
    def json(self) -> str:
        """The arguments as the JSON text a model writes."""
        return json.dumps(self.arguments)


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model answers once.

    Attributes:
        text: what it says, if anything.
        reasoning: what it thinks first, if it says so.
        calls: the tools it calls.
        fail: the HTTP status the model answers. With text or reasoning, it fails after having said them, which only
            a token stream shows.
        streamed_text: what a token stream says instead of ``text``.
    """

    text: str | None = None
    reasoning: str | None = None
    calls: Sequence[Call] = ()
    fail: int | None = None
    streamed_text: str | None = None

    @property
    def text_tokens(self) -> list[str]:
        """The text as it is streamed, a word at a time."""
        return tokens(self.text if self.streamed_text is None else self.streamed_text)

    @property
    def reasoning_tokens(self) -> list[str]:
        """The reasoning as it is streamed, a word at a time."""
        return tokens(self.reasoning)


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool of the server answers.

    Attributes:
        text: its result.
        status: ``success`` or ``error``.
        stdout: what it printed.
        stderr: what it printed to standard error.
    """

    text: str
    status: str = "success"
    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()


def tokens(text: str | None) -> list[str]:
    """Split a text into words, each with the white space that follows it."""
    return re.findall(r"\s*\S+\s*|\s+$", text or "")


def argument_pieces(arguments: str) -> list[str]:
    """Split a call's arguments into the pieces in which they are streamed."""
    return [arguments[at : at + ARGUMENT_PIECE] for at in range(0, len(arguments), ARGUMENT_PIECE)]


@dataclass(slots=True)
class Script:
    """What the agents of a server will answer.

    Attributes:
        turns: answers to give first, one for each call of the model; then the user's message decides again.
        tools: what the server's tools answer, by name; a tool not named here reports sunshine.
    """

    turns: deque[Turn] = field(default_factory=deque[Turn])
    tools: dict[str, ToolAnswer] = field(default_factory=dict[str, ToolAnswer])

    def say(self, *turns: Turn | str) -> None:
        """Append answers; a string is a turn that only says it."""
        self.turns.extend(Turn(text=turn) if isinstance(turn, str) else turn for turn in turns)

    def next_turn(self, said: str, offered: Sequence[str], *, after_tool: bool) -> Turn:
        """Return the model's next answer.

        Args:
            said: the last thing the user said.
            offered: the names of the tools the model may call.
            after_tool: whether the newest message is a tool's return, which ends the calling.
        """
        if self.turns:
            return self.turns.popleft()
        return steered_turn(said, offered, after_tool=after_tool)

    def tool_answer(self, name: str, arguments: str) -> ToolAnswer:
        """Return what a tool of the server answers to a call."""
        if name in self.tools:
            return self.tools[name]
        try:
            city = json.loads(arguments)["city"]
        except (ValueError, KeyError, TypeError):
            city = "the world"
        return ToolAnswer(f"sunny in {city}", stdout=(f"looking up {city}\n",))


def steered_turn(said: str, offered: Sequence[str], *, after_tool: bool) -> Turn:
    """Return the answer that the user's message asks for."""
    if match := re.search(r"FAIL (\d+)", said):
        return Turn(fail=int(match.group(1)))
    reasoning = "thinking about it" if "REASON" in said else None
    match = re.search(r"CALL ((?:\w+ ?)+)", said)
    if match and not after_tool:
        wanted = [name for name in match.group(1).split() if name in offered]
        if wanted:
            return Turn(reasoning=reasoning, calls=[Call(name) for name in wanted])
    match = re.search(r"LONG (\d+)", said)
    words = " ".join(f"word{number}" for number in range(int(match.group(1)) if match else 6))
    # Its tokens end in a space each, the last one too; its whole answer does not.
    return Turn(text=words, reasoning=reasoning, streamed_text=f"{words} ")

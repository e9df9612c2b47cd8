"""What an agent can answer: turns of its model, and the returns of its tools."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from .. import arguments

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

    def __post_init__(self) -> None:
        arguments.text("name", self.name)
        arguments.json_object("arguments", self.arguments)
        arguments.text("id", self.id)

    @property
    def json(self) -> str:
        """The arguments as the JSON text a model writes."""
        return json.dumps(self.arguments)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call of the model used, in tokens.

    Attributes:
        prompt: what the model read.
        completion: what it wrote.
        cached: how much of the prompt came from its cache.
        reasoning: how much of the completion was reasoning.
    """

    prompt: int = 100
    completion: int = 12
    cached: int = 0
    reasoning: int = 0

    def __post_init__(self) -> None:
        for name in ("prompt", "completion", "cached", "reasoning"):
            # What the database of the real server stores.
            arguments.whole(name, getattr(self, name), most=2**31 - 1)

    @property
    def total(self) -> int:
        """What it read and wrote."""
        return self.prompt + self.completion


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
        delay: seconds before the model begins to answer.
        token_delay: seconds before each token; None for the server's own ``delay``.
        usage: what the call is said to have used.
    """

    text: str | None = None
    reasoning: str | None = None
    calls: Sequence[Call] = ()
    fail: int | None = None
    streamed_text: str | None = None
    delay: float = 0.0
    token_delay: float | None = None
    usage: Usage = Usage()

    def __post_init__(self) -> None:
        for name in ("text", "reasoning", "streamed_text"):
            if getattr(self, name) is not None:
                arguments.text(name, getattr(self, name))
        arguments.items("calls", self.calls, Call)
        if self.fail is not None:
            arguments.whole("fail", self.fail, 400, 599)
        arguments.seconds("delay", self.delay)
        if self.token_delay is not None:
            arguments.seconds("token_delay", self.token_delay)
        arguments.instance("usage", self.usage, Usage)

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
        status: Either ``success`` or ``error``.
        stdout: what it printed.
        stderr: what it printed to standard error.
    """

    text: str
    status: Literal["success", "error"] = "success"
    stdout: Sequence[str] = ()
    stderr: Sequence[str] = ()

    def __post_init__(self) -> None:
        arguments.text("text", self.text)
        arguments.one_of("status", self.status, ("success", "error"))
        arguments.texts("stdout", self.stdout)
        arguments.texts("stderr", self.stderr)


def tokens(text: str | None) -> list[str]:
    """Split a text into words, each with the white space that follows it."""
    return re.findall(r"\s*\S+\s*|\s+$", text or "")


def argument_pieces(arguments: str) -> list[str]:
    """Split a call's arguments into the pieces in which they are streamed."""
    return [arguments[at : at + ARGUMENT_PIECE] for at in range(0, len(arguments), ARGUMENT_PIECE)]

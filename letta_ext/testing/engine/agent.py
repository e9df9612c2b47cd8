"""The turns of the model and the results of tools."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from .. import arguments

ARGUMENT_PIECE = 4
"""Number of characters of the arguments of a tool call in one token."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of a scripted turn.

    Attributes:
        name: Name of the tool.
        arguments: Arguments of the call.
        id: Id of the call. The server generates one if it is empty.
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
        """The arguments as JSON text."""
        return json.dumps(self.arguments)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one call of the model.

    Attributes:
        prompt: Prompt tokens.
        completion: Completion tokens.
        cached: Prompt tokens read from the cache.
        reasoning: Completion tokens used for reasoning.
    """

    prompt: int = 100
    completion: int = 12
    cached: int = 0
    reasoning: int = 0

    def __post_init__(self) -> None:
        for name in ("prompt", "completion", "cached", "reasoning"):
            # Letta's database stores 32-bit integers.
            arguments.integer(name, getattr(self, name), maximum=2**31 - 1)

    @property
    def total(self) -> int:
        """The sum of prompt and completion tokens."""
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the model.

    Attributes:
        text: Text of the turn.
        reasoning: Reasoning before the text.
        calls: Tool calls.
        fail: Status code with which the model fails. With text or reasoning, it fails after them, which only a token
            stream shows.
        streamed_text: Text of a token stream, if it differs from ``text``.
        delay: Delay before the turn [s].
        token_delay: Delay before each token [s]. None uses the server's ``delay``.
        usage: Token counts of the turn.
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
            arguments.integer("fail", self.fail, 400, 599)
        arguments.seconds("delay", self.delay)
        if self.token_delay is not None:
            arguments.seconds("token_delay", self.token_delay)
        arguments.instance("usage", self.usage, Usage)

    @property
    def text_tokens(self) -> list[str]:
        """The text as it is streamed, word by word."""
        return tokens(self.text if self.streamed_text is None else self.streamed_text)

    @property
    def reasoning_tokens(self) -> list[str]:
        """The reasoning as it is streamed, word by word."""
        return tokens(self.reasoning)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a tool call.

    Attributes:
        text: The return value.
        status: Either ``success`` or ``error``.
        stdout: Lines written to standard output.
        stderr: Lines written to standard error.
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
    """Split a text into words, each with the white space after it."""
    return re.findall(r"\s*\S+\s*|\s+$", text or "")


def argument_pieces(arguments: str) -> list[str]:
    """Split the arguments of a call into the pieces in which they are streamed."""
    return [arguments[start : start + ARGUMENT_PIECE] for start in range(0, len(arguments), ARGUMENT_PIECE)]

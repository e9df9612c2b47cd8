"""Which turn the agent answers: a script where one is written, and otherwise what the user's message asks for.

The second is the language of the deterministic model server that drives a real Letta in the live tests, so that one
scenario runs against both:

========================  ============================================================
``CALL name [name ...]``  calls these tools once, all in one turn, if they are offered
``LONG n``                answers n words, 1,000,000 at most
``REASON``                thinks before it answers
``FAIL status``           the model answers that HTTP status, from 400 to 599
anything else             answers six words
========================  ============================================================
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..api.validation import is_object
from ..arguments import instance, sequence, shown, text
from .agent import Call, ToolAnswer, Turn

LONGEST = 1_000_000
"""How many words ``LONG`` answers at most."""

Answer = Turn | str | Callable[[str], Turn | str]
"""One answer of a script: a turn, what a turn says, or a function that makes either of the user's message."""

ToolResult = ToolAnswer | str
"""What a tool answers, or only its text."""

Tool = ToolResult | Callable[[dict[str, object]], ToolResult]
"""A tool of a script: what it always answers, or a function of a call's arguments that makes it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is answered to some messages.

    Attributes:
        message: a part of the user's message, in capitals or not, or a pattern that is found in it.
        answers: one for each call of the model that follows the message.
    """

    message: str | re.Pattern[str]
    answers: Sequence[Answer]

    def __post_init__(self) -> None:
        if not isinstance(self.message, (str, re.Pattern)) or (
            isinstance(self.message, re.Pattern) and not isinstance(self.message.pattern, str)
        ):
            raise TypeError(f"message must be a str or a compiled pattern of str, got {shown(self.message)}")
        for index, answer in enumerate(sequence("answers", self.answers)):
            check_answer(f"answers[{index}]", answer)
        if not self.answers:
            raise ValueError("a rule needs at least one answer")

    def fits(self, said: str) -> bool:
        """Tell whether the user's message is one that this rule is about."""
        if isinstance(self.message, str):
            return self.message.casefold() in said.casefold()
        return self.message.search(said) is not None


@dataclass(slots=True)
class Script:
    """What the agents of a server will answer.

    An answer is looked for in this order: what :meth:`say` was told, once each; the first rule of :meth:`when` that
    fits the user's message; :attr:`otherwise`; what the message itself asks for.

    Attributes:
        turns: the answers to give first, one for each call of the model.
        rules: what is answered to which messages.
        otherwise: the answer where no rule fits.
        tools: what the server's tools answer, by name; a tool not named here reports sunshine.
    """

    turns: deque[Answer] = field(default_factory=deque[Answer])
    rules: list[Rule] = field(default_factory=list[Rule])
    otherwise: Answer | None = None
    tools: dict[str, Tool] = field(default_factory=dict[str, Tool])

    def say(self, *answers: Answer) -> None:
        """Append answers that are given once each, whatever the user says; a string is a turn that only says it.

        Raises:
            TypeError: If an answer is not a str, a :class:`Turn` or a function.
            ValueError: If a text contains NUL or lone surrogates.
        """
        for index, answer in enumerate(answers):
            check_answer(f"answers[{index}]", answer)
        self.turns.extend(answers)

    def when(self, message: str | re.Pattern[str], *answers: Answer) -> None:
        """Answer messages that hold this, as often as they come.

        A turn that calls tools is followed by another call of the model, which the next answer is for. Where the
        answers are used up before the agent has come to its end, it says what it would have said without the rule.

        Args:
            message: a part of the user's message, in capitals or not; or a compiled pattern that is found in it.
            answers: what to answer.

        Raises:
            TypeError: If an argument has another type.
            ValueError: there are no answers, or a text contains NUL or lone surrogates.
        """
        self.rules.append(Rule(message, answers))

    def next_turn(self, said: str, offered: Sequence[str], *, after_tool: bool, done: int = 0) -> Turn:
        """Return the model's next answer.

        Args:
            said: the last thing the user said.
            offered: the names of the tools the model may call.
            after_tool: whether the newest message is a tool's return, which ends the calling.
            done: how often the model has answered since the user said it.
        """
        if self.turns:
            return _turn(self.turns.popleft(), said)
        for rule in self.rules:
            if rule.fits(said) and done < len(rule.answers):
                return _turn(rule.answers[done], said)
        if self.otherwise is not None:
            return _turn(self.otherwise, said)
        return steered_turn(said, offered, after_tool=after_tool)

    def next_summary(self, transcript: str) -> Turn:
        """Return what the model makes of the messages it is to summarize. Rules are for what users say."""
        if self.turns:
            return _turn(self.turns.popleft(), transcript)
        return steered_turn(transcript, (), after_tool=True)

    def tool_answer(self, name: str, arguments: str) -> ToolAnswer:
        """Return what a tool of the server answers to a call. A scripted function that raises is a tool that fails."""
        given = _arguments(arguments)
        if name not in self.tools:
            city = given.get("city", "the world")
            return ToolAnswer(f"sunny in {city}", stdout=(f"looking up {city}\n",))
        tool = self.tools[name]
        try:
            answer = tool(given) if callable(tool) else tool
        except Exception as error:  # noqa: BLE001 - whatever a tool raises, the agent is told, as on the real server
            return ToolAnswer(f"Error executing function {name}: {type(error).__name__}: {error}", "error")
        if isinstance(answer, str):
            return ToolAnswer(answer)
        instance(f"the answer of the tool {name}", answer, ToolAnswer)
        return answer


def _arguments(written: str) -> dict[str, object]:
    try:
        value = json.loads(written)
    except ValueError:
        return {}
    return dict(value) if is_object(value) else {}


def _turn(answer: Answer, said: str) -> Turn:
    given = answer(said) if callable(answer) else answer
    if isinstance(given, str):
        return Turn(text=given)
    instance("an answer of the script", given, Turn)
    return given


def check_answer(name: str, answer: object) -> None:
    """Refuse an answer of a script that is not a str, a turn or a function."""
    if isinstance(answer, str):
        text(name, answer)
    elif not isinstance(answer, Turn) and (isinstance(answer, type) or not callable(answer)):
        raise TypeError(f"{name} must be a str, a Turn or a function, got {shown(answer)}")


def steered_turn(said: str, offered: Sequence[str], *, after_tool: bool) -> Turn:
    """Return the answer that the user's message asks for."""
    if match := re.search(r"FAIL ([45][0-9][0-9])(?![0-9])", said):
        return Turn(fail=int(match.group(1)))
    reasoning = "thinking about it" if "REASON" in said else None
    match = re.search(r"CALL ((?:\w+ ?)+)", said)
    if match and not after_tool:
        wanted = [name for name in match.group(1).split() if name in offered]
        if wanted:
            return Turn(reasoning=reasoning, calls=[Call(name) for name in wanted])
    match = re.search(r"LONG ([0-9]{1,9})", said)
    words = " ".join(f"word{number}" for number in range(min(int(match.group(1)), LONGEST) if match else 6))
    # Its tokens end in a space each, the last one too; its whole answer does not.
    return Turn(text=words, reasoning=reasoning, streamed_text=f"{words} ")

"""The script of an agent, and the commands in user messages that apply if no script does.

The model server for the integration tests has the same commands, so that a scenario runs against both:

========================  ============================================================
``CALL name [name ...]``  call these tools in one turn, if the model may call them
``LONG n``                respond with n words, at most 1,000,000
``REASON``                add reasoning
``FAIL status``           fail with this status code, from 400 to 599
other messages            respond with a greeting of six words
========================  ============================================================
"""

from __future__ import annotations

import inspect
import json
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..api.validation import is_object
from ..arguments import instance, sequence, short_repr, text
from .agent import Call, ToolResult, Turn

MAX_WORDS = 1_000_000
"""Maximum number of words of ``LONG``."""

GREETING = "Hello! How can I help you?"
"""The response to other messages."""

SUMMARY = "The user and the agent exchanged greetings."
"""The summary of other transcripts."""

Response = Turn | str | Callable[[str], Turn | str]
"""One scripted response: a turn, its text, or a function of the user's message that returns either."""

ToolOutput = ToolResult | str
"""The result of a tool, or only its text."""

Tool = ToolOutput | Callable[[dict[str, object]], ToolOutput]
"""A scripted tool: its constant result, or a function of the arguments that returns it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The responses to some messages.

    Attributes:
        message: A part of the user's message (case-insensitive), or a pattern to search for.
        responses: One response for each call of the model that follows the message.
    """

    message: str | re.Pattern[str]
    responses: Sequence[Response]

    def __post_init__(self) -> None:
        if not isinstance(self.message, (str, re.Pattern)) or (
            isinstance(self.message, re.Pattern) and not isinstance(self.message.pattern, str)
        ):
            raise TypeError(f"message must be a str or a compiled pattern of str, got {short_repr(self.message)}")
        for index, response in enumerate(sequence("responses", self.responses)):
            check_response(f"responses[{index}]", response)
        if not self.responses:
            raise ValueError("responses must contain at least one response")

    def matches(self, user_message: str) -> bool:
        """Return whether the rule applies to a message of the user."""
        if isinstance(self.message, str):
            return self.message.casefold() in user_message.casefold()
        return self.message.search(user_message) is not None


@dataclass(slots=True)
class Script:
    """The responses of the agents of a server.

    A response comes from the first of these that applies: the queue of `say`, the rules of `when`,
    `otherwise`, and the commands in the message.

    Attributes:
        turns: Queued responses, one for each call of the model.
        rules: Responses to certain messages.
        otherwise: The response if no rule applies.
        tools: Results of the server's tools by name. Other tools report sunny weather.
    """

    turns: deque[Response] = field(default_factory=deque[Response])
    rules: list[Rule] = field(default_factory=list[Rule])
    otherwise: Response | None = None
    tools: dict[str, Tool] = field(default_factory=dict[str, Tool])

    def say(self, *responses: Response) -> None:
        """Queue responses that are used once each, for any message. A string is a turn with this text.

        Raises:
            TypeError: If a response is not a str, a `Turn` or a function.
            ValueError: If a text contains NUL or lone surrogates.
        """
        for index, response in enumerate(responses):
            check_response(f"responses[{index}]", response)
        self.turns.extend(responses)

    def when(self, message: str | re.Pattern[str], *responses: Response) -> None:
        """Respond to all messages that contain a text or match a pattern.

        After a turn with tool calls, the model is called again and uses the next response. After the last response, the
        script continues as if the rule did not exist.

        Args:
            message: A part of the user's message (case-insensitive), or a compiled pattern to search for.
            responses: The responses.

        Raises:
            TypeError: If an argument has another type.
            ValueError: If responses are missing, or a text contains NUL or lone surrogates.
        """
        self.rules.append(Rule(message, responses))

    def next_turn(self, user_message: str, tools: Sequence[str], *, after_tool: bool, turns_done: int = 0) -> Turn:
        """Return the next turn of the model.

        Args:
            user_message: The last message of the user.
            tools: Names of the tools that the model may call.
            after_tool: Whether the newest message is a tool return, after which commands call no tools.
            turns_done: Number of turns since the message of the user.
        """
        if self.turns:
            return _to_turn(self.turns.popleft(), user_message)
        for rule in self.rules:
            if rule.matches(user_message) and turns_done < len(rule.responses):
                return _to_turn(rule.responses[turns_done], user_message)
        if self.otherwise is not None:
            return _to_turn(self.otherwise, user_message)
        return turn_from_message(user_message, tools, after_tool=after_tool)

    def next_summary(self, transcript: str) -> Turn:
        """Return the model's summary of a transcript. Rules do not apply."""
        if self.turns:
            return _to_turn(self.turns.popleft(), transcript)
        return turn_from_message(transcript, (), after_tool=True, otherwise=SUMMARY)

    def tool_result(self, name: str, arguments: str) -> ToolResult:
        """Return the result of a tool call. A script function that raises results in an error."""
        value = _arguments(arguments)
        if name not in self.tools:
            city = value.get("city", "the world")
            return ToolResult(f"sunny in {city}", stdout=(f"looking up {city}\n",))
        tool = self.tools[name]
        try:
            response = tool(value) if callable(tool) else tool
        except Exception as error:  # noqa: BLE001  # as in Letta, it becomes an error result
            return ToolResult(f"Error executing function {name}: {type(error).__name__}: {error}", "error")
        if isinstance(response, str):
            return ToolResult(response)
        instance(f"the result of the tool {name}", response, ToolResult)
        return response


def echo(message: str) -> str:
    """Return the user's message: a response that repeats it."""
    return message


def _arguments(json_text: str) -> dict[str, object]:
    try:
        value = json.loads(json_text)
    except ValueError:
        return {}
    return dict(value) if is_object(value) else {}


def _to_turn(response: Response, user_message: str) -> Turn:
    value = response(user_message) if callable(response) else response
    if isinstance(value, str):
        return Turn(text=value)
    instance("a scripted response", value, Turn)
    return value


def check_response(name: str, response: object) -> None:
    """Validate that a scripted response is a str, a turn or a function."""
    if isinstance(response, str):
        text(name, response)
    elif inspect.iscoroutinefunction(response):
        raise TypeError(f"{name} must be a function that is not async, got {short_repr(response)}")
    elif not isinstance(response, Turn) and (isinstance(response, type) or not callable(response)):
        raise TypeError(f"{name} must be a str, a Turn or a function, got {short_repr(response)}")


def turn_from_message(user_message: str, tools: Sequence[str], *, after_tool: bool, otherwise: str = GREETING) -> Turn:
    """Return the turn that the commands in a message request."""
    if match := re.search(r"FAIL ([45][0-9][0-9])(?![0-9])", user_message):
        return Turn(fail=int(match.group(1)))
    reasoning = "thinking about it" if "REASON" in user_message else None
    match = re.search(r"CALL ((?:\w+ ?)+)", user_message)
    if match and not after_tool:
        wanted = [name for name in match.group(1).split() if name in tools]
        if wanted:
            return Turn(reasoning=reasoning, calls=[Call(name) for name in wanted])
    match = re.search(r"LONG ([0-9]{1,9})", user_message)
    count = min(int(match.group(1)), MAX_WORDS) if match else 0
    words = " ".join(f"word{number}" for number in range(count)) if match else otherwise
    # A streamed text of Letta's model server ends with a space, a text that is not streamed does not.
    return Turn(text=words, reasoning=reasoning, streamed_text=f"{words} ")

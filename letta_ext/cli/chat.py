"""`letta-ext chat`: a conversation in a terminal."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from letta_api.models import ToolCall

from ..errors import LettaError
from .exit_codes import ExitCode, UsageError, hint_of
from .help import Command
from .inputs import read_line, require_utf8
from .send import NewOption, TargetArgument, find_target
from .session import Session, checked, command
from .target import Target
from .terminal_text import clean_line
from .turns import TurnPrinter, finish

PROMPT: Final = "> "
HISTORY_LINES: Final = 1000
HELP: Final = "Type a message. /quit or Ctrl+D ends the chat. Ctrl+C ends it too, and a reply continues on the server."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("chat", cls=Command)(command(chat))


def chat(
    session: Session,
    target: TargetArgument,
    new: NewOption = False,
    no_history: Annotated[
        bool, typer.Option("--no-history", help="Do not store the messages in the history file of the chat.")
    ] = False,
) -> int:
    """Talk to an agent, and print its replies as they arrive.

    Tools that need approval are asked about. Ctrl+C during a reply ends the chat; the run continues on the server, and
    a note names the command that prints the rest. Lines can be edited, and earlier ones recalled, if Python has
    readline. Without a terminal, each line of the standard input is a message.
    """
    session.output.as_json = bool(session.output.chosen_json)
    found = find_target(session, target, new=new)
    return Chat(session, found, Keyboard(session, keep_history=not no_history)).run()


class Keyboard:
    """The input of a chat, with line editing and a history on a terminal.

    Args:
        session: The session.
        keep_history: Whether to store the lines in a file that later chats read.
    """

    def __init__(self, session: Session, *, keep_history: bool) -> None:
        self._output = session.output
        self.is_terminal = sys.stdin is not None and sys.stdin.isatty() and session.output.is_terminal
        self._keep_history = keep_history and self.is_terminal
        self._readline: Any = None
        if self.is_terminal:
            with suppress(ImportError):  # Windows and some builds of Python do not have it
                self._readline = import_module("readline")
        if self._readline is not None and self._keep_history:
            with suppress(OSError, RuntimeError):  # RuntimeError: the user has no home directory
                self._readline.read_history_file(history_file())

    def line(self, prompt: str) -> str | None:
        """Return the next line, or None at the end of the input."""
        if self.is_terminal:
            try:
                return require_utf8("the line", input(prompt))
            except EOFError:
                self._output.write("\n")
                return None
            except UnicodeDecodeError:
                self._output.error("the line must be UTF-8")
                return ""
        line = read_line()
        return None if line is None else line.rstrip("\r\n")

    def close(self) -> None:
        """Store the history, which only its owner can read."""
        if self._readline is None or not self._keep_history:
            return
        with suppress(OSError, RuntimeError):  # RuntimeError: the user has no home directory
            path = history_file()
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._readline.set_history_length(HISTORY_LINES)
            self._readline.write_history_file(path)


def history_file() -> Path:
    """Return the path of the history."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "letta-ext" / "chat_history"


class Chat:
    """The loop of messages and replies."""

    def __init__(self, session: Session, target: Target, keyboard: Keyboard) -> None:
        self._session = session
        self._target = target
        self._keyboard = keyboard
        self._printer = TurnPrinter(session, target)
        self._left_pending = False
        self._is_interrupted = False

    def run(self) -> int:
        """Read messages to the end of the input, and return the exit code."""
        output, client = self._session.output, self._session.client
        target = self._target
        if self._keyboard.is_terminal:
            output.note(f"{self._describe_target()}. {HELP}")
        try:
            if checked(client.conversations.messages.pending, target.conversation_id, **target.arguments) is not None:
                output.note("The agent waits for a decision.")
                self._turn({})
            while not self._left_pending:
                line = self._keyboard.line(PROMPT)
                if line is None or line.strip() in ("/quit", "/exit"):
                    break
                if line.strip() in ("/help", "/?"):
                    output.note(HELP)
                elif line.strip():
                    self._try_turn(line)
        finally:
            self._keyboard.close()
        code = finish(self._session, target, "requires_approval") if self._left_pending else ExitCode.OK
        return ExitCode.INTERRUPTED if self._is_interrupted else code

    def _describe_target(self) -> str:
        client, target = self._session.client, self._target
        if target.agent_id is None:
            agent_id = client.conversations.retrieve(target.conversation_id).agent_id
            return f"{client.agents.retrieve(agent_id).name}, conversation {target.conversation_id}"
        return f"{client.agents.retrieve(target.agent_id).name}, default conversation of {target.agent_id}"

    def _try_turn(self, text: str) -> None:
        """Run a turn. An error on a terminal ends the turn, and not the chat."""
        try:
            self._turn({"input": text})
        except (LettaError, UsageError) as error:
            if not self._keyboard.is_terminal:
                raise
            self._session.output.error(str(error), hint_of(error) if isinstance(error, LettaError) else None)

    def _turn(self, arguments: dict[str, Any]) -> None:
        output, target = self._session.output, self._target
        self._printer = TurnPrinter(self._session, target)
        turn = checked(
            self._session.client.conversations.messages.run_tools,
            target.conversation_id,
            approve=self._approve,
            stream_tokens=output.is_terminal and not output.as_json,
            **arguments,
            **target.arguments,
        )
        try:
            self._printer.print(turn)
        except _LeftPending:
            self._left_pending = True
            return
        if self._printer.stop_reason not in (None, "end_turn"):
            output.note(f"stop reason: {self._printer.stop_reason}")

    def _approve(self, call: ToolCall) -> Any:
        """Ask whether a tool may run."""
        self._printer.end_line()
        if not self._keyboard.is_terminal:
            raise _LeftPending
        try:
            line = self._keyboard.line(f"Run {clean_line(call.name)}? [y]es, [n]o, or a reason against it: ")
        except KeyboardInterrupt:  # the run waits for the decision, and does not continue
            self._session.output.write("\n")
            self._is_interrupted, line = True, None
        if line is None:
            raise _LeftPending
        reply = line.strip()
        if reply.lower() in ("y", "yes"):
            return True
        return False if reply.lower() in ("", "n", "no") else (False, reply)


class _LeftPending(Exception):  # noqa: N818  # the user leaves the decision open, which is not an error
    """The input has ended at a question."""

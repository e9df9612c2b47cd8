"""A turn of an agent on the output, and what remains to do after it: resuming, deciding."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any, Final

from .._pagination.items import field_of
from ..errors import StreamInterrupted, StreamTimeoutError
from .exit_codes import ExitCode
from .interrupts import DeferredInterrupt
from .session import Session
from .target import Target
from .views import EventPrinter

COMPLETED: Final = frozenset({"end_turn", "tool_rule", "max_steps", "no_tool_call", "max_tokens_exceeded"})
"""Stop reasons of a turn that has a result."""

APPROVAL: Final = "requires_approval"


class TurnPrinter:
    """Prints the events of one turn, and keeps its position.

    Attributes:
        run_id: The id of the run, or None before an event names it.
        last_seq_id: The number of the last event, or None.
        stop_reason: The stop reason of the last round, or None.
    """

    def __init__(self, session: Session, target: Target) -> None:
        self._session = session
        self._target = target
        self._printer = EventPrinter(session.output)
        self.run_id: str | None = None
        self.last_seq_id: int | None = None
        self.stop_reason: str | None = None

    def print(self, events: Iterable[Any]) -> None:
        """Print events to their end.

        Raises:
            KeyboardInterrupt: If the user interrupts them. A note names the command that prints the rest.
        """
        output = self._session.output
        try:
            for event in events:
                with DeferredInterrupt():
                    if not output.as_json:
                        self._printer.add(event)
                    elif field_of(event, "message_type") != "ping":
                        output.json_line(event)
                    self._keep_position(event)
        except (StreamTimeoutError, BrokenPipeError):
            raise
        except OSError:  # such as a full disk
            output.note(self.how_to_continue())
            raise
        except (KeyboardInterrupt, StreamInterrupted):
            self.end_line()
            output.note(self.how_to_continue())
            raise
        finally:
            self.end_line()

    def _keep_position(self, event: Any) -> None:
        run_id, seq_id = field_of(event, "run_id"), field_of(event, "seq_id")
        if isinstance(run_id, str) and run_id != self.run_id:
            self.run_id, self.last_seq_id = run_id, None
        if isinstance(seq_id, int):
            self.last_seq_id = seq_id
        if field_of(event, "message_type") == "stop_reason":
            self.stop_reason = field_of(event, "stop_reason")

    def end_line(self) -> None:
        """End the line of the text that is being printed."""
        if not self._session.output.as_json:
            self._printer.finish()

    def how_to_continue(self) -> str:
        """Return how the rest of the turn can be printed."""
        if self.run_id is None:
            command = shlex.join(["letta-ext", "messages", str(self._target)])
            return f"The run continues on the server, if the message has reached it. See: {command}"
        return f"The run continues on the server. Print the rest with: {resume_command(self.run_id, self.last_seq_id)}"


def resume_command(run_id: str, last_seq_id: int | None) -> str:
    """Return the command that prints the rest of a run."""
    after = [] if last_seq_id is None else ["--after", str(last_seq_id)]
    return shlex.join(["letta-ext", "resume", run_id, *after])


def finish(session: Session, target: Target, stop_reason: str | None) -> ExitCode:
    """Print a note about a turn without a usual end, and return its exit code."""
    if stop_reason == APPROVAL:
        command = shlex.join(["letta-ext", "pending", str(target)])
        session.output.note(f"The agent waits for a decision. Run '{command} --approve', or --deny.")
        return ExitCode.PENDING
    if stop_reason is None or stop_reason == "end_turn":
        return ExitCode.OK
    session.output.note(f"stop reason: {stop_reason}")
    return ExitCode.OK if stop_reason in COMPLETED else ExitCode.ERROR

"""`letta-ext send`, `resume` and `pending`: one turn of an agent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, Final

import typer

from .._http.busy_wait import status_has_ended
from .._sync.stream import Stream
from ..errors import APITimeoutError, BadRequestError, NotFoundError, RunExpiredError
from ..limits import StreamLimits
from .exit_codes import ExitCode, UsageError
from .help import Command
from .inputs import read_stdin, require_utf8
from .messages import Line, calls_text, describe
from .session import Session, checked, command
from .target import TARGET_HELP, Target
from .turns import TurnPrinter, finish, resume_command
from .values import to_json_value

IDLE: Final = 30.0
"""Seconds without an event after which the status of a run is read."""

IDLE_AFTER_END: Final = 5.0
"""The same for a run that has ended: its events are stored."""

TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", help=TARGET_HELP, show_default=False)]
NewOption = Annotated[bool, typer.Option("--new", help="Begin a new conversation with the agent.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, function in (("send", send), ("resume", resume), ("pending", pending)):
        app.command(name, cls=Command)(command(function))


def send(
    session: Session,
    target: TargetArgument,
    text: Annotated[
        str | None,
        typer.Argument(help="The message. Without it, or with -, the standard input.", show_default=False),
    ] = None,
    new: NewOption = False,
    background: Annotated[
        bool, typer.Option("--background", help="Print the id of the run and exit. The run continues.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait while another run holds the conversation.")] = False,
) -> int:
    """Send a message to an agent, and print its reply as it arrives.

    With a pipe as the output, only the text of the reply is printed. With --json, each event is one line. The run
    continues on the server if this command is interrupted, and 'letta-ext resume' prints the rest.
    """
    if (text is None or text == "-") and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("pass the message as an argument, or pipe it to the standard input")
    message = read_stdin() if text is None or text == "-" else require_utf8("the message", text)
    if not message.strip():
        raise UsageError("the message must not be empty")
    found = find_target(session, target, new=new)
    output = session.output
    output.as_json = bool(output.chosen_json)  # a reply is text for people, also in a pipe
    create = partial(
        session.client.conversations.messages.create,
        found.conversation_id,
        input=message,
        background=True,
        stream_tokens=output.is_terminal and not output.as_json,
        when_busy="wait" if wait else "raise",
        **found.arguments,
    )
    if background:
        with checked(create) as stream:
            return _leave_running(session, stream)
    printer = TurnPrinter(session, found)
    printer.print(_events(create))
    return finish(session, found, printer.stop_reason)


def _events(create: Callable[[], Any]) -> Iterator[Any]:
    """Send a message, and yield the events of its reply. An interruption of the request is one of the iteration."""
    with checked(create) as stream:
        yield from stream


def find_target(session: Session, text: str, *, new: bool) -> Target:
    """Return the conversation that a text names, or a new one of its agent."""
    target = Target.find(session, text)
    if not new:
        return target
    if target.agent_id is None:
        raise UsageError("--new requires an agent, not a conversation")
    return Target(session.client.conversations.create(agent_id=target.agent_id).id)


def _leave_running(session: Session, stream: Stream[Any]) -> int:
    """Print the id of the run of a stream, and leave it."""
    for _ in stream:
        if stream.run_id is not None:
            break
    run_id = stream.run_id
    if run_id is None:
        raise UsageError("the server has not sent the id of the run")
    if session.output.as_json:
        session.output.json_line({"run_id": run_id})
    else:
        session.output.text(run_id)
        session.output.note(f"Print the reply with: {resume_command(run_id, None)}")
    return ExitCode.OK


def resume(
    session: Session,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The id of the run.", show_default=False)],
    after: Annotated[
        int, typer.Option(metavar="N", help="The number of the last event that was printed.", show_default=False)
    ] = 0,
) -> int:
    """Print the reply of a run that was left, from its beginning or after an event.

    If the server no longer stores the events of the run, the command waits for its end and prints its messages.
    """
    output = session.output
    output.as_json = bool(output.chosen_json)
    found = checked(session.client.runs.retrieve, run)
    target = Target(found.conversation_id) if found.conversation_id else Target("default", found.agent_id)
    printer = TurnPrinter(session, target)
    ended = status_has_ended(found.status)
    while True:
        position = max(after, printer.last_seq_id or 0)
        limits = StreamLimits(idle=IDLE_AFTER_END if ended else IDLE)
        try:
            with _stream(session, target, run, position, limits) as stream:
                printer.print(stream)
        except APITimeoutError:  # a server sends nothing after the last event of a run, and does not end the stream
            found = session.client.runs.retrieve(run)
            if ended and status_has_ended(found.status):
                return finish(session, target, found.stop_reason)
            ended = status_has_ended(found.status)
        except (BadRequestError, NotFoundError, RunExpiredError):
            output.note("The server does not store the events of this run. These are its messages.")
            return _show_stored(session, target, run)
        else:
            return finish(session, target, printer.stop_reason)


def _stream(session: Session, target: Target, run_id: str, after: int, limits: StreamLimits) -> Stream[Any]:
    """Return the events of a run after a position."""
    stream: Stream[Any] = checked(
        session.client.conversations.messages.stream,
        target.conversation_id,
        run_id=run_id,
        starting_after=after,
        stream_limits=limits,
        **target.arguments,
    )
    return stream


def _show_stored(session: Session, target: Target, run_id: str) -> int:
    """Print the messages of a run after its end."""
    run = session.client.runs.wait(run_id, timeout=None)
    for message in session.client.runs.messages.list(run_id, order="asc"):
        if session.output.as_json:
            session.output.json_line(message)
        elif message.message_type != "user_message":
            session.output.message(describe(message))
    return finish(session, target, run.stop_reason)


def pending(
    session: Session,
    target: TargetArgument,
    approve: Annotated[bool, typer.Option("--approve", help="Approve the calls, and print the reply.")] = False,
    deny: Annotated[bool, typer.Option("--deny", help="Deny the calls, and print the reply.")] = False,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The reason for the agent.", show_default=False)
    ] = None,
) -> int:
    """Print the tool calls that an agent waits for, or decide about them.

    The exit code is 3 while calls wait for a decision, and 0 if there are none.
    """
    if approve and deny:
        raise UsageError("--approve and --deny exclude each other")
    if reason is not None and not deny:
        raise UsageError("--reason requires --deny")
    found, output = Target.find(session, target), session.output
    messages = session.client.conversations.messages
    request = checked(messages.pending, found.conversation_id, **found.arguments)
    if request is None:
        if output.as_json and not approve and not deny:
            output.json_line(None)
        else:
            output.note("no call is pending")
        return ExitCode.OK
    if not approve and not deny:
        if output.as_json:
            calls = [to_json_value(call) for call in request.calls]
            output.json_line({"id": request.id, "run_id": request.run_id, "calls": calls})
        else:
            output.message(Line("approve?", calls_text(request.calls), "yellow"))
        return ExitCode.PENDING
    verdict: Any = True if approve else (False, reason) if reason is not None else False
    output.as_json = bool(output.chosen_json)
    printer = TurnPrinter(session, found)
    printer.print(
        messages.run_tools(
            found.conversation_id,
            approve=lambda _: verdict,
            stream_tokens=output.is_terminal and not output.as_json,
            **found.arguments,
        )
    )
    return finish(session, found, printer.stop_reason)

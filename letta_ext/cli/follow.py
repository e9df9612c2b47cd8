"""`letta-ext tail`: the messages of a conversation as they appear."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from .help import Command
from .messages import describe
from .send import TargetArgument
from .session import Session, checked, command, option_names
from .target import Target

MAX_INTERVAL: Final = 15.0
"""Seconds between two polls of an idle conversation."""

NAMES: Final = {
    "timeout": "--for",
    "interval": "--interval",
    "give after or from_start, not both": "--after and --from-start exclude each other",
}
"""Texts of the command line by those of `follow`."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tail", cls=Command)(command(tail))


def tail(
    session: Session,
    target: TargetArgument,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Print the existing messages first.", show_default=False)
    ] = False,
    after: Annotated[
        str | None, typer.Option(metavar="MESSAGE_ID", help="Print the messages after this one.", show_default=False)
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option("--for", metavar="SECONDS", help="End after this time. Defaults to no end.", show_default=False),
    ] = None,
    interval: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="The delay between two polls. It grows to 15 without new messages."),
    ] = 1.0,
) -> None:
    """Print the messages of a conversation as they appear, until Ctrl+C."""
    found = Target.find(session, target)
    with option_names(NAMES):
        follow = checked(
            session.client.conversations.messages.follow,
            found.conversation_id,
            from_start=from_start,
            after=after,
            timeout=duration,
            interval=interval,
            max_interval=max(interval, MAX_INTERVAL),
            **found.arguments,
        )
    for message in follow:
        if session.output.as_json:
            session.output.json_line(message)
        else:
            session.output.message(describe(message))

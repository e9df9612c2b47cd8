"""`letta-ext runs cancel` and `runs wait`: methods of the client that combine several requests."""

from __future__ import annotations

from typing import Annotated

import typer

from .exit_codes import ExitCode
from .help import Command
from .session import Session, checked, command

RunArgument = Annotated[str, typer.Argument(metavar="RUN_ID", help="The id of the run.", show_default=False)]


def register(group: typer.Typer) -> None:
    """Add the commands to the group of runs."""
    group.command("cancel", cls=Command)(command(cancel))
    group.command("wait", cls=Command)(command(wait))


def cancel(session: Session, run_id: RunArgument) -> None:
    """Cancel a run."""
    session.output.value(checked(session.client.runs.cancel, run_id))


def wait(
    session: Session,
    run_id: RunArgument,
    duration: Annotated[
        float, typer.Option("--for", metavar="SECONDS", help="The time after which the command gives up.")
    ] = 600.0,
) -> int:
    """Wait until a run has ended, and print it. The exit code is 1 unless the run is completed."""
    run = checked(session.client.runs.wait, run_id, timeout=duration)
    session.output.value(run)
    return ExitCode.OK if run.status == "completed" else ExitCode.ERROR

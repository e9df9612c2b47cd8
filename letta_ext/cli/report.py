"""`letta-ext report`: a run or a period as one HTML file."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from .._sync.client import Letta
from ..hooks import AttemptReport, Hooks
from .exit_codes import ExitCode
from .help import Command, Group
from .session import Session, checked, command, option_names
from .target import find_agent

NAME: Final = "report"
HELP: Final = "Write the time line, tokens, cost, errors and messages of a run or a period as one HTML file."
STANDARD_OUTPUT: Final = "-"
NAMES: Final = {"start_date": "--start", "end_date": "--end", "path": "--output", "prices": "--prices"}
"""Options by the arguments of a report."""

OutputOption = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="The file, or - for the standard output."),
]
PricesOption = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="A JSON file with the prices of models. Defaults to those of the package."),
]


def _limit_option(help: str) -> Any:
    return typer.Option(metavar="N", help=help, min=1)


StepsOption = Annotated[int, _limit_option("The maximum number of steps on time lines. The sums cover all.")]
MessagesOption = Annotated[int, _limit_option("The maximum number of messages.")]
TextOption = Annotated[int, _limit_option("The maximum number of characters of each text.")]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(cls=Group, help=HELP, no_args_is_help=True)
    group.command("run", cls=Command)(command(report_run))
    group.command("period", cls=Command)(command(report_period))
    app.add_typer(group, name=NAME)


def report_run(
    session: Session,
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="The id of the run.", show_default=False)],
    output: OutputOption = None,
    prices: PricesOption = None,
    max_steps: StepsOption = 1_000,
    max_messages: MessagesOption = 2_000,
    max_text: TextOption = 20_000,
) -> int:
    """Write the report of a run, by default to RUN_ID.html."""
    limits = {"steps": max_steps, "messages": max_messages, "text": max_text}
    return _report(session, output or f"{_file_name(run_id)}.html", limits, {"run_id": run_id, "prices": prices})


def report_period(
    session: Session,
    start: Annotated[
        str, typer.Option(metavar="TIME", help="The start: a date in UTC, or a time with a time zone in ISO 8601.")
    ],
    end: Annotated[str | None, typer.Option(metavar="TIME", help="The end. Defaults to now.")] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="AGENT", help="The id or the name of an agent. Defaults to all.")
    ] = None,
    output: OutputOption = None,
    prices: PricesOption = None,
    max_runs: Annotated[int, _limit_option("The maximum number of runs with steps and messages, newest first.")] = 100,
    max_steps: StepsOption = 1_000,
    max_messages: MessagesOption = 2_000,
    max_text: TextOption = 20_000,
) -> int:
    """Write the report of a period, by default to report.html."""
    limits = {"runs": max_runs, "steps": max_steps, "messages": max_messages, "text": max_text}
    agent_id = None if agent is None else find_agent(session, agent)
    arguments = {"start_date": start, "end_date": end, "agent_id": agent_id, "prices": prices}
    return _report(session, output or "report.html", limits, arguments)


def _file_name(run_id: str) -> str:
    """Return an id as the name of a file."""
    return "".join(each if each.isalnum() or each in "-_" else "_" for each in run_id)[:100] or NAME


def _report(session: Session, output: str, limits: dict[str, int], arguments: dict[str, Any]) -> int:
    try:
        from ..report import ReportLimits, render_report, write_report  # requires the extra `report`
    except ImportError as error:
        session.output.error(str(error))
        return ExitCode.ERROR
    arguments["limits"] = ReportLimits(**limits)
    if output == STANDARD_OUTPUT:
        with option_names(NAMES), _progress(session) as client:
            html: str = checked(render_report, client, **arguments)
        sys.stdout.buffer.write(html.encode())
        return ExitCode.OK
    try:
        with option_names(NAMES), _progress(session) as client:
            path: Path = checked(write_report, client, output, **arguments)
    except OSError as error:
        session.output.error(f"The report cannot be written: {error}")
        return ExitCode.ERROR
    if session.output.as_json:
        session.output.json_line({"path": str(path)})
    else:
        session.output.text(str(path))
    return ExitCode.OK


@contextmanager
def _progress(session: Session) -> Generator[Letta]:
    """Yield the client, whose requests are counted on the terminal if the notes are shown there."""
    console = session.output.notes
    if not console.is_terminal:
        yield session.client
        return
    requests = count(1)
    with console.status("0 requests") as shown:

        def show(_: AttemptReport) -> None:
            shown.update(f"{next(requests)} requests")

        yield session.client.with_options(hooks=Hooks(on_attempt=show))

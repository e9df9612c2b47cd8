"""`letta-ext export`: steps and messages as files, continued after a kill."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from .exit_codes import ExitCode, UsageError
from .help import Command, Group
from .session import Session, checked, command, option_names
from .target import TARGET_HELP, Target, find_agent

if TYPE_CHECKING:
    from ..export import ExportProgress

NAME: Final = "export"
HELP: Final = "Write steps or messages to Parquet files or JSON lines, each once, also after a kill."
NAMES: Final = {
    "conversations and agent_id are": "TARGET and --agent are",
    "start_date": "--start",
    "end_date": "--end",
    "directory": "--output",
    "shards": "--shards",
}
"""Texts of the command line by those of an export."""


class FileFormat(StrEnum):
    """A format of the files."""

    PARQUET = "parquet"
    JSONL = "jsonl"


OutputOption = Annotated[
    str, typer.Option("--output", "-o", metavar="DIRECTORY", help="The directory, which is created.")
]
FormatOption = Annotated[FileFormat, typer.Option("--format", "-f", help="The format of the files.")]
ContinueOption = Annotated[
    bool, typer.Option("--continue", help="Continue the export in the directory, with the same options as before.")
]
WorkersOption = Annotated[int, typer.Option(metavar="N", min=1, help="The number of shards that are written at once.")]
PageSizeOption = Annotated[int, typer.Option(metavar="N", min=1, help="The number of items of a request.")]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(cls=Group, help=HELP, no_args_is_help=True)
    group.command("steps", cls=Command)(command(export_steps))
    group.command("messages", cls=Command)(command(export_messages))
    app.add_typer(group, name=NAME)


def export_steps(
    session: Session,
    output: OutputOption,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="Export steps after this time.")] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Export steps before this time.")] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(
            "--agent", metavar="AGENT", help="The id or the name of an agent. Repeat it for several. Defaults to all."
        ),
    ] = None,
    format: FormatOption = FileFormat.PARQUET,
    shards: Annotated[
        int, typer.Option(metavar="N", min=1, help="The number of equal periods that are written independently.")
    ] = 1,
    workers: WorkersOption = 1,
    page_size: PageSizeOption = 1000,
    continued: ContinueOption = False,
) -> int:
    """Export the steps of a period, of agents, or all."""
    arguments = {
        "start_date": start,
        "end_date": end,
        "agent_id": [find_agent(session, each) for each in agent] if agent else None,
        "shards": shards,
    }
    return _export(session, "export_steps", output, format, workers, page_size, continued, arguments)


def export_messages(
    session: Session,
    output: OutputOption,
    conversations: Annotated[list[str] | None, typer.Argument(metavar="TARGET...", help=TARGET_HELP)] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="AGENT", help="The agent whose conversations are all exported.")
    ] = None,
    format: FormatOption = FileFormat.PARQUET,
    workers: WorkersOption = 1,
    page_size: PageSizeOption = 1000,
    continued: ContinueOption = False,
) -> int:
    """Export the messages of conversations, or of all conversations of an agent."""
    arguments = {
        "conversations": [str(Target.find(session, each)) for each in conversations] if conversations else None,
        "agent_id": find_agent(session, agent) if agent is not None else None,
    }
    return _export(session, "export_messages", output, format, workers, page_size, continued, arguments)


def _export(
    session: Session,
    name: str,
    output: str,
    format: FileFormat,
    workers: int,
    page_size: int,
    continued: bool,
    arguments: dict[str, Any],
) -> int:
    from .. import export  # needed by this command only
    from ..export.state import is_export

    if not continued and is_export(Path(output)):
        raise UsageError(f"{output} holds an export. Pass --continue to continue it, or another directory.")
    with _progress(session) as progress, ThreadPoolExecutor(workers) if workers > 1 else nullcontext() as executor:
        arguments |= {"format": format.value, "page_size": page_size, "executor": executor, "progress": progress}
        try:
            with option_names(NAMES):
                summary: export.ExportSummary = checked(getattr(export, name), session.client, output, **arguments)
        except ModuleNotFoundError as error:
            session.output.error(str(error))
            return ExitCode.ERROR
        except (export.ExportError, KeyboardInterrupt):
            if is_export(Path(output)):
                session.output.note(f"what is written is kept in {output}: pass --continue to continue")
            raise
    totals = {"rows": summary.rows, "parts": summary.parts, "bytes": summary.bytes}
    if session.output.as_json:
        session.output.json_line({"directory": str(summary.directory), **totals, "shards": summary.shards})
    else:
        session.output.text(f"{summary.rows} rows in {summary.parts} files, {summary.bytes} bytes: {output}")
    return ExitCode.OK


@contextmanager
def _progress(session: Session) -> Generator[Callable[[ExportProgress], None] | None]:
    """Yield a function that shows the progress on a terminal. None if the notes are not on a terminal."""
    console = session.output.notes
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        BarColumn(20),
        TextColumn("{task.completed} of {task.total} shards, {task.fields[rows]} rows, {task.fields[rate]} rows/s"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task("", total=1, rows=0, rate=0)
        rows_before: int | None = None

        def show(found: ExportProgress) -> None:
            nonlocal rows_before
            rows_before = found.rows if rows_before is None else rows_before
            elapsed = shown.tasks[0].elapsed
            rate = int((found.rows - rows_before) / elapsed) if elapsed else 0
            shown.update(task, completed=found.shards_done, total=found.shards, rows=found.rows, rate=rate)

        yield show

"""`letta-ext serve`: the embedded server, with the options of `python -m letta_ext.testing`."""

from __future__ import annotations

from typing import Any, Final

import typer

from .exit_codes import ExitCode
from .output import Output
from .session import run_and_exit

NAME: Final = "serve"
HELP: Final = "Run the embedded server, print its address and a line per request. Ctrl+C stops it. See 'serve --help'."
SETTINGS: Final[dict[str, Any]] = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(NAME, context_settings=SETTINGS, add_help_option=False, help=HELP)(serve)


def serve(context: typer.Context) -> None:
    """Run the embedded server with the arguments that its own parser checks."""
    output = Output(as_json=False)

    def run() -> int:
        try:
            from ..testing.command import main  # requires the extra `testing`
        except ImportError as error:
            output.error(str(error))
            return ExitCode.ERROR
        return main(context.args, prog=f"letta-ext {NAME}")

    run_and_exit(output, run)

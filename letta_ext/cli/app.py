"""The application: the tree of commands."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from letta_api.operations import (
    CONVERSATIONS_MESSAGES_COMPACT,
    CONVERSATIONS_MESSAGES_LIST,
    OPERATIONS,
    STEPS_FEEDBACK_CREATE,
    Operation,
)

from .._version import __version__
from . import chat, doctor, export, follow, report, runs, send, serve, steps
from .exit_codes import ExitCode, describe_os_error, silence
from .help import Command, DefaultGroup, Group
from .operations import method_of, operation_command

EPILOG: Final = (
    "Exit codes: 0 success, 1 error of the server, network or output, 2 invalid argument, 3 the agent waits for a "
    "decision about tool calls, 130 interrupted, 141 the reader of the output has closed the pipe."
)
NAME: Final = "letta-ext"
SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

SHORTCUTS: Final = (
    ("messages", CONVERSATIONS_MESSAGES_LIST, ()),
    ("compact", CONVERSATIONS_MESSAGES_COMPACT, ()),
    ("feedback", STEPS_FEEDBACK_CREATE, ("feedback",)),
)
"""Operations with a second, short name, and their options that are arguments there."""

MODULES: Final = (chat, send, follow, steps, doctor, export, report, serve)
"""Modules with `register`, which adds their commands to the application."""


def make_app() -> typer.Typer:
    """Return the application."""
    app = typer.Typer(
        name=NAME,
        cls=Group,
        no_args_is_help=True,
        rich_markup_mode=None,  # its tables leave a third of the width to the texts
        pretty_exceptions_enable=False,  # its tracebacks can show values of variables, such as the API key
        context_settings=SETTINGS,
        epilog=EPILOG,
        help="Talk to Letta agents, and inspect what they do.",
    )
    app.callback()(_root)
    for module in MODULES:
        module.register(app)
    for name, operation, positional in SHORTCUTS:
        app.command(name, cls=Command)(operation_command(operation, positional))
    groups: dict[str, typer.Typer] = {"": app}
    for operation in OPERATIONS.values():
        resource, _, method = operation.id.rpartition(".")
        _group(groups, resource).command(_kebab(method), cls=Command)(operation_command(operation))
    runs.register(groups["runs"])
    return app


def _version(value: bool) -> None:
    if value:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    """Talk to Letta agents, and inspect what they do."""


def _group(groups: dict[str, typer.Typer], resource: str) -> typer.Typer:
    """Return the group of a resource, which is created with those above it."""
    if resource not in groups:
        parent, _, name = resource.rpartition(".")
        group = typer.Typer(cls=DefaultGroup, context_settings=SETTINGS, no_args_is_help=False)
        groups[resource] = group
        _group(groups, parent).add_typer(group, name=_kebab(name), help=_resource_help(resource))
    return groups[resource]


def _resource_help(resource: str) -> str:
    """Return the help of a group: the first line of the docstring of the resource."""
    operation = next(each for each in OPERATIONS.values() if each.id.startswith(f"{resource}."))
    owner = method_of(Operation(f"{resource}.x", "GET", "", (), frozenset(), "none"))[0]
    text = (owner.__doc__ or operation.id).partition(": ")[2]
    return text.splitlines()[0]


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def main() -> None:
    """Run the command line."""
    try:
        make_app()(prog_name=NAME)
    except OSError as error:  # the help cannot be written
        silence(sys.stdout)
        typer.echo(f"error: {describe_os_error(error)}", err=True)
        raise SystemExit(ExitCode.ERROR) from None

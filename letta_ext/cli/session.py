"""The base of all commands: options for the connection and the output, and the conversion of errors to exit codes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cached_property, wraps
from inspect import Parameter, Signature
from typing import Annotated, Any, Final, NoReturn, TypeAlias

import typer
from attrs import frozen

from .._sync.client import Letta
from ..config import NOT_GIVEN, NotGiven
from ..errors import LettaError
from .exit_codes import ExitCode, UsageError, describe_os_error, exit_code_of, hint_of, silence
from .output import Output

Function: TypeAlias = Callable[..., int | None]
"""A command. It returns its exit code, or None for success."""

PANEL: Final = "Connection and output"

NAMES: Final = {"timeout": "--timeout", "max_retries": "--max-retries", " Pass None to disable it.": ""}
"""Arguments of the client that only options set."""


@frozen
class Connection:
    """The options for the connection. None means the default of the client."""

    base_url: str | None = None
    api_key: str | None = None
    project: str | None = None
    timeout: float | None = None
    max_retries: int | None = None


class Session:
    """One invocation of a command: its client and its output."""

    def __init__(self, connection: Connection, output: Output) -> None:
        self.connection = connection
        self.output = output

    @cached_property
    def client(self) -> Letta:
        """The client. It is created on first use.

        Raises:
            UsageError: If an option, or an environment variable, is invalid.
        """
        given = self.connection
        timeout: float | NotGiven = NOT_GIVEN if given.timeout is None else given.timeout
        with option_names(NAMES):
            client: Letta = checked(
                Letta,
                base_url=given.base_url,
                api_key=given.api_key,
                project=given.project,
                timeout=timeout,
                max_retries=given.max_retries,
            )
        return client

    def close(self) -> None:
        """Close the client, if there is one."""
        if "client" in self.__dict__:
            self.client.close()


def checked(call: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Call a method of the client with arguments of the user.

    Raises:
        UsageError: If the client rejects an argument before it sends a request.
    """
    try:
        return call(*arguments, **keywords)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error


@contextmanager
def option_names(names: Mapping[str, str]) -> Generator[None]:
    """Replace the names of arguments by those of options in the message of an invalid argument.

    Args:
        names: The texts of the command line by those of the library.
    """
    try:
        yield
    except UsageError as error:
        pattern = "|".join(rf"(?<![\w-]){re.escape(name)}(?!\w)" for name in names)
        raise UsageError(re.sub(pattern, lambda found: names[found[0]], str(error))) from error


_COMMON: Final[dict[str, tuple[Any, Any]]] = {
    "as_json": (
        Annotated[
            bool | None,
            typer.Option(
                "--json/--no-json",
                help="Print one JSON value per line. Defaults to JSON unless the output is a terminal.",
                rich_help_panel=PANEL,
            ),
        ],
        None,
    ),
    "base_url": (
        Annotated[
            str | None,
            typer.Option(
                metavar="URL",
                help="The address of the server. Defaults to LETTA_BASE_URL, or else to Letta Cloud.",
                rich_help_panel=PANEL,
            ),
        ],
        None,
    ),
    "api_key": (
        Annotated[
            str | None,
            typer.Option(
                metavar="KEY",
                help="The API key. Prefer LETTA_API_KEY: other users of the machine can read arguments.",
                rich_help_panel=PANEL,
            ),
        ],
        None,
    ),
    "project": (
        Annotated[str | None, typer.Option(metavar="SLUG", help="The project of the request.", rich_help_panel=PANEL)],
        None,
    ),
    "timeout": (
        Annotated[
            float | None,
            typer.Option(
                metavar="SECONDS",
                help="The timeout of each phase of a request. Defaults to 60, and 5 to connect.",
                rich_help_panel=PANEL,
            ),
        ],
        None,
    ),
    "max_retries": (
        Annotated[
            int | None,
            typer.Option(
                metavar="N", help="The maximum number of retries of a request. Defaults to 2.", rich_help_panel=PANEL
            ),
        ],
        None,
    ),
}
"""The options of every command: the annotation and the default."""


def command(function: Function, *, signature: Signature | None = None, help: str | None = None) -> Callable[..., None]:
    """Return a function of typer that passes a session to a command, and ends with its exit code.

    Args:
        function: The command. Its first parameter is the session.
        signature: The parameters of the command, without the session. Defaults to those of the function.
        help: The help text. Defaults to the docstring of the function.
    """
    own = signature or _without_session(inspect.signature(function, eval_str=True))
    names = {f"common_{name}" if name in own.parameters else name: name for name in _COMMON}
    common = [
        Parameter(shown, Parameter.KEYWORD_ONLY, annotation=_COMMON[name][0], default=_COMMON[name][1])
        for shown, name in names.items()
        if shown == name
    ]

    @wraps(function)
    def run(**arguments: Any) -> None:
        given = {name: arguments.pop(shown, None) for shown, name in names.items()}
        as_json = given.pop("as_json")
        raise typer.Exit(execute(function, Session(Connection(**given), Output(as_json)), arguments))

    del run.__wrapped__  # `inspect` would read the signature of the function
    parameters = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in own.parameters.values()]
    run.__signature__ = Signature([*parameters, *common])  # type: ignore[attr-defined]  # read by typer
    run.__annotations__ = {each.name: each.annotation for each in [*parameters, *common]}
    run.__doc__ = help or inspect.getdoc(function)
    return run


def _without_session(signature: Signature) -> Signature:
    return signature.replace(parameters=[*signature.parameters.values()][1:], return_annotation=None)


def execute(function: Function, session: Session, arguments: dict[str, Any]) -> int:
    """Run a command with a session, and return its exit code. Errors are printed."""

    def call() -> int:
        try:
            return function(session, **arguments) or ExitCode.OK
        finally:
            session.close()

    return exit_code_of_call(session.output, call)


def run_and_exit(output: Output, call: Callable[[], int]) -> NoReturn:
    """Call a function, print its errors, and end the command with its exit code."""
    raise typer.Exit(exit_code_of_call(output, call))


def exit_code_of_call(output: Output, call: Callable[[], int]) -> int:
    """Call a function, and return its exit code, or that of its error, which is printed."""
    try:
        code = call()
        output.stream.flush()
    except BrokenPipeError:
        raise  # the group of the command ends quietly
    except OSError as error:
        silence(output.stream)
        output.error(describe_os_error(error))
        return ExitCode.ERROR
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except UsageError as error:
        output.error(str(error))
        return ExitCode.USAGE
    except LettaError as error:
        output.error(str(error), hint_of(error))
        return exit_code_of(error)
    return code

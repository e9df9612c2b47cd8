"""The exit codes of the command line, and the errors behind them."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from enum import IntEnum
from typing import TextIO

from ..errors import AuthenticationError, LettaError, PendingApprovalError, PermissionDeniedError


class ExitCode(IntEnum):
    """The exit codes of `letta-ext`."""

    OK = 0
    """The command has done its work."""
    ERROR = 1
    """The server or the network failed, or the server rejected the request."""
    USAGE = 2
    """An option or an argument is invalid. No request was sent."""
    PENDING = 3
    """The agent waits for a decision about tool calls."""
    INTERRUPTED = 130
    """Ctrl+C."""
    BROKEN_PIPE = 141
    """The reader of the output has closed the pipe, such as `head`."""


class UsageError(Exception):
    """An argument is invalid."""


def exit_code_of(error: LettaError) -> ExitCode:
    """Return the exit code for an error of the library."""
    return ExitCode.PENDING if isinstance(error, PendingApprovalError) else ExitCode.ERROR


def hint_of(error: LettaError) -> str | None:
    """Return how a user of the command line can solve an error, or None if its message is enough."""
    if isinstance(error, PendingApprovalError):
        return "Decide with 'letta-ext pending', or in 'letta-ext chat'."
    if isinstance(error, (AuthenticationError, PermissionDeniedError)):
        return "Set LETTA_API_KEY. 'letta-ext doctor' checks it."
    return None


def describe_os_error(error: OSError) -> str:
    """Return the message of an error of a file, or of the output."""
    name = "the output cannot be written" if error.filename is None else f"{error.filename} cannot be used"
    return f"{name}: {error.strerror or error}"


@contextmanager
def quiet_on_closed_pipe() -> Generator[None]:
    """Exit without a message if the reader of the output closes the pipe in this block.

    Raises:
        SystemExit: If the pipe is closed.
    """
    try:
        yield
    except BrokenPipeError:
        silence(sys.stdout)
        silence(sys.stderr)
        raise SystemExit(ExitCode.BROKEN_PIPE) from None


def silence(stream: TextIO) -> None:
    """Send further output to the null device: the interpreter flushes the output when it exits, which would fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, stream.fileno())
    except (OSError, ValueError):  # not a file, for example captured output
        pass
    finally:
        os.close(null)

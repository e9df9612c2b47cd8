"""Input of the user: JSON values, files and the standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from .exit_codes import UsageError


def read_text(name: str, value: str) -> str:
    """Return the text of an argument: itself, the file of `@FILE`, or the standard input of `-`.

    Raises:
        UsageError: If the file cannot be read, or is not UTF-8.
    """
    if value == "-":
        return read_stdin()
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{name}: cannot read {value[1:]}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: {value[1:]} must be UTF-8") from error


def read_stdin() -> str:
    """Return the standard input.

    Raises:
        UsageError: If it is closed, or is not UTF-8.
    """
    return _read(lambda stream: stream.read())


def read_line() -> str | None:
    """Return the next line of the standard input, or None at its end.

    Raises:
        UsageError: If it is closed, or is not UTF-8.
    """
    return _read(lambda stream: stream.readline()) or None


def _read(read: Callable[[TextIO], str]) -> str:
    if sys.stdin is None:
        raise UsageError("the standard input is closed. Pass the text as an argument.")
    try:
        return require_utf8("the standard input", read(sys.stdin))
    except UnicodeDecodeError as error:
        raise UsageError("the standard input must be UTF-8") from error
    except OSError as error:
        raise UsageError(f"cannot read the standard input: {error.strerror}") from error


def require_utf8(name: str, text: str) -> str:
    """Return a text of the user. Bytes that Python could not decode in the locale are decoded as UTF-8.

    Raises:
        UsageError: If they are not UTF-8.
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode()
    except UnicodeError as error:
        raise UsageError(f"{name} must be UTF-8") from error


def parse_json(name: str, text: str, kind: type[Any] = object) -> Any:
    """Return the JSON value of an argument, which can be in a file.

    Raises:
        UsageError: If it is not JSON, or not of the kind.
    """
    try:
        value = json.loads(read_text(name, text))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} must be JSON: {error}") from error
    if not isinstance(value, kind):
        raise UsageError(f"{name} must be a JSON object, got {type(value).__name__}")
    return value

"""The errors of exports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LettaError

if TYPE_CHECKING:
    from .progress import ExportSummary

CONTINUE = "Export again with the same arguments to continue."
"""The remedy for errors after which the written rows are kept."""


class ExportError(LettaError):
    """An export failed. What it has written is kept, unless the message contains another remedy.

    Attributes:
        summary: The rows, parts and bytes of all shards so far, or None if no shard was started.
        failures: The error of each shard that failed. Other shards are complete.
    """

    summary: ExportSummary | None = None
    failures: tuple[BaseException, ...] = ()


class ExportLockedError(ExportError):
    """Another export writes to the directory."""


class ExportMismatchError(ExportError, ValueError):
    """The directory holds an export with other arguments, or other files."""


class ExportStorageError(ExportError):
    """A file cannot be read or written, such as on a full disk. `__cause__` is the error of the system."""


def io_error(action: str, path: Path, error: OSError) -> ExportStorageError:
    """Return the error of a failed file operation."""
    found = ExportStorageError(f"{action} {path} failed: {error.strerror or error}. {CONTINUE}")
    found.__cause__ = error
    return found

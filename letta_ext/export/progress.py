"""The progress and the result of an export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from attrs import frozen


@frozen(kw_only=True)
class ExportProgress:
    """The progress of an export, including what an earlier run has written.

    Attributes:
        rows: The rows written so far.
        parts: The complete parts.
        bytes: The size of the rows that a kill does not lose [bytes].
        shards_done: The shards that are complete.
        shards: All shards.
    """

    rows: int
    parts: int
    bytes: int
    shards_done: int
    shards: int


@frozen(kw_only=True)
class ExportSummary:
    """The result of an export.

    Attributes:
        directory: The directory.
        rows: The number of rows.
        parts: The number of files.
        bytes: The size of these files [bytes].
        shards: The number of shards.
    """

    directory: Path
    rows: int
    parts: int
    bytes: int
    shards: int


Progress: TypeAlias = Callable[[ExportProgress], object]
"""Receives the progress, in the thread that called the export."""

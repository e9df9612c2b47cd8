"""The content of exported directories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet  # type: ignore[import-untyped]  # has no type information


def contents_of(directory: Path) -> dict[str, bytes]:
    """Return the complete parts by name."""
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.is_file()}


def rows_of(directory: Path) -> list[dict[str, Any]]:
    """Return the rows of all complete parts."""
    rows: list[dict[str, Any]] = []
    for path in sorted(directory.iterdir()):
        if path.suffix == ".jsonl":
            rows += map(json.loads, path.read_text("utf-8").splitlines())
        elif path.suffix == ".parquet":
            rows += pyarrow.parquet.read_table(path).to_pylist()
    return rows


def ids_of(directory: Path) -> list[str]:
    """Return the ids of all rows of complete parts."""
    return [row["id"] for row in rows_of(directory)]

"""JSON lines: one file per shard, which has its name when the shard is done."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from io import FileIO
from typing import Any

from .._pagination.rows import Columns, to_json_text
from .part_files import check_size, discard_except, publish_part
from .state import Layout, Part, ShardState
from .storage import Storage, size_of


class JsonlFile:
    """The file of a shard. Rows are appended, and a restored file is cut to its last committed byte."""

    def __init__(self, layout: Layout, storage: Storage, columns: Columns, rows_per_part: int) -> None:
        self._layout = layout
        self._storage = storage
        self._name = layout.part_name("jsonl")
        self._file: FileIO | None = None
        self._bytes = 0
        self.rows = 0

    def restore(self, state: ShardState) -> None:
        """Bring the file to a state."""
        self.close()
        incomplete = self._layout.incomplete(self._name)
        discard_except(self._storage, self._layout, {self._name, incomplete.name} if state.parts else set())
        self.rows, self._bytes = state.rows, state.bytes
        if state.done:
            self.publish(state)
        elif state.parts:
            found = size_of(incomplete)
            if found is None or found < self._bytes:
                check_size(incomplete.name, found, self._bytes)
            self._open("r+")

    def _open(self, mode: str) -> FileIO:
        file = self._storage.open(self._layout.incomplete(self._name), mode)
        self._file = file
        self._storage.truncate(file, self._bytes)
        file.seek(self._bytes)
        return file

    def add(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Append a line per row."""
        if rows:
            data = "".join(f"{to_json_text(row)}\n" for row in rows).encode()
            self._storage.append(self._file or self._open("w"), data)
            self.rows += len(rows)
            self._bytes += len(data)
        return bool(rows)

    def flush(self, *, done: bool) -> tuple[Part, ...]:
        """Wait until all rows are on disk."""
        if done and self._file is None and self._layout.index == 0:
            self._open("w")  # the first shard has a file, so that an empty export has one
        if self._file is None:
            return ()
        self._storage.sync(self._file)
        return (Part(self._name, self.rows, self._bytes),)

    def publish(self, state: ShardState) -> None:
        """Give the file its name if the shard is done."""
        if state.done:
            self.close()
            for part in state.parts:
                publish_part(self._storage, self._layout, part)

    def read(self, state: ShardState) -> Iterator[Mapping[str, Any]]:
        """Yield the committed rows."""
        if state.parts:
            with self._layout.incomplete(self._name).open("rb") as file:
                for _ in range(state.rows):
                    yield json.loads(file.readline())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

"""Parquet: a file per part, each of which is written at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._pagination.rows import EXTRA, Columns, flat_row
from . import arrow
from .part_files import discard_except, publish_part
from .state import Layout, Part, ShardState
from .storage import Storage


class ParquetParts:
    """The parts of a shard. A part is complete after a number of rows, at the end of a page."""

    def __init__(self, layout: Layout, storage: Storage, columns: Columns, rows_per_part: int) -> None:
        self._layout = layout
        self._storage = storage
        self._columns = columns
        self._schema = arrow.schema_of({**columns, EXTRA: "json"})
        self._rows_per_part = rows_per_part
        self._parts: tuple[Part, ...] = ()
        self._batches: list[arrow.Batch] = []
        self._pending = 0

    @property
    def rows(self) -> int:
        """The number of rows, including those that are not flushed."""
        return sum(part.rows for part in self._parts) + self._pending

    def restore(self, state: ShardState) -> None:
        """Bring the parts to a state."""
        self._parts, self._batches, self._pending = state.parts, [], 0
        names = {part.name for part in state.parts}
        discard_except(self._storage, self._layout, names | {self._layout.incomplete(name).name for name in names})
        self.publish(state)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Keep the rows for the next part."""
        if rows:
            self._batches.append(arrow.batch_of([flat_row(row, self._columns) for row in rows], self._schema))
            self._pending += len(rows)
        return self._pending >= self._rows_per_part

    def flush(self, *, done: bool) -> tuple[Part, ...]:
        """Write the rows as a part."""
        empty_export = done and not self._parts and self._layout.index == 0  # it has one part, and so a schema
        if self._batches or empty_export:
            name = self._layout.part_name("parquet", len(self._parts))
            data = arrow.parquet_of(self._batches, self._schema)
            self._storage.write_file(self._layout.incomplete(name), data)
            self._parts = (*self._parts, Part(name, self._pending, len(data)))
            self._batches, self._pending = [], 0
        return self._parts

    def publish(self, state: ShardState) -> None:
        """Give the parts their names."""
        for part in state.parts:
            publish_part(self._storage, self._layout, part)

    def read(self, state: ShardState) -> Iterator[Mapping[str, Any]]:
        """Yield the committed rows with their text columns."""
        names = [name for name, column_type in self._columns.items() if column_type == "string"]
        for part in state.parts:
            yield from arrow.rows_of(self._layout.part(part.name), names)

    def close(self) -> None:
        """Discard the rows that are not flushed."""
        self._batches, self._pending = [], 0

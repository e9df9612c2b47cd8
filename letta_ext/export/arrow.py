"""The calls of pyarrow. It has no type information, so its classes are `Any` here, and here only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeAlias

from .._pagination.rows import Columns

Batch: TypeAlias = Any
"""A `pyarrow.RecordBatch`."""

Schema: TypeAlias = Any
"""A `pyarrow.Schema`."""

_READ_ROWS: Final = 10_000


def check_installed() -> None:
    """Raise an error that names the extra if pyarrow is not installed."""
    if find_spec("pyarrow") is None:
        raise ModuleNotFoundError(
            'Parquet needs pyarrow, which is not installed: pip install "letta-ext[export]", or pass format="jsonl"',
            name="pyarrow",
        )


def schema_of(columns: Columns) -> Schema:
    """Return the schema of columns, all of which can be null."""
    arrow = _arrow()
    types: dict[str, Any] = {
        "string": arrow.string(),
        "integer": arrow.int64(),
        "number": arrow.float64(),
        "boolean": arrow.bool_(),
        "time": arrow.timestamp("us", tz="UTC"),
        "strings": arrow.list_(arrow.string()),
        "json": arrow.string(),
    }
    return arrow.schema([(name, types[column_type]) for name, column_type in columns.items()])


def batch_of(rows: Sequence[Mapping[str, Any]], schema: Schema) -> Batch:
    """Return rows as a record batch."""
    return _arrow().RecordBatch.from_pylist(rows, schema=schema)


def parquet_of(batches: Sequence[Batch], schema: Schema) -> bytes:
    """Return a Parquet file with a row group of all rows."""
    arrow = _arrow()
    output = arrow.BufferOutputStream()
    table = arrow.Table.from_batches(batches, schema=schema)
    import_module("pyarrow.parquet").write_table(table, output, compression="zstd", row_group_size=max(1, len(table)))
    data: bytes = output.getvalue().to_pybytes()
    return data


def rows_of(path: Path, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a Parquet file with some of their columns."""
    with path.open("rb") as file:
        for batch in import_module("pyarrow.parquet").ParquetFile(file).iter_batches(_READ_ROWS, columns=names):
            yield from batch.to_pylist()


def _arrow() -> Any:
    return import_module("pyarrow")

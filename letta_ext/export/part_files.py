"""The files of a shard: what both formats have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from .errors import ExportError
from .state import Layout, Part, ShardState
from .storage import Storage, size_of


class PartFiles(Protocol):
    """The files of a shard. Rows are lost unless they are flushed and the state with their parts is stored.

    Attributes:
        rows: The number of rows, including those that are not flushed.
    """

    rows: int

    def restore(self, state: ShardState) -> None:
        """Bring the files to a state: publish what it contains, and discard all else.

        Raises:
            ExportError: If a file is missing or shorter than the state.
        """
        ...

    def add(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Add JSON objects. Return whether they should be flushed."""
        ...

    def flush(self, *, done: bool) -> tuple[Part, ...]:
        """Write all rows to disk, and return the parts that a state must contain to keep them."""
        ...

    def publish(self, state: ShardState) -> None:
        """Give the complete parts of a stored state their names."""
        ...

    def read(self, state: ShardState) -> Iterator[Mapping[str, Any]]:
        """Yield the committed rows, with at least their text columns."""
        ...

    def close(self) -> None:
        """Close all files."""
        ...


def discard_except(storage: Storage, layout: Layout, names: set[str]) -> None:
    """Remove the files of a shard, except for those with these names."""
    for path in layout.parts():
        if path.name not in names:
            storage.remove(path)


def publish_part(storage: Storage, layout: Layout, part: Part) -> None:
    """Give a committed part its name, unless it has it.

    Raises:
        ExportError: If the part is missing or has another size.
    """
    target, source = layout.part(part.name), layout.incomplete(part.name)
    if size_of(target) is None and size_of(source) is not None:
        storage.publish(source, target)
    check_size(target.name, size_of(target), part.bytes)


def check_size(name: str, found: int | None, expected: int) -> None:
    """Check the size of a file.

    Raises:
        ExportError: If the file is missing or has another size.
    """
    if found != expected:
        state = "is missing" if found is None else f"has {found} bytes"
        raise ExportError(f"{name} must have {expected} bytes, but it {state}. Export to another directory.")

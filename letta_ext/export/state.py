"""The paths and the stored state of a shard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from attrs import asdict, frozen

from .errors import ExportError
from .storage import TEMPORARY

STATE_DIRECTORY: Final = "_export"
"""The directory of everything but complete parts. Readers of Parquet ignore names with an underscore."""

STATE_VERSION: Final = 1


def manifest_path(directory: Path) -> Path:
    """Return the path of the manifest, which holds the arguments and the shards of an export."""
    return directory / STATE_DIRECTORY / "manifest.json"


def is_export(directory: Path) -> bool:
    """Return whether a directory holds an export that has begun."""
    return manifest_path(directory).exists()


@frozen
class Layout:
    """The paths of a shard.

    Attributes:
        directory: The directory of the export.
        index: The number of the shard, from 0.
    """

    directory: Path
    index: int

    @property
    def _stem(self) -> str:
        return f"{self.index:05}"

    @property
    def state_directory(self) -> Path:
        """The directory of everything but complete parts."""
        return self.directory / STATE_DIRECTORY

    @property
    def state(self) -> Path:
        """The committed state."""
        return self.state_directory / f"{self._stem}.json"

    @property
    def lock(self) -> Path:
        """The file that is locked while the shard is written."""
        return self.state_directory / f"{self._stem}.lock"

    @property
    def run(self) -> Path:
        """The file with the id of the current run of the export."""
        return self.state_directory / "run.json"

    def part_name(self, suffix: str, number: int | None = None) -> str:
        """Return the name of a complete part."""
        return f"part-{self._stem}{'' if number is None else f'-{number:05}'}.{suffix}"

    def part(self, name: str) -> Path:
        """Return the path of a complete part."""
        return self.directory / name

    def incomplete(self, name: str) -> Path:
        """Return the path of a part that is not complete, or not committed."""
        return self.state_directory / (name + TEMPORARY)

    def parts(self) -> list[Path]:
        """Return the complete and incomplete parts that exist."""
        names = f"part-{self._stem}[-.]*"
        return [*self.directory.glob(names), *self.state_directory.glob(names)]


@frozen
class Part:
    """A file of rows.

    Attributes:
        name: The name of the file.
        rows: The number of committed rows.
        bytes: The size of the committed rows [bytes].
    """

    name: str
    rows: int
    bytes: int


@frozen
class ShardState:
    """What a shard has committed.

    Attributes:
        parts: The files. That of JSON lines is complete if the shard is done.
        checkpoint: The position in the list after the committed rows. None before its first page.
        repeated: Whether the list is read again, so that its first items were committed before.
        done: Whether all rows of the list are committed.
    """

    parts: tuple[Part, ...] = ()
    checkpoint: Mapping[str, Any] | None = None
    repeated: bool = False
    done: bool = False

    @property
    def rows(self) -> int:
        """The number of committed rows."""
        return sum(part.rows for part in self.parts)

    @property
    def bytes(self) -> int:
        """The size of the committed rows [bytes]."""
        return sum(part.bytes for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON."""
        return {
            "version": STATE_VERSION,
            "parts": [asdict(part) for part in self.parts],
            "checkpoint": self.checkpoint,
            "repeated": self.repeated,
            "done": self.done,
        }

    @classmethod
    def from_json(cls, value: Any, path: Path) -> Self:
        """Return the state of JSON, or the initial state for None.

        Raises:
            ExportError: If the JSON is not a state, or one of another version.
        """
        if value is None:
            return cls()
        try:
            if value["version"] != STATE_VERSION:
                raise ValueError(f"its version is {value['version']}")
            parts = tuple(Part(str(part["name"]), int(part["rows"]), int(part["bytes"])) for part in value["parts"])
            return cls(parts, value["checkpoint"], bool(value["repeated"]), bool(value["done"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ExportError(f"{path} is not the state of a shard: {error}. Export to another directory.") from error

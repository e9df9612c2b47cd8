"""File operations that survive a kill at any moment: a file has its name only if it is complete and on disk.

Every change of a file is one of the primitive operations of `Storage`, so that tests can let each of them fail.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, Final

from .errors import ExportError, io_error

TEMPORARY: Final = ".tmp"
"""The suffix of files that are incomplete."""


class Storage:
    """The primitive file operations, and those composed of them."""

    def make_directory(self, path: Path) -> None:
        """Create a directory and its parents, unless it exists."""
        path.mkdir(parents=True, exist_ok=True)

    def open(self, path: Path, mode: str) -> FileIO:
        """Open a file without a buffer."""
        return FileIO(path, mode)

    def write(self, file: FileIO, data: memoryview) -> int:
        """Write data, or its beginning, and return the number of bytes written."""
        return file.write(data) or 0

    def truncate(self, file: FileIO, size: int) -> None:
        """Cut a file to a size [bytes]."""
        file.truncate(size)

    def sync(self, file: FileIO) -> None:
        """Wait until the content of a file is on disk."""
        os.fsync(file.fileno())

    def sync_directory(self, path: Path) -> None:
        """Wait until the names in a directory are on disk. Windows cannot open a directory."""
        if os.name == "nt":
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, in place of a file that has it."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file, unless it is missing."""
        path.unlink(missing_ok=True)

    def append(self, file: FileIO, data: bytes) -> None:
        """Write all data."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.write(file, rest) :]

    def write_file(self, path: Path, data: bytes) -> None:
        """Write a file, and wait until it is on disk."""
        with self.open(path, "w") as file:
            self.append(file, data)
            self.sync(file)

    def publish(self, source: Path, target: Path) -> None:
        """Give a complete file its name, and wait until the name is on disk."""
        self.rename(source, target)
        self.sync_directory(target.parent)

    def replace_json(self, path: Path, value: object) -> None:
        """Replace a file by JSON. A reader finds either the former content or all of the new one."""
        temporary = path.with_name(path.name + TEMPORARY)
        try:
            self.write_file(temporary, json.dumps(value, indent=1).encode())
            self.publish(temporary, path)
        except OSError as error:
            raise io_error("Writing", path, error) from error


LOCAL: Final = Storage()
"""The file system."""


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, or None if it is missing.

    Raises:
        ExportError: If the file cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise io_error("Reading", path, error) from error
    except ValueError as error:
        raise ExportError(f"{path} is damaged: {error}. Export to another directory.") from error


def size_of(path: Path) -> int | None:
    """Return the size of a file [bytes], or None if it is missing."""
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return None

"""File operations of which one fails, as by a kill, a power failure or a full disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import TypeVar

from letta_ext.export.storage import Storage

T = TypeVar("T")


class Killed(BaseException):
    """The process was killed."""


class FaultyStorage(Storage):
    """File operations, of which one fails.

    Args:
        fail_at: The number of that operation, from 1. Defaults to one that no test reaches.
        kill: Whether the process is killed: no later operation happens. Otherwise the disk is full from then on.
        torn: The fraction of the data that the failing operation writes. From 0.5, other operations happen.
        power_loss: Whether a kill loses data that was not synced.
    """

    def __init__(
        self, fail_at: int = 1_000_000, *, kill: bool = True, torn: float = 0.0, power_loss: bool = False
    ) -> None:
        self.operations = 0
        self.failed = False
        self._fail_at = fail_at
        self._kill = kill
        self._torn = torn
        self._power_loss = power_loss
        self._synced: dict[Path, int] = {}

    def _operate(self, perform: Callable[[], T], partly: Callable[[], object] | None = None) -> T:
        self.operations += 1
        if self.operations < self._fail_at:
            return perform()
        if self.operations == self._fail_at:
            if partly is not None:
                partly()
            elif self._kill and self._torn >= 0.5:
                done = perform()
                if isinstance(done, FileIO):
                    done.close()
            if self._power_loss:
                for path, size in self._synced.items():
                    if path.exists() and path.stat().st_size > size:
                        os.truncate(path, size)
        self.failed = True
        if self._kill:
            raise Killed
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def make_directory(self, path: Path) -> None:
        self._operate(lambda: super(FaultyStorage, self).make_directory(path))

    def open(self, path: Path, mode: str) -> FileIO:
        def perform() -> FileIO:
            file = super(FaultyStorage, self).open(path, mode)
            size = path.stat().st_size
            self._synced[path] = min(self._synced.get(path, size), size)
            return file

        return self._operate(perform)

    def write(self, file: FileIO, data: memoryview) -> int:
        part = data[: int(len(data) * self._torn)]
        return self._operate(
            lambda: super(FaultyStorage, self).write(file, data), lambda: super(FaultyStorage, self).write(file, part)
        )

    def truncate(self, file: FileIO, size: int) -> None:
        self._operate(lambda: super(FaultyStorage, self).truncate(file, size))

    def sync(self, file: FileIO) -> None:
        def perform() -> None:  # without the disk, which can be slow
            self._synced[Path(str(file.name))] = os.fstat(file.fileno()).st_size

        self._operate(perform)

    def sync_directory(self, path: Path) -> None:
        self._operate(lambda: None)

    def rename(self, source: Path, target: Path) -> None:
        def perform() -> None:
            super(FaultyStorage, self).rename(source, target)
            self._synced[target] = self._synced.pop(source, target.stat().st_size)

        self._operate(perform)

    def remove(self, path: Path) -> None:
        self._operate(lambda: super(FaultyStorage, self).remove(path))

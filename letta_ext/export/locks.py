"""Locks of files between threads, processes and, on file systems that support them, machines.

The system releases the lock of a process that ends. POSIX record locks are not inherited by forked processes, such as
the workers of a process pool that survive a killed export. They do not exclude threads, which `_HELD` does.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Final

from .errors import ExportLockedError, io_error

_HELD: Final[dict[tuple[int, str], object]] = {}
"""The locks of this process by process id and path. A forked process holds none of its parent's."""

_POLL: Final = 0.05
"""Seconds between two attempts to get a lock."""

if sys.platform == "win32":
    import msvcrt

    def _lock(file: FileIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: FileIO) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(path: Path, subject: str, *, wait: float = 0.0) -> Generator[None]:
    """Hold the lock of a file while the block runs.

    Args:
        path: The file, which is created.
        subject: What the lock protects, for the error.
        wait: The time to wait for another holder [s]. Defaults to none.

    Raises:
        ExportLockedError: If another process or thread holds the lock.
        ExportError: If the file cannot be created, or its file system has no locks.
    """
    key, mine, deadline = (os.getpid(), str(path.resolve())), object(), time.monotonic() + wait
    while True:
        file = _try(path, key, mine)
        if file is not None:
            break
        if time.monotonic() >= deadline:
            raise ExportLockedError(
                f"{subject} is locked by another export. Wait until it has ended, or export to another directory."
            )
        time.sleep(_POLL)
    try:
        yield
    finally:
        file.close()
        _HELD.pop(key, None)


def _try(path: Path, key: tuple[int, str], mine: object) -> FileIO | None:
    """Return the locked file, or None if it is locked elsewhere."""
    if _HELD.setdefault(key, mine) is not mine:
        return None
    file = None
    try:
        file = FileIO(path, "a")
        _lock(file)
    except (BlockingIOError, PermissionError) as error:
        if file is None:
            _HELD.pop(key, None)
            raise io_error("Locking", path, error) from error
        file.close()
        _HELD.pop(key, None)
        return None
    except OSError as error:
        if file is not None:
            file.close()
        _HELD.pop(key, None)
        raise io_error("Locking", path, error) from error
    except BaseException:
        _HELD.pop(key, None)
        raise
    return file

"""Exchange two folders in one step, with the call that Linux and macOS have for that."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

RENAME_EXCHANGE = 2  # the same number in Linux's renameat2 and, as RENAME_SWAP, in macOS's renamex_np
AT_FDCWD = -100
UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})
"""How a kernel, a file system or a sandbox refuses the call itself, rather than these two folders."""


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders of one file system: a reader sees either both before or both after.

    Returns:
        False if the system cannot do that. Nothing has changed then.

    Raises:
        OSError: If the file system refuses these folders.
    """
    names = os.fsencode(one), os.fsencode(other)
    if sys.platform == "win32":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    try:
        if sys.platform == "darwin":
            status = library.renamex_np(*names, RENAME_EXCHANGE)
        else:
            status = library.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE)
    except AttributeError:  # a C library without the function
        return False
    if status == 0:
        return True
    number = ctypes.get_errno()
    if number in UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(other))

"""Exchanges two folders with one system call on Linux and macOS."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

RENAME_EXCHANGE = 2  # the same value in Linux's renameat2 and, as RENAME_SWAP, in macOS's renamex_np
AT_FDCWD = -100
UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})
"""Error numbers of kernels, file systems and sandboxes that do not support the call."""


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders of one file system atomically.

    Returns:
        Whether the system supports that. If not, the folders are unchanged.

    Raises:
        OSError: If the exchange fails.
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

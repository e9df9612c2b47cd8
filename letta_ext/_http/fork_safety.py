"""Keeps forked processes from harming each other.

A child shares the sockets of its parent, and two processes that read one connection get parts of each other's
responses. So a connection is used only by the process that opened it.

A lock that another thread of the parent holds during the fork is never released in the child. Python holds one for
each module that is being imported, and the library imports most of its modules when they are first needed. So all of
them are imported before a process with threads forks.
"""

from __future__ import annotations

import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from threading import RLock
from typing import Final

from ..errors import LettaError

FORKED: Final = (
    "This response belongs to the parent process: it was opened before the fork, and reading it here would take bytes "
    "from the parent. Nothing was read. Make the request in this process instead."
)

PACKAGES: Final = ("letta_ext", "letta_api")
TESTING: Final = "letta_ext.testing"
"""A package that no call imports. It would import a web server."""
TRANSPORTS: Final = frozenset({"letta_ext._async.transport", "letta_ext._sync.transport"})
"""The modules one of which is imported by each client."""
IMPORTED_BY_CALLS: Final = ("anyio._backends._asyncio", "anyio._core._sockets", "encodings.idna")
"""What httpx, anyio and sockets import when they are first used."""

_after_fork: Final[list[Callable[[], object]]] = []
_imported = False
forks: int = 0
"""How many forks made this process: it differs between a process and the processes that it was forked off from.

What is checked for each chunk compares it without a call. Import the module for that, not the number.
"""


def current_process() -> int:
    """Return a number that differs between a process and its parents."""
    return forks


def check_process(process: int) -> None:
    """Refuse to use what another process opened.

    Args:
        process: `current_process()` when it was opened.

    Raises:
        LettaError: If this process was forked off since.
    """
    if process != forks:
        raise LettaError(FORKED)


def after_fork(callback: Callable[[], object]) -> None:
    """Call a function in each child process before anything else runs there."""
    _after_fork.append(callback)


def _modules() -> Iterator[str]:
    """The names of all modules that calls may import."""
    yield from IMPORTED_BY_CALLS
    packages: list[str] = list(PACKAGES)
    while packages:
        package = packages.pop()
        for found in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
            if found.name == TESTING:
                continue
            yield found.name
            if found.ispkg:
                packages.append(found.name)


def _import_all() -> None:
    """Import all modules, if another thread may be importing one and a client was made."""
    global _imported  # the work is done once
    # `threading` does not count the threads that C code and `_thread` start.
    threads = len(sys._current_frames())  # pyright: ignore[reportPrivateUsage]  # documented, in spite of its name
    if _imported or threads == 1 or TRANSPORTS.isdisjoint(sys.modules):
        return
    for name in _modules():
        with suppress(ImportError):  # of something optional, which no call imports then
            import_module(name)
    _imported = True


def _renew_locks() -> None:
    """Replace the locks of cached properties, which Python 3.11 has: a thread of the parent may hold one."""
    for name, module in list(sys.modules.items()):
        if name.startswith("letta_ext"):
            for kind in list(vars(module).values()):
                if isinstance(kind, type) and kind.__module__ == name:
                    for each in vars(kind).values():
                        if isinstance(each, cached_property) and "lock" in vars(each):
                            vars(each)["lock"] = RLock()


def _run_after_fork() -> None:
    global forks  # reading a module's global is the cheapest check there is
    forks += 1
    _renew_locks()
    for callback in _after_fork:
        callback()


if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(before=_import_all, after_in_child=_run_after_fork)

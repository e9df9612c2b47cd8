"""Safety of connections and imports across forks.

A child process shares the sockets of its parent. Two processes that read one connection receive parts of each other's
responses. So only the process that opened a connection uses it.

A lock that another thread holds during the fork is never released in the child. Python holds a lock for each module
during its import, and the library imports most modules lazily. So all modules are imported before a process with
threads forks.
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
    "The response cannot be read: the parent process opened its connection before the fork. Nothing was read. Send the "
    "request in this process."
)

PACKAGES: Final = ("letta_ext", "letta_api")
NOT_IMPORTED_BY_CALLS: Final = frozenset(
    f"letta_ext.{name}" for name in ("__main__", "cli", "export", "report", "testing")
)
"""Modules that calls do not import. Some register handlers of forks, which cannot take part in the current fork."""
TRANSPORTS: Final = frozenset({"letta_ext._async.transport", "letta_ext._sync.transport"})
"""Modules that show whether a client exists: each client imports one of them."""
IMPORTED_BY_CALLS: Final = ("anyio._backends._asyncio", "anyio._core._sockets", "encodings.idna")
"""Modules that httpx, anyio and sockets import lazily."""

_after_fork: Final[list[Callable[[], object]]] = []
_imported = False
forks: int = 0
"""The number of forks between the first process and this one, which differs between a process and its parents.

Checks for each chunk compare it without a function call. Access it as an attribute of the module.
"""


def current_process() -> int:
    """Return a number that differs between a process and its parents."""
    return forks


def check_process(process: int) -> None:
    """Check that this process opened a connection.

    Args:
        process: The value of `current_process()` when the connection was opened.

    Raises:
        LettaError: If the process was forked since.
    """
    if process != forks:
        raise LettaError(FORKED)


def after_fork(callback: Callable[[], object]) -> None:
    """Register a function to run first in each child process."""
    _after_fork.append(callback)


def _modules() -> Iterator[str]:
    """Yield the names of all modules that calls may import."""
    yield from IMPORTED_BY_CALLS
    packages: list[str] = list(PACKAGES)
    while packages:
        package = packages.pop()
        for found in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
            if found.name in NOT_IMPORTED_BY_CALLS:
                continue
            yield found.name
            if found.ispkg:
                packages.append(found.name)


def _import_all() -> None:
    """Import all modules if a client exists and another thread may be importing one."""
    global _imported  # imports run once
    # `threading` does not count threads of C code and `_thread`.
    threads = len(sys._current_frames())  # pyright: ignore[reportPrivateUsage]  # documented in spite of its name
    if _imported or threads == 1 or TRANSPORTS.isdisjoint(sys.modules):
        return
    for name in _modules():
        with suppress(ImportError):  # of an optional dependency
            import_module(name)
    _imported = True


def _renew_locks() -> None:
    """Replace the locks of cached properties in Python 3.11, which a thread of the parent may hold."""
    for name, module in list(sys.modules.items()):
        if name.startswith("letta_ext"):
            for kind in list(vars(module).values()):
                if isinstance(kind, type) and kind.__module__ == name:
                    for each in vars(kind).values():
                        if isinstance(each, cached_property) and "lock" in vars(each):
                            vars(each)["lock"] = RLock()


def _run_after_fork() -> None:
    global forks  # a module attribute is the cheapest check
    forks += 1
    _renew_locks()
    for callback in _after_fork:
        callback()


if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(before=_import_all, after_in_child=_run_after_fork)

"""Detects that a process was forked off, and tells what belongs to its parent.

A child shares the sockets of its parent, and two processes that read one connection get parts of each other's
responses. So a connection is used only by the process that opened it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from .errors import LettaError

FORKED: Final = (
    "This response belongs to the parent process: it was opened before the fork, and reading it here would take bytes "
    "from the parent. Nothing was read. Make the request in this process instead."
)

_after_fork: Final[list[Callable[[], object]]] = []
_before_fork: Final[list[Callable[[], object]]] = []
_process = 0
"""Counts forks: it differs between a process and the processes that it was forked off from."""


def current_process() -> int:
    """Return a number that differs between a process and its parents."""
    return _process


def check_process(process: int) -> None:
    """Refuse to use what another process opened.

    Args:
        process: `current_process()` when it was opened.

    Raises:
        LettaError: If this process was forked off since.
    """
    if process != _process:
        raise LettaError(FORKED)


def after_fork(callback: Callable[[], object]) -> None:
    """Call a function in each child process before anything else runs there."""
    _after_fork.append(callback)


def before_fork(callback: Callable[[], object]) -> None:
    """Call a function in the parent process before each fork."""
    _before_fork.append(callback)


def _run_before_fork() -> None:
    for callback in _before_fork:
        callback()


def _run_after_fork() -> None:
    global _process  # reading a module's global is the cheapest check there is
    _process += 1
    for callback in _after_fork:
        callback()


if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(before=_run_before_fork, after_in_child=_run_after_fork)

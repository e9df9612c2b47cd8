"""Ctrl+C between two steps of the output instead of within one."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Self


class DeferredInterrupt:
    """A block that Ctrl+C does not divide: `KeyboardInterrupt` is raised at its end, or at once at the second Ctrl+C.

    An interrupted write may have been written, and would be written again.
    """

    def __enter__(self) -> Self:
        self._is_due = False
        try:
            # A program that ignores the signal, such as a background job, continues to ignore it.
            deferred = signal.getsignal(signal.SIGINT) is signal.default_int_handler
            self._previous = signal.signal(signal.SIGINT, self._defer) if deferred else None
        except ValueError:  # only the main thread receives signals
            self._previous = None
        return self

    def _defer(self, number: int, frame: FrameType | None) -> None:
        if self._is_due:
            signal.default_int_handler(number, frame)
        self._is_due = True

    def __exit__(self, *error: object) -> None:
        if self._previous is None:
            return
        signal.signal(signal.SIGINT, self._previous)
        if self._is_due:
            raise KeyboardInterrupt

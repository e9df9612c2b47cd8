"""Lines on standard output, for a reader that may be slow, stop reading, or go away."""

from __future__ import annotations

import os
import queue
import threading
import time
from contextlib import suppress
from typing import TextIO

KEPT = 10_000
"""How many lines wait for the reader at most."""

LONGEST = 2_000
"""How many characters of a line are printed at most."""


class Console:
    """Prints lines in a thread of its own, so that a reader that does not read holds up nothing else.

    Lines that find no place among those that wait are dropped, and counted in the next one that is printed.

    Args:
        stream: Where to print; None prints nothing.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(KEPT)
        self._dropped = 0
        self._gone = stream is None
        self._thread = threading.Thread(target=self._write_all, name="letta-console", daemon=True)
        self._thread.start()

    def print(self, line: str) -> None:
        """Print a line, soon."""
        if self._gone:
            return
        try:
            self._lines.put_nowait(line if len(line) <= LONGEST else f"{line[:LONGEST]} ...")
        except queue.Full:
            self._dropped += 1

    def close(self, patience: float = 1.0) -> None:
        """Wait until the lines are printed.

        Args:
            patience: How long at most (seconds).
        """
        with suppress(queue.Full):
            self._lines.put(None, timeout=patience)
            self._thread.join(patience)

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._gone:
                continue
            dropped, self._dropped = self._dropped, 0
            if dropped:
                line = f"({dropped} lines were not printed, because nobody read them)\n{line}"
            try:
                self._write(f"{line}\n")
            except (OSError, ValueError):  # the reader is gone, or the stream is closed
                self._gone = True

    def _write(self, text: str) -> None:
        stream = self._stream
        if stream is None:
            return
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError, AttributeError):  # not a file, such as a stream that captures
            stream.write(text)
            stream.flush()
            return
        # Not through the stream's own buffer: an interpreter that ends while a thread holds its lock is aborted.
        rest = text.encode(stream.encoding or "utf-8", "backslashreplace")
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:  # a pipe that somebody else made non-blocking
                time.sleep(0.01)

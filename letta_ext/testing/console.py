"""Non-blocking output of lines."""

from __future__ import annotations

import os
import queue
import threading
import time
from contextlib import suppress
from typing import TextIO

MAX_LINES = 10_000
"""Maximum number of queued lines."""

MAX_LINE_LENGTH = 2_000
"""Maximum length of a printed line."""


class Console:
    """Prints lines in a thread, so that a reader that stops reading does not block the server.

    Lines that do not fit into the queue are dropped. The next printed line is preceded by their number.

    Args:
        stream: Where to print. None prints nothing.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_LINES)
        self._dropped = 0
        self._closed = stream is None
        self._thread = threading.Thread(target=self._write_all, name="letta-console", daemon=True)
        self._thread.start()

    def print(self, line: str) -> None:
        """Queue a line."""
        if self._closed:
            return
        try:
            self._lines.put_nowait(line if len(line) <= MAX_LINE_LENGTH else f"{line[:MAX_LINE_LENGTH]} ...")
        except queue.Full:
            self._dropped += 1

    def close(self, timeout: float = 1.0) -> None:
        """Wait until the queued lines are printed.

        Args:
            timeout: Timeout [s]. Defaults to 1.
        """
        with suppress(queue.Full):
            self._lines.put(None, timeout=timeout)
            self._thread.join(timeout)

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._closed:
                continue
            dropped, self._dropped = self._dropped, 0
            if dropped:
                line = f"({dropped} lines dropped: the output was not read)\n{line}"
            try:
                self._write(f"{line}\n")
            except (OSError, ValueError):  # the reader has closed the pipe, or the stream is closed
                self._closed = True

    def _write(self, text: str) -> None:
        stream = self._stream
        if stream is None:
            return
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError, AttributeError):  # not a file, for example captured output
            stream.write(text)
            stream.flush()
            return
        # Bypass the buffer of the stream: an interpreter that exits while a thread holds its lock is aborted.
        remaining = text.encode(stream.encoding or "utf-8", "backslashreplace")
        while remaining:
            try:
                remaining = remaining[os.write(descriptor, remaining) :]
            except BlockingIOError:  # another process has made the pipe non-blocking
                time.sleep(0.01)

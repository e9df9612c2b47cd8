"""Entry point of ``python -m letta_ext.testing``."""

from __future__ import annotations

import os
import signal
import sys


def _run() -> int:
    # Before the server runs, Ctrl+C ends the process like SIGTERM, even during imports.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .command import main

    try:
        return main()
    except BrokenPipeError:  # the reader of the output has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # flushed at exit
        return 141


if __name__ == "__main__":
    sys.exit(_run())

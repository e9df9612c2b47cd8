"""Entry point of ``python -m letta_ext.testing``."""

from __future__ import annotations

import signal
import sys


def _run() -> int:
    # Before the server runs, Ctrl+C ends the process like SIGTERM, even during imports.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .command import main

    return main()


if __name__ == "__main__":
    sys.exit(_run())

"""``python -m letta_ext.testing``: the embedded server on the command line."""

from __future__ import annotations

import signal
import sys


def _run() -> int:
    # Until it serves there is nothing to tidy up: Ctrl+C ends it as SIGTERM does, also while modules are imported.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .command import main

    return main()


if __name__ == "__main__":
    sys.exit(_run())

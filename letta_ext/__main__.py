"""Entry point of `letta-ext` and of `python -m letta_ext`."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command line, or print how to install it."""
    if sys.stdout is None:
        sys.exit("error: the standard output is closed. Redirect it to /dev/null to discard it.")
    if sys.stderr is None:  # rich would print notes to the standard output
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # open until the process ends
    try:
        _run()
    except KeyboardInterrupt:  # during the imports, or outside of a command
        sys.exit(130)


def _run() -> None:
    if any(find_spec(name) is None for name in ("rich", "typer")):
        sys.exit("The command line requires typer and rich. Run: pip install 'letta-ext[cli]'")
    from .cli.app import main as run

    run()


if __name__ == "__main__":
    main()

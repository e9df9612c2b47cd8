"""Entry point of `letta-ext` and of `python -m letta_ext`."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command line, or print how to install it."""
    if any(find_spec(name) is None for name in ("rich", "typer")):
        sys.exit("The command line requires typer and rich. Run: pip install 'letta-ext[cli]'")
    from .cli.app import main as run

    run()


if __name__ == "__main__":
    main()

"""``python -m letta_ext.testing``: the embedded server on the command line, with a line for each request."""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from .app import create_app
from .scenes import SCENES, staged
from .serving import Server, listen, url_of
from .traffic import Received


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m letta_ext.testing", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8283, help="the port; 0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--scene",
        metavar=f"FILE|{'|'.join(SCENES)}",
        default="default",
        help="what it holds, and what its agent answers (default: %(default)s)",
    )
    parser.add_argument("--delay", type=float, default=None, help="seconds to wait before each token")
    parser.add_argument(
        "--no-check", action="store_true", help="do not hold requests and answers against the specification"
    )
    return parser.parse_args(given)


def tell(request: Received) -> None:
    """Print the line of a request."""
    print(request, flush=True)


def main(given: Sequence[str] | None = None) -> int:
    """Serve until interrupted.

    Args:
        given: the arguments; those of the command line by default.
    """
    arguments = _arguments(given)
    try:
        stage = staged(arguments.scene)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.delay is not None:
        stage.state.delay = arguments.delay
    try:
        bound = listen(arguments.host, arguments.port)
    except (OSError, OverflowError) as error:
        print(f"cannot listen on {arguments.host}:{arguments.port}: {error}", file=sys.stderr)
        return 1
    # Nobody asks it what came: only the newest request is kept, which may still be answered.
    requests: deque[Received] = deque(maxlen=1)
    server = Server(create_app(stage), stage, requests, check=not arguments.no_check, tell=tell)
    bound.listen()
    print(f"Letta on {url_of(bound)} (agent {stage.agent_id}, conversation {stage.conversation_id})", flush=True)
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped
        server.run([bound])
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``python -m letta_ext.testing``: the embedded server on the command line, with a line for each request."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from . import arguments
from .app import create_app
from .clock import SystemClock
from .console import Console
from .scenes import SCENES, staged
from .serving import Server, check_host, check_port, listen, url_of
from .traffic import Received, RequestLog

T = TypeVar("T", int, float)


def _number(kind: Callable[[str], T], check: Callable[[T], None]) -> Callable[[str], T]:
    """Return what reads an option's number and refuses one that makes no sense."""

    def read(given: str) -> T:
        try:
            value = kind(given)
        except ValueError:
            expected = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {expected}, got {arguments.shown(given)}") from None
        try:
            check(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return value

    return read


def _host(given: str) -> str:
    try:
        check_host(given)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return given


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m letta_ext.testing", description=__doc__)
    parser.add_argument("--host", type=_host, default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=_number(int, check_port),
        default=8283,
        help="the port; 0 takes a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--scene",
        metavar=f"FILE|{'|'.join(SCENES)}",
        default="default",
        help="what it holds, and what its agent answers (default: %(default)s)",
    )
    parser.add_argument(
        "--delay",
        type=_number(float, lambda value: arguments.seconds("delay", value)),
        default=None,
        help="seconds to wait before each token",
    )
    parser.add_argument(
        "--no-check", action="store_true", help="do not hold requests and answers against the specification"
    )
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Serve until interrupted, by the clock of the machine.

    Args:
        given: the arguments; those of the command line by default.
    """
    options = _arguments(given)
    try:
        stage = staged(options.scene, SystemClock())
    except (OSError, ValueError) as error:
        print(_printable(str(error)), file=sys.stderr)
        return 2
    if options.delay is not None:
        stage.state.delay = options.delay
    try:
        bound = listen(options.host, options.port)
    except (OSError, ValueError) as error:
        print(f"cannot listen on {_printable(options.host)}:{options.port}: {error}", file=sys.stderr)
        return 1
    console = Console(sys.stdout)

    def tell(request: Received) -> None:
        console.print(str(request))

    # Nobody asks it what came: only the newest request is kept, which may still be answered.
    server = Server(create_app(stage), stage, RequestLog(1), check=not options.no_check, tell=tell)
    bound.listen()
    console.print(f"Letta on {url_of(bound)} (agent {stage.agent_id}, conversation {stage.conversation_id})")
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped
        server.run([bound])
    console.close()
    return 0


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]


if __name__ == "__main__":
    try:
        code = main()
    except KeyboardInterrupt:  # before it serves
        code = 130
    sys.exit(code)

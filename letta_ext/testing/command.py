"""The command line of the embedded server: its options, a line for each request, and how it ends."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from . import arguments
from .api.app import create_app
from .console import Console
from .network.request_log import Received, RequestLog
from .network.uvicorn_server import Server, check_host, check_port, listen, url_of
from .scenarios.builtin import SCENARIOS
from .scenarios.selection import select_scenario
from .store.clock import SystemClock

T = TypeVar("T", int, float)

_DESCRIPTION = "The embedded server of letta-ext, with a line for each request."


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
    parser = argparse.ArgumentParser(prog="python -m letta_ext.testing", description=_DESCRIPTION)
    parser.add_argument("--host", type=_host, default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=_number(int, check_port),
        default=8283,
        help="the port; 0 takes a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--scene",
        metavar=f"FILE|{'|'.join(SCENARIOS)}",
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
    """Serve until SIGINT or SIGTERM, by the clock of the machine. The signal takes its usual effect at the end.

    Args:
        given: the arguments; those of the command line by default.

    Returns:
        1 if it cannot listen, 2 if the scene cannot be read.
    """
    options = _arguments(given)
    try:
        stage = select_scenario(options.scene, SystemClock())
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
    with _stopped_by_signals(server):
        bound.listen()
        console.print(f"Letta on {url_of(bound)} (agent {stage.agent_id}, conversation {stage.conversation_id})")
        server.run(bound)
        console.close()
    return 0


@contextmanager
def _stopped_by_signals(server: Server) -> Generator[None]:
    """Let signals stop a server, and take their usual effect when the block is left."""
    if threading.current_thread() is not threading.main_thread():
        yield  # no other thread gets signals
        return
    caught: list[int] = []

    def stop(number: int, frame: Any) -> None:
        caught.append(number)
        server.stop()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)
    usual = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    if caught:
        signal.raise_signal(caught[0])


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]

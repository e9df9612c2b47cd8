"""The command line of the embedded server."""

from __future__ import annotations

import argparse
import json
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
from .scenario_file import schema
from .scenarios.builtin import SCENARIOS
from .scenarios.selection import select_scenario
from .store.clock import SystemClock

T = TypeVar("T", int, float, str)

_DESCRIPTION = "Run the embedded Letta server and print one line per request."


def _parser(kind: Callable[[str], T], expected: str, check: Callable[[T], None]) -> Callable[[str], T]:
    """Return an argparse type that parses and validates an argument."""

    def parse(args: str) -> T:
        try:
            value = kind(args)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {expected}, got {arguments.short_repr(args)}") from None
        try:
            check(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return value

    return parse


def _arguments(args: Sequence[str] | None, prog: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=prog, description=_DESCRIPTION)
    parser.add_argument(
        "--host",
        type=_parser(str, "a text", check_host),
        default="127.0.0.1",
        help="listen on this address (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=_parser(int, "a whole number", check_port),
        default=8283,
        help="listen on this port; 0 selects a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--scenario",
        metavar=f"FILE|{'|'.join(SCENARIOS)}",
        default="default",
        help="use this scenario (default: %(default)s)",
    )
    parser.add_argument(
        "--delay",
        type=_parser(float, "a number", lambda value: arguments.seconds("delay", value)),
        default=None,
        help="wait this many seconds before each token",
    )
    parser.add_argument("--no-check", action="store_true", help="do not validate requests and responses")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of scenario files and exit")
    return parser.parse_args(args)


def main(args: Sequence[str] | None = None, prog: str = "python -m letta_ext.testing") -> int:
    """Run the server with the system clock until SIGINT or SIGTERM, then raise the signal again.

    Args:
        args: The arguments. Defaults to those of the command line.
        prog: The name of the program in its help. Defaults to that of the module.

    Returns:
        1 if the server cannot listen, 2 if the scenario is invalid.
    """
    options = _arguments(args, prog)
    if options.schema:
        print(json.dumps(schema(), indent=2), flush=True)
        return 0
    try:
        scenario = select_scenario(options.scenario, SystemClock())
    except (OSError, ValueError) as error:
        print(_printable(str(error)), file=sys.stderr)
        return 2
    if options.delay is not None:
        scenario.state.delay = options.delay
    try:
        bound = listen(options.host, options.port)
    except (OSError, ValueError) as error:
        print(f"cannot listen on {_printable(options.host)}:{options.port}: {error}", file=sys.stderr)
        return 1
    console = Console(sys.stdout)

    def print_request(request: Received) -> None:
        console.print(str(request))

    # The log keeps only the newest request, because nothing reads it.
    server = Server(create_app(scenario), scenario, RequestLog(1), check=not options.no_check, on_request=print_request)
    with _stop_on_signals(server):
        bound.listen()
        console.print(f"Letta on {url_of(bound)} (agent {scenario.agent_id}, conversation {scenario.conversation_id})")
        server.run(bound)
        console.close()
    return 0


@contextmanager
def _stop_on_signals(server: Server) -> Generator[None]:
    """Stop a server on signals, and raise them again at the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield  # other threads do not receive signals
        return
    received: list[int] = []

    def stop(number: int, frame: Any) -> None:
        received.append(number)
        server.stop()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)
    previous = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]

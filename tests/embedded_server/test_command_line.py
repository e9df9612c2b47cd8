"""``python -m letta_ext.testing``: arguments, output and exit."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from letta_ext.testing.command import main
from letta_ext.testing.console import MAX_LINES, Console

from .conftest import SAMPLED, TLS

COMMAND = [sys.executable, "-m", "letta_ext.testing"]


@contextmanager
def running(*arguments: str, **popen: Any) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a server, and yield its process and its URL."""
    with subprocess.Popen([*COMMAND, "--port", "0", *arguments], stdout=subprocess.PIPE, **popen) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().decode().split()[2]
        finally:
            process.kill()


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
def test_unread_output_does_not_block_server(signal_: signal.Signals) -> None:
    """A full pipe blocks neither the requests nor the exit."""
    with running() as (process, url), httpx.Client(base_url=url, verify=TLS, timeout=5) as http:
        for number in range(40):
            assert http.get("/v1/health/", params={"x": f"{number}{'y' * 15_000}"}).status_code == 200
        for _ in range(400):
            assert http.get("/v1/health/").status_code == 200
        process.send_signal(signal_)
        assert process.wait(5) == -signal_


def test_closed_output_does_not_fail_requests() -> None:
    """A closed pipe does not fail requests."""
    with running() as (process, url), httpx.Client(base_url=url, verify=TLS, timeout=5) as http:
        assert process.stdout is not None
        process.stdout.close()
        assert [http.get("/v1/health/").status_code for _ in range(50)] == [200] * 50


def test_schema_in_a_closed_pipe_ends_quietly() -> None:
    """A reader that closes the pipe, as `head` does, ends the command with 141 and without a message."""
    with subprocess.Popen([*COMMAND, "--schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_request_prints_one_line_without_control_characters() -> None:
    """Each request prints one line without control characters."""
    with running() as (process, url), httpx.Client(base_url=url, verify=TLS, timeout=5) as http:
        assert process.stdout is not None
        http.get("/v1/%1b%5b31m/")
        http.get("/v1/health/")
        lines = [process.stdout.readline().decode() for _ in range(2)]
        assert lines[1] == "GET /v1/health/ 200\n"
        assert "\x1b" not in lines[0]
        assert lines[0].startswith("GET /v1/\\x1b[31m/ 404")


def test_dropped_lines_are_counted() -> None:
    """Lines beyond the limit of the queue are dropped, and the next line reports their number."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "w", encoding="utf-8") as writer:
        console = Console(writer)
        for number in range(MAX_LINES + 3_000):
            console.print(f"{number} {'x' * 100}")
        kept = b""
        while not (found := re.search(rb"\((\d+) lines dropped: the output was not read\)\n", kept)):
            kept += os.read(reader.fileno(), 2**16)
        assert 0 < int(found[1]) <= 3_000
        drain = threading.Thread(target=reader.read, daemon=True)
        drain.start()
        console.close(10)


def test_console_writes_to_captured_stream() -> None:
    """Captured output is written with the methods of the stream. Without a stream nothing is printed."""
    stream = StringIO()
    console = Console(stream)
    console.print("x" * 5_000)
    console.close()
    assert re.fullmatch(r"x{2000} \.\.\.\n", stream.getvalue())
    nowhere = Console(None)
    nowhere.print("x")
    nowhere.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", ""], "argument --host: host must be an address or a name, such as 127.0.0.1"),
        (["--host", " "], "argument --host: host must be"),
        (["--host", "a\nb"], "argument --host: host must be"),
        (["--host", "é"], "argument --host: host must be"),
        (["--host", "a" * 80], "cannot listen on aaa"),
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid:0"),
        (["--port", "-1"], "argument --port: port must be between 0 and 65535, got -1"),
        (["--port", "65536"], "argument --port: port must be between 0 and 65535, got 65536"),
        (["--port", "9" * 5_000], "argument --port: must be a whole number"),
        (["--port", "http"], "argument --port: must be a whole number, got 'http'"),
        (["--port", ""], "argument --port: must be a whole number, got ''"),
        (["--delay", "-1"], "argument --delay: delay must be a finite number of seconds"),
        (["--delay", "nan"], "argument --delay: delay must be a finite number of seconds"),
        (["--delay", "soon"], "argument --delay: must be a number, got 'soon'"),
        (["--scenario", ""], "scenario must be one of default, docs, echo, or the path of a file, got ''"),
        (["--scenario", "/"], "got '/"),
        (["--scenario", "/dev/zero"], "got '/dev/zero"),
        (["--scenario", "missing\x1b.yaml"], "got 'missing\\x1b.yaml'"),
        (["--scenario", "x" * 5_000], "got 'xxx"),
    ],
)
def test_invalid_argument_exits_with_message(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An invalid argument exits with a line that names it, without a traceback."""
    code, errors = refusal(["--port", "0", *arguments], capsys)
    assert code in (1, 2)
    assert message in errors


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Return the exit status and the error output for invalid arguments."""
    try:
        code: object = main(arguments)
    except SystemExit as exit_:  # as argparse ends a program
        code = exit_.code
    output, errors = capsys.readouterr()
    assert output == ""
    return code, errors


def test_used_port_and_invalid_scenario_exit_with_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A used port and an invalid scenario exit with a line that names them."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("delay: 1\ndelay: 2\n", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, errors = refusal(["--port", port], capsys)
        assert (code, errors.partition(": [")[0]) == (1, f"cannot listen on 127.0.0.1:{port}")
    output = f"{scenario}: duplicate key 'delay' in lines 1 and 2 (line 2)\n"
    assert refusal(["--scenario", str(scenario)], capsys) == (2, output)


EXAMPLES: Final = 200 if os.environ.get("LETTA_STRESS") == "full" else 8
SIGNALS: Final = [signal.SIGINT, signal.SIGTERM]

# Reports when the program has begun: before, a signal is the interpreter's.
OBSERVED: Final = """
import os, runpy, sys

def observe(event, args):
    if event == "import" and args[0] == "letta_ext.testing.command":
        os.write(REPORT, b".")

sys.addaudithook(observe)
runpy.run_module("letta_ext.testing", run_name="__main__", alter_sys=True)
"""


@contextmanager
def begun(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server, and yield its process once the program has begun."""
    read, write = os.pipe()
    source = OBSERVED.replace("REPORT", str(write))
    command = [sys.executable, "-W", "error", "-c", source, "--port", "0", *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with os.fdopen(read, "rb") as report, subprocess.Popen(command, pass_fds=[write], **pipes) as process:
        os.close(write)
        try:
            assert report.read(1) == b"."
            yield process
        finally:
            process.kill()


@SAMPLED
@pytest.mark.skipif(sys.platform == "win32", reason="signals end no process there as they do elsewhere")
@pytest.mark.parametrize("signal_", SIGNALS)
def test_signal_at_any_time_exits_without_output(signal_: signal.Signals) -> None:
    """A signal ends the process with its status and without output, from the first import on."""
    chance = random.Random(1302)

    def start_time(_: int) -> float:
        with begun() as process:
            started = time.perf_counter()
            assert process.stdout is not None
            process.stdout.readline()
            return time.perf_counter() - started

    def end(delay: float) -> bool:
        with begun() as process:
            time.sleep(delay)  # the time of the signal is the parameter
            process.send_signal(signal_)
            output, errors = process.communicate(timeout=10)
        assert (errors, process.returncode) == (b"", -signal_), delay
        assert re.fullmatch(rb"(Letta on http://127\.0\.0\.1:\d+ .*\n)?", output)
        return output != b""

    with ThreadPoolExecutor(4) as pool:
        span = 2 * max(pool.map(start_time, range(4)))  # as this machine starts four servers at the same time
        delays = [span * (number + chance.random()) / EXAMPLES for number in range(EXAMPLES)]
        printed = list(pool.map(end, delays))
    assert EXAMPLES < 100 or len(set(printed)) == 2  # before it serves, and while it does


@SAMPLED
@pytest.mark.skipif(sys.platform == "win32", reason="signals end no process there as they do elsewhere")
@pytest.mark.parametrize("signal_", SIGNALS)
@pytest.mark.parametrize("times", [1, 3])
def test_signals_after_start_exit_without_errors(signal_: signal.Signals, times: int) -> None:
    """One or more signals after the first line of output end the process without errors."""
    for _ in range(1 + EXAMPLES // 10):
        with begun() as process:
            assert process.stdout is not None
            process.stdout.readline()
            for _ in range(times):
                process.send_signal(signal_)
            _, errors = process.communicate(timeout=10)
            assert errors == b""
            assert process.returncode == -signal_


@pytest.mark.skipif(sys.platform == "win32", reason="signals end no process there as they do elsewhere")
@pytest.mark.parametrize("signal_", SIGNALS)
def test_signal_closes_open_streams(signal_: signal.Signals) -> None:
    """Unread streams are closed immediately."""
    # Without -X dev: asyncio would log slow callbacks on a loaded machine.
    arguments = ["-W", "error", "-m", "letta_ext.testing", "--port", "0", "--delay", "0.01"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, *arguments], **pipes) as process, ExitStack() as lines:
        assert process.stdout is not None
        output = process.stdout.readline().decode()
        found = re.match(r"Letta on http://([0-9.]+):(\d+) \(agent \S+, conversation (\S+)\)", output)
        assert found is not None
        for _ in range(20):
            connection = lines.enter_context(socket.create_connection((found[1], int(found[2])), timeout=5))
            head = f"POST /v1/conversations/{found[3]}/messages HTTP/1.1\r\nHost: x\r\n"
            body = '{"input": "LONG 5000", "stream_tokens": true}'
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            connection.sendall(head.encode())
        connection.recv(1)
        began = time.monotonic()
        process.send_signal(signal_)
        _, errors = process.communicate(timeout=10)
        assert time.monotonic() - began < 3
        assert errors == b""
        assert process.returncode == -signal_

"""Runs the command line in this process, with a pipe or a pseudo-terminal as its output."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Final, Self

import pytest
from attrs import frozen
from typer.main import get_command

from letta_ext.cli.app import make_app

STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")
"""An escape sequence of rich that sets a color or a style."""

TIMEOUT: Final = 60.0
"""Seconds without output after which a process of a test has failed."""


@cache
def app() -> Any:
    """Return the application as a command, which takes a while to build."""
    return get_command(make_app())


@frozen
class Result:
    """The outcome of a command.

    Attributes:
        code: The exit code.
        out: The standard output. For a terminal, both outputs, without styles.
        err: The standard error. Empty for a terminal.
        raw: The output with its styles.
    """

    code: int
    out: str
    err: str
    raw: str

    @property
    def json(self) -> list[Any]:
        """The values of the lines of the output."""
        return [json.loads(line) for line in self.out.splitlines()]


class ObservedFile(io.FileIO):
    """An output whose writes are observed."""

    def __init__(self, descriptor: int, on_write: Callable[[bytes], None]) -> None:
        super().__init__(descriptor, "w")
        self._on_write = on_write

    def write(self, data: Any, /) -> int:
        written = super().write(data)
        self._on_write(bytes(data))
        return written


class CommandLine:
    """The command line."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def run(self, *arguments: str, input: str | bytes = "", encoding: str = "utf-8") -> Result:
        """Run a command whose input and output are pipes."""
        typed = input.encode() if isinstance(input, str) else input
        out, err = io.BytesIO(), io.BytesIO()
        with self._monkeypatch.context() as patched:
            patched.delenv("COLUMNS", raising=False)  # pytest-xdist sets it
            patched.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed), "utf-8"))
            patched.setattr("sys.stdout", io.TextIOWrapper(out, encoding, write_through=True))
            patched.setattr("sys.stderr", io.TextIOWrapper(err, encoding, write_through=True))
            code = self._call(arguments)
            printed = out.getvalue().decode(), err.getvalue().decode()
        return Result(code, *printed, printed[0])

    def run_with_closed_pipe(self, *arguments: str, name: str = "stdout") -> Result:
        """Run a command one of whose outputs is a pipe that its reader has closed."""
        reader, writer = os.pipe()
        os.close(reader)
        other = io.BytesIO()
        with self._monkeypatch.context() as patched, io.FileIO(writer, "w") as closed:
            outputs = {"stdout": other, "stderr": other} | {name: closed}
            for each, output in outputs.items():
                patched.setattr(f"sys.{each}", io.TextIOWrapper(output, "utf-8", write_through=True))
            code = self._call(arguments)
            printed = other.getvalue().decode()
        return Result(code, "", printed, "") if name == "stdout" else Result(code, printed, "", printed)

    def _call(self, arguments: tuple[str, ...]) -> int:
        try:
            app()([*arguments], prog_name="letta-ext")
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    def on_terminal(
        self,
        *arguments: str,
        width: int = 80,
        keys: str = "",
        environment: Mapping[str, str] | None = None,
        on_write: Callable[[bytes], None] = lambda _: None,
    ) -> Result:
        """Run a command on a pseudo-terminal, on which the keys are typed. `on_write` is called after each write."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        printed: list[bytes] = []
        reader = threading.Thread(target=_read_all, args=(master, printed))
        reader.start()
        code = 0
        try:
            os.write(master, keys.encode())
            with self._monkeypatch.context() as patched:
                patched.setenv("COLUMNS", str(width))
                for name, value in {"TERM": "xterm-256color", **(environment or {})}.items():
                    patched.setenv(name, value)
                writer = io.TextIOWrapper(ObservedFile(os.dup(slave), on_write), "utf-8", write_through=True)
                keyboard = io.TextIOWrapper(io.BufferedReader(io.FileIO(os.dup(slave), "r")), "utf-8")
                patched.setattr("sys.stdin", keyboard)
                patched.setattr("sys.stdout", writer)
                patched.setattr("sys.stderr", writer)
                try:
                    code = self._call(arguments)
                finally:
                    writer.close()
                    keyboard.close()
        finally:
            os.close(slave)
            reader.join()
            os.close(master)
        raw = b"".join(printed).decode().replace("\r\n", "\n")
        return Result(code, STYLE.sub("", raw), "", raw)


def _read_all(master: int, printed: list[bytes]) -> None:
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # Linux reports the closed terminal as EIO
            return
        if not data:
            return
        printed.append(data)


class TerminalProcess:
    """The command line in a process with a terminal of its own.

    Args:
        arguments: The arguments.
        width: The width of the terminal.
    """

    def __init__(self, *arguments: str, width: int = 80) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "letta_ext", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm", "COLUMNS": str(width)},
            start_new_session=True,
        )
        os.close(slave)
        self._printed = b""
        self.code: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def printed(self) -> str:
        """The output so far, without styles."""
        text = self._printed.decode("utf-8", "replace").replace("\r\n", "\n")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)

    def wait_for(self, text: str) -> None:
        """Read the output until it has a text."""
        while text not in self.printed:
            self._read()

    def _read(self) -> None:
        ready, _, _ = select.select([self._master], [], [], TIMEOUT)
        assert ready, self.printed
        self._printed += os.read(self._master, 65536)

    def type(self, text: str) -> None:
        """Type on the keyboard."""
        os.write(self._master, text.encode())

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def finish(self) -> str:
        """Read the output to its end, and return it."""
        with suppress(OSError):  # Linux reports the closed terminal as EIO
            while True:
                self._read()
        self.code = self._process.wait(TIMEOUT)
        return self.printed

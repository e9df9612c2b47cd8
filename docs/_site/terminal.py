"""Write `docs/_static/terminal-*.svg`: a session of `letta-ext` in terminals of three widths.

Usage: python docs/_site/terminal.py
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from letta_ext.testing import Call, EmbeddedServer, Turn

FOLDER: Final = Path(__file__).parents[1] / "_static"
WIDTHS: Final = (60, 80, 120)
COMMANDS: Final = (
    'letta-ext send Ada "How is the weather in Rome?"',
    "letta-ext messages Ada --limit 4",
    "letta-ext steps --limit 3",
    "letta-ext doctor",
)
FONT: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""A font that rich loads from another host."""


def run(command: str, width: int, address: str) -> str:
    """Return the output of a command in a terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    arguments = [sys.executable, "-m", "letta_ext", *shlex.split(command)[1:]]
    environment = {**os.environ, "LETTA_BASE_URL": address, "COLUMNS": str(width), "TERM": "xterm-256color"}
    process = subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    printed = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # the terminal is closed
            break
        if not data:
            break
        printed += data
    os.close(master)
    if process.wait() != 0:
        sys.exit(f"{command} has failed:\n{printed.decode()}")
    return printed.decode().replace("\r\n", "\n")


def main() -> None:
    """Write a picture for each width."""
    for width in WIDTHS:
        with EmbeddedServer() as server, open(os.devnull, "w", encoding="utf-8") as null:
            server.script.when(
                "weather",
                Turn(calls=[Call("get_weather", {"city": "Rome"})], reasoning="I need the weather."),
                "It is sunny in Rome.",
            )
            server.script.tools["get_weather"] = lambda _: "sunny, 21 °C"
            console = Console(record=True, width=width, file=null, force_terminal=True, highlight=False)
            for command in COMMANDS:
                console.print(Text(f"$ {command}", style="bold"))
                console.print(Text.from_ansi(run(command, width, server.base_url).rstrip("\n")))
                console.print()
            path = FOLDER / f"terminal-{width}.svg"
            picture = console.export_svg(title="letta-ext", unique_id="terminal")
            path.write_text(FONT.sub("", picture), "utf-8")
            print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

"""A program that is killed while its tool runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Final

PROGRAM: Final = """
import os, signal, sys
from letta_ext import Letta

def weather(city: str) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"

with Letta(base_url=sys.argv[1]) as client:
    client.conversations.messages.run_tools(sys.argv[2], tools=[weather], input="CALL weather").result()
"""


def run_until_killed(base_url: str, conversation_id: str) -> None:
    """Run a program that kills itself in its tool."""
    command = [sys.executable, "-c", PROGRAM, base_url, conversation_id]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr

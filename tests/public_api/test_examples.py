"""The programs of examples/ run as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_tour_prints_conversation() -> None:
    """The tour runs a tool, and an interruption of the connection loses no word."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / "tour.py", "Which way?"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:7] == [
        "user:   Good morning, Ada.",
        "agent:  Good morning! What can I do for you today?",
        "user:   Can I walk through Rome tomorrow?",
        "tool:   forecast('Rome')",
        "agent:  It stays sunny, with 22 °C. A short walk fits.",
        "user:   Which way?",
        "agent:  Start at the Pantheon, have a coffee at Piazza Navona, and end on the bridge of Castel Sant'Angelo.",
    ]
    assert sum(line.startswith("step-") for line in lines) == 4
    assert lines[-1].startswith("The last reply was interrupted 1 time")

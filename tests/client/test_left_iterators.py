"""Abandoned async iterators cause no warning, however their event loop ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from letta_ext import Letta
from letta_ext.testing import EmbeddedServer

from ..stress.figures import FULL

SCRIPT: Final = Path(__file__).with_name("left_iterators.py")
FULL_MARKS: Final = [pytest.mark.stress, pytest.mark.skipif(not FULL, reason="the sample is a test of its own")]


@pytest.mark.parametrize(
    ("amount", "count"), [("sample", 50), pytest.param("full", 250, marks=FULL_MARKS)], ids=["sample", "full"]
)
def test_abandoned_async_iterators_cause_no_warnings(amount: str, count: int, server: EmbeddedServer) -> None:
    """Every kind, way of abandoning and end of the event loop leaves stderr empty with `-X dev -W error`."""
    with Letta(base_url=server.base_url) as client:
        for _ in range(3):  # several steps to list, and messages to follow
            client.conversations.messages.create(server.conversation_id, input="hi", streaming=False)
    command = [sys.executable, "-X", "dev", "-W", "error", str(SCRIPT), server.base_url, server.conversation_id, amount]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) == count

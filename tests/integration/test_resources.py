"""Agents, conversations, runs and health on a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from letta_ext import AsyncLetta

from .resources import CHECKS, Check

pytestmark = pytest.mark.anyio

EXAMPLE = Path(__file__).parents[2] / "examples" / "agent_lifecycle.py"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_resource_on_a_real_server(check: Check, client: AsyncLetta, model: str) -> None:
    """The server does what the check says."""
    await check(client, model)


def test_example_runs_a_whole_round(address: str, model: str) -> None:
    """The example creates, streams, cancels, lists and deletes."""
    lines = run_example(address, model)
    assert lines[1].startswith("canceled run-")
    assert lines[2] == "completed with 2 messages"
    assert lines[3].startswith("cancelled with")
    assert lines[-1].endswith("successfully deleted")


def run_example(address: str, model: str) -> list[str]:
    """The lines that the example prints."""
    environment = os.environ | {"LETTA_BASE_URL": address}
    command = [sys.executable, str(EXAMPLE), model]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()

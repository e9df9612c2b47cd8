"""A program that reads a stream until it receives SIGINT."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Final

INTERRUPTED: Final = {
    "sync": """
import sys
from letta_ext import Letta

with Letta(base_url=sys.argv[1]) as client:
    create, cancelling = client.conversations.messages.create, client.runs.cancelling
    with create(sys.argv[2], input="LONG 20000", stream_tokens=True) as stream, cancelling(stream, timeout=60):
        for event in stream:
            if event.message_type == "assistant_message":
                print(stream.run_id, flush=True)
""",
    "async": """
import asyncio, sys
from letta_ext import AsyncLetta

async def main():
    async with AsyncLetta(base_url=sys.argv[1]) as client:
        create = client.conversations.messages.create
        stream = await create(sys.argv[2], input="LONG 20000", stream_tokens=True, background=True)
        async with stream, client.runs.cancelling(stream, timeout=60):
            async for event in stream:
                if event.message_type == "assistant_message":
                    print(stream.run_id, flush=True)

asyncio.run(main())
""",
}
"""Programs by the client that they use. Each prints the id of its run for each token."""

HANDLED: Final = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""Restores Python's handler: background jobs of a shell ignore SIGINT."""


def interrupt_program(kind: str, base_url: str, conversation_id: str) -> str:
    """Run a program, send SIGINT as soon as it has read a token, and return the id of its run."""
    command = [sys.executable, "-c", HANDLED + INTERRUPTED[kind], base_url, conversation_id]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        run_id = process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert errors.rstrip().endswith("KeyboardInterrupt"), errors
    assert process.returncode == -signal.SIGINT
    return run_id

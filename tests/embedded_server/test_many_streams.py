"""Many concurrent streams lose no event, and the memory of the server is limited.

200 streams of 1,000 events each with LETTA_STRESS=full, a sample otherwise.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

import httpx
import pytest

from .test_builtin_scenarios import command

FULL: Final = os.environ.get("LETTA_STRESS") == "full"
STREAMS: Final = 200 if FULL else 20
EVENTS: Final = 1000 if FULL else 100
WORDS: Final = EVENTS - 4
"""Number of words. A stream also has a ping, a stop reason, the usage and the terminal event."""

MIB_PER_STREAM: Final = 0.5
"""Maximum additional memory per stream [MiB]. The events of one stream take about 0.3 MiB."""


class Read(NamedTuple):
    """The events and words of one stream."""

    events: int
    words: list[int]


async def read(host: str, port: int, path: str) -> Read:
    """Read one stream from a plain socket, at low cost."""
    body = f'{{"input": "LONG {WORDS}", "stream_tokens": true}}'
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(
        f"POST {path}/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n{body}".encode()
    )
    received = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    words = [int(found) for found in re.findall(rb'"content":"word(\d+) "', received)]
    return Read(len(re.findall(rb"^data: ", received, re.MULTILINE)), words)


async def read_all(host: str, port: int, paths: list[str]) -> list[Read]:
    return await asyncio.gather(*(read(host, port, path) for path in paths))


def peak(process: subprocess.Popen[str]) -> float:
    """Return the peak memory of a process [MiB]."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


@pytest.mark.stress
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_concurrent_streams_lose_no_event(capsys: pytest.CaptureFixture[str]) -> None:
    """Every stream contains all its events, within the memory limit."""
    with command() as process:
        assert process.stdout is not None
        url = httpx.URL(process.stdout.readline().split()[2])
        with httpx.Client(base_url=url) as http:
            agent = http.get("/v1/agents/").json()[0]["id"]
            made = [http.post("/v1/conversations/", params={"agent_id": agent}).json() for _ in range(STREAMS)]
        paths = [f"/v1/conversations/{conversation['id']}" for conversation in made]
        # Run one stream first, so that modules loaded once do not count as memory of the streams.
        asyncio.run(read_all(url.host, url.port or 0, paths[:1]))
        before, started = peak(process), time.monotonic()
        found = asyncio.run(read_all(url.host, url.port or 0, paths))
        seconds, grown = time.monotonic() - started, peak(process) - before
        process.terminate()
        process.wait(10)
    lost = sum(EVENTS - each.events for each in found)
    with capsys.disabled():
        print(
            f"\nSTREAMS {STREAMS} at once, {EVENTS} events each, one process: {sum(each.events for each in found)} "
            f"events in {seconds:.1f} s, {lost} lost; peak memory {before:.0f} MiB before, {grown:.0f} MiB more"
        )
    assert lost == 0
    assert all(each.words == list(range(WORDS)) for each in found)
    assert grown < MIB_PER_STREAM * STREAMS

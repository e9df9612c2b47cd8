"""Peak memory of a process that receives 1 GiB compressed to a megabyte."""

from __future__ import annotations

import subprocess
import sys
import zlib
from functools import cache

import brotli  # type: ignore[import-untyped]  # no types are published
import pytest
import zstandard

from ..client.helpers import STEP, recording
from ..client.servers import response, serving
from .figures import FULL, figure

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak of a process is read from /proc"),
]

MIB = 1_048_576
MAX_PEAK = 200 * MIB

PROGRAM = """
import asyncio, re, sys
from letta_ext import AsyncLetta, Letta, RetryPolicy
address, step, side = sys.argv[1:]
settings = {"base_url": address, "retry": RetryPolicy(max_retries=0)}

async def call():
    async with AsyncLetta(**settings) as client:
        return await client.steps.retrieve(step)

try:
    found = asyncio.run(call()) if side == "async" else Letta(**settings).steps.retrieve(step)
except Exception as error:
    found = error
status = open("/proc/self/status").read()
print(type(found).__name__, re.search(r"VmHWM:\\s*(\\d+) kB", status).group(1))
"""


@cache
def bomb(coding: str) -> bytes:
    """Return 1 GiB of zeros, compressed."""
    zeros = bytes(MIB)
    if coding == "br":
        made = brotli.Compressor(quality=1)
        last: bytes
        pieces, last = [made.process(zeros) for _ in range(1024)], made.finish()
        return b"".join(pieces) + last
    if coding == "zstd":
        packed = zstandard.ZstdCompressor().compressobj()
        return b"".join(packed.compress(zeros) for _ in range(1024)) + packed.flush()
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    first = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    content = first + again * 1023  # after a full flush, the same data compresses to the same bytes
    return content if coding == "gzip" else zlib.compress(content, 9, zlib.MAX_WBITS | 16)


@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip", "br", "zstd"] if FULL else ["gzip"])
@pytest.mark.parametrize(("status", "outcome"), [(200, "ResponseTooLargeError"), (404, "NotFoundError"), (307, "Step")])
@pytest.mark.parametrize("driver", ["sync", "async"])
def test_one_gigabyte_bomb_stays_within_memory_limit(driver: str, status: int, outcome: str, coding: str) -> None:
    """A 1 GiB bomb keeps the process below 200 MiB."""
    bomb_response = response(bomb(coding), f"{status} X", content_encoding=coding, location="/moved")
    moved = response(recording("step_retrieve").content)

    with serving(lambda to, request, _: to.sendall(moved if b"/moved" in request else bomb_response)) as server:
        command = [sys.executable, "-c", PROGRAM, server.base_url, STEP, driver]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    result, peak = done.stdout.split()
    peak_bytes = int(peak) * 1024
    figure("1 GiB bomb", f"{coding} as {status}, {driver}: {result}, peak {peak_bytes / MIB:.0f} MiB of the process")
    assert result == outcome
    assert peak_bytes < MAX_PEAK

"""Many concurrent calls, consecutive calls and cancellations: time, memory, connections."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx
import pytest

from letta_ext import AsyncLetta, Letta

from ..client.counting import EVENTS, HALF, LIST, SILENT, CountingServer, check_repeated_cancellation, counting_server
from ..client.helpers import CONVERSATION, recording
from .figures import FULL, figure

pytestmark = pytest.mark.stress

CONCURRENT: Final = (1_000, 2_000, 5_000) if FULL else (200, 400)
THREADS: Final = (100, 500) if FULL else (50,)
SENDS: Final = 10_000 if FULL else 300
CANCELLATIONS: Final = 1_000 if FULL else 100
ALLOWANCE: Final = 20_000
"""Bytes that the interpreter may keep for reuse."""


async def seconds_of_letta(server: CountingServer, count: int) -> float:
    async with AsyncLetta(base_url=server.base_url, timeout=120) as client:
        since = time.perf_counter()
        await asyncio.gather(*(client.steps.list() for _ in range(count)))
        return time.perf_counter() - since


async def seconds_of_httpx(server: CountingServer, count: int) -> float:
    """Measure the same requests with httpx, without a limit and without decoding."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=server.base_url, timeout=3_600, limits=limits) as client:
        since = time.perf_counter()
        await asyncio.gather(*(client.get("/v1/steps/") for _ in range(count)))
        return time.perf_counter() - since


def test_time_per_concurrent_async_call_is_constant() -> None:
    """The time per call is independent of their number; with httpx's pool it grows."""
    each: list[float] = []
    for count in CONCURRENT:
        with counting_server() as server:
            ours = asyncio.run(seconds_of_letta(server, count))
            assert server.requests == count
        with counting_server() as server:
            theirs = asyncio.run(seconds_of_httpx(server, count))
        figure(f"async calls at once, {count}", f"{ours:.2f} s, httpx without a limit {theirs:.2f} s")
        each.append(ours / count)
    assert each[-1] < 3 * each[0]


def test_concurrent_calls_of_threads_complete() -> None:
    """Each thread completes one call with a shared client."""
    for count in THREADS:
        with (
            counting_server() as server,
            Letta(base_url=server.base_url, timeout=120) as client,
            ThreadPoolExecutor(count) as pool,
        ):
            barrier = threading.Barrier(count + 1)

            def call(client: Letta = client, barrier: threading.Barrier = barrier) -> int:
                barrier.wait(60)
                return len(client.steps.list())

            calls = [pool.submit(call) for _ in range(count)]
            barrier.wait(60)
            since = time.perf_counter()
            assert [each.result(120) for each in calls] == [0] * count
            figure(f"calls of threads at once, {count}", f"{time.perf_counter() - since:.2f} s")
            assert server.requests == count


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_consecutive_sends_leak_no_memory(is_async: bool) -> None:
    """A leak would grow in both halves of the sends; one-time allocations grow in one."""
    body = recording("send_json").content
    response = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    marks = (50, 50 + SENDS // 2, 50 + SENDS)  # objects kept for reuse exist by the first mark

    async def send_async(server: CountingServer) -> list[int]:
        async with AsyncLetta(base_url=server.base_url) as client:
            used: list[int] = []
            for number in range(1, marks[-1] + 1):
                await client.conversations.messages.create(CONVERSATION, input="hi", streaming=False)
                if number in marks:
                    used.append(in_use())
            return used

    def send(server: CountingServer) -> list[int]:
        with Letta(base_url=server.base_url) as client:
            used: list[int] = []
            for number in range(1, marks[-1] + 1):
                client.conversations.messages.create(CONVERSATION, input="hi", streaming=False)
                if number in marks:
                    used.append(in_use())
            return used

    tracemalloc.start()
    try:
        with counting_server(_v1_conversations=response) as server:
            used = asyncio.run(send_async(server)) if is_async else send(server)
            connections = server.connections
    finally:
        tracemalloc.stop()
    grown = min(used[1] - used[0], used[2] - used[1])
    figure(
        f"memory per send, {'async' if is_async else 'sync'}",
        f"{SENDS} sends, {grown / (SENDS // 2):+.1f} bytes each, connections {connections}",
    )
    assert grown < ALLOWANCE + SENDS // 2
    assert connections == 1


def in_use() -> int:
    """Return the traced memory after a collection."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize("reply", [SILENT, HALF, EVENTS, LIST], ids=["silent", "half", "events", "list"])
def test_repeated_cancellations_leak_no_connection(reply: bytes) -> None:
    """Repeated cancellation at any place of a call leaks no connection."""
    with counting_server(_v1_steps_step=reply, _v1_conversations=reply) as server:
        asyncio.run(check_repeated_cancellation(server, reply, CANCELLATIONS))
        assert server.wait_open(0)
        figure("calls that were cancelled twice", f"{CANCELLATIONS}, connections that stay open {server.open}")

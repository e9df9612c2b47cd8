"""Many calls at once, many calls in a row, many cancellations: their time, their memory, their connections."""

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

AT_ONCE: Final = (1_000, 2_000, 5_000) if FULL else (200, 400)
THREADS: Final = (100, 500) if FULL else (50,)
SENDS: Final = 10_000 if FULL else 300
CANCELLATIONS: Final = 1_000 if FULL else 100
SLACK: Final = 20_000
"""Bytes that the interpreter may keep for use again."""


async def seconds_of_letta(server: CountingServer, count: int) -> float:
    async with AsyncLetta(base_url=server.base_url, timeout=120) as client:
        since = time.perf_counter()
        await asyncio.gather(*(client.steps.list() for _ in range(count)))
        return time.perf_counter() - since


async def seconds_of_httpx(server: CountingServer, count: int) -> float:
    """The same requests without a limit, and without decoding their answers."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=server.base_url, timeout=3_600, limits=limits) as client:
        since = time.perf_counter()
        await asyncio.gather(*(client.get("/v1/steps/") for _ in range(count)))
        return time.perf_counter() - since


def test_async_calls_at_once() -> None:
    """Each call takes about as long, however many there are; httpx's own pool takes longer the more there are."""
    each: list[float] = []
    for count in AT_ONCE:
        with counting_server() as server:
            ours = asyncio.run(seconds_of_letta(server, count))
            assert server.requests == count
        with counting_server() as server:
            theirs = asyncio.run(seconds_of_httpx(server, count))
        figure(f"async calls at once, {count}", f"{ours:.2f} s, httpx without a limit {theirs:.2f} s")
        each.append(ours / count)
    assert each[-1] < 3 * each[0]


def test_calls_of_threads_at_once() -> None:
    """Each thread makes one call with one client."""
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
def test_memory_per_send(is_async: bool) -> None:
    """Sends in a row leave nothing behind. A leak grows in each half of them; what is made once, in one of them."""
    body = recording("send_json").content
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    marks = (50, 50 + SENDS // 2, 50 + SENDS)  # what is kept for use again is there by the first

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
        with counting_server(_v1_conversations=answer) as server:
            used = asyncio.run(send_async(server)) if is_async else send(server)
            connections = server.connections
    finally:
        tracemalloc.stop()
    grown = min(used[1] - used[0], used[2] - used[1])
    figure(
        f"memory per send, {'async' if is_async else 'sync'}",
        f"{SENDS} sends, {grown / (SENDS // 2):+.1f} bytes each, connections {connections}",
    )
    assert grown < SLACK + SENDS // 2
    assert connections == 1


def in_use() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize("reply", [SILENT, HALF, EVENTS, LIST], ids=["silent", "half", "events", "list"])
def test_cancellations_leave_no_connection(reply: bytes) -> None:
    """`cancel(); sleep(0); cancel()`, at any place of a call."""
    with counting_server(_v1_steps_step=reply, _v1_conversations=reply) as server:
        asyncio.run(check_repeated_cancellation(server, reply, CANCELLATIONS))
        assert server.wait_open(0)
        figure("calls that were cancelled twice", f"{CANCELLATIONS}, connections that stay open {server.open}")

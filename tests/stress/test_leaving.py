"""Abandoned streams leak no socket, no memory and no lock."""

from __future__ import annotations

import asyncio
import gc
import os
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import anyio
import pytest

from letta_ext import AsyncLetta, Letta

from .figures import FULL, figure, run_within
from .replay import CONVERSATION, ReplayServer, parse_entries, recorded_body, replay_server

pytestmark = pytest.mark.stress

COUNT: Final = 10_000 if FULL else 150
WARM_UP: Final = 500 if FULL else 10
"""Streams that are abandoned before the first measurement, so that reusable objects exist."""

SEND: Final[dict[str, Any]] = {"input": "hi", "background": True, "include_pings": True}


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def unfinished_runs() -> Any:
    """Return a server whose runs have not ended, so that only leaving ends a stream."""
    return replay_server(b"".join(entry.text for entry in parse_entries(recorded_body())[:8]))


class LeftError(Exception):
    pass


# Ways to abandon a stream


def by_break(client: Letta) -> None:
    for _ in client.conversations.messages.create(CONVERSATION, **SEND):
        break


def by_exception(client: Letta) -> None:
    with suppress(LeftError):
        for _ in client.conversations.messages.create(CONVERSATION, **SEND):
            raise LeftError


def by_break_out_of_text(client: Letta) -> None:
    for _ in client.conversations.messages.create(CONVERSATION, **SEND).text():
        break


def by_with(client: Letta) -> None:
    with client.conversations.messages.create(CONVERSATION, **SEND) as stream:
        next(iter(stream))


def by_exception_out_of_with(client: Letta) -> None:
    with suppress(LeftError), client.conversations.messages.create(CONVERSATION, **SEND) as stream:
        for _ in stream:
            raise LeftError


def by_close(client: Letta) -> None:
    client.conversations.messages.create(CONVERSATION, **SEND).close()


def by_garbage_collection(client: Letta) -> None:
    client.conversations.messages.create(CONVERSATION, **SEND)


class Chat:
    """An object with a reference cycle, which only the garbage collector releases."""

    def __init__(self, client: Letta) -> None:
        self.me = self
        self.events = iter(client.conversations.messages.create(CONVERSATION, **SEND))


def by_cycle(client: Letta) -> None:
    next(Chat(client).events)


async def by_async_break(client: AsyncLetta) -> None:
    async for _ in await client.conversations.messages.create(CONVERSATION, **SEND):
        break


async def by_async_exception(client: AsyncLetta) -> None:
    with suppress(LeftError):
        async for _ in await client.conversations.messages.create(CONVERSATION, **SEND):
            raise LeftError


async def by_break_out_of_async_text(client: AsyncLetta) -> None:
    async for _ in (await client.conversations.messages.create(CONVERSATION, **SEND)).text():
        break


async def by_async_garbage_collection(client: AsyncLetta) -> None:
    await client.conversations.messages.create(CONVERSATION, **SEND)


async def by_async_with(client: AsyncLetta) -> None:
    async with await client.conversations.messages.create(CONVERSATION, **SEND) as stream:
        async for _ in stream:
            break


async def read_until(client: AsyncLetta, reached: Callable[[], object]) -> None:
    async for _ in await client.conversations.messages.create(CONVERSATION, **SEND):
        reached()


async def by_cancellation(client: AsyncLetta) -> None:
    reading = asyncio.Event()
    task = asyncio.create_task(read_until(client, reading.set))
    await reading.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def by_cancellation_in_the_loop(client: AsyncLetta) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async for _ in await client.conversations.messages.create(CONVERSATION, **SEND):
            reading.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(read())
    await reading.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def by_cancellation_before_the_answer(client: AsyncLetta) -> None:
    task = asyncio.create_task(read_until(client, lambda: None))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def by_cancelled_scope(client: AsyncLetta) -> None:
    with anyio.CancelScope() as scope:
        await read_until(client, scope.cancel)


async def by_cancelled_scope_around_with(client: AsyncLetta) -> None:
    with anyio.CancelScope() as scope:
        async with await client.conversations.messages.create(CONVERSATION, **SEND) as stream:
            async for _ in stream:
                scope.cancel()


SYNC: Final[list[Callable[[Letta], None]]] = [
    by_break,
    by_exception,
    by_break_out_of_text,
    by_with,
    by_exception_out_of_with,
    by_close,
    by_garbage_collection,
    by_cycle,
]
ASYNC: Final[list[Callable[[AsyncLetta], Awaitable[None]]]] = [
    by_async_break,
    by_async_exception,
    by_break_out_of_async_text,
    by_async_with,
    by_async_garbage_collection,
    by_cancellation,
    by_cancellation_in_the_loop,
    by_cancellation_before_the_answer,
    by_cancelled_scope,
    by_cancelled_scope_around_with,
]


class LeakCheck:
    """Compares open files and used memory with an earlier measurement."""

    def __init__(self, replay: ReplayServer) -> None:
        self._replay = replay
        self._files = self._bytes = 0

    def measure(self) -> None:
        """Measure open files and used memory."""
        gc.collect()
        assert self._replay.wait_open(0, 5)
        self._replay.requests.clear()  # they belong to the server
        self._replay.sends.clear()
        gc.collect()  # it also clears the interpreter's free lists
        self._files, self._bytes = open_files(), tracemalloc.get_traced_memory()[0]

    def check(self, name: str, count: int) -> None:
        """Fail if more is in use than at the last measurement."""
        files, size = self._files, self._bytes
        self.measure()
        grown, more = self._bytes - size, self._files - files
        figure(f"left streams, {name}", f"{count}, sockets {more:+d}, bytes {grown:+d}")
        assert more <= 0
        assert grown < 20_000 + 10 * count


@pytest.mark.parametrize("leave", SYNC, ids=lambda way: way.__name__)
def test_abandoned_streams_leak_no_socket_and_memory(leave: Callable[[Letta], None]) -> None:
    """Each way to abandon a stream leaks nothing."""
    count = COUNT // len(SYNC)

    def work() -> None:
        with unfinished_runs() as replay, Letta(base_url=replay.base_url) as client:
            replay.keep_open = True
            balance = LeakCheck(replay)
            for _ in range(WARM_UP):
                leave(client)
            balance.measure()
            for _ in range(count):
                leave(client)
            balance.check(f"sync {leave.__name__}", count)

    tracemalloc.start()
    try:
        run_within(300, work)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("leave", ASYNC, ids=lambda way: way.__name__)
def test_abandoned_async_streams_leak_no_socket_and_memory(leave: Callable[[AsyncLetta], Awaitable[None]]) -> None:
    """Async version: each way to abandon a stream leaks nothing."""
    count = COUNT // len(ASYNC)

    async def main() -> None:
        with unfinished_runs() as replay:
            replay.keep_open = True
            async with AsyncLetta(base_url=replay.base_url) as client:
                balance = LeakCheck(replay)
                for _ in range(WARM_UP):
                    await leave(client)
                await settle()
                balance.measure()
                for _ in range(count):
                    await leave(client)
                await settle()
                balance.check(f"async {leave.__name__}", count)

    async def settle() -> None:
        for _ in range(10):  # the event loop closes abandoned streams within a few iterations
            await asyncio.sleep(0)

    tracemalloc.start()
    try:
        run_within(300, lambda: asyncio.run(main()))
    finally:
        tracemalloc.stop()

"""Whoever leaves a stream, by whatever way, leaves nothing behind: no socket, no memory, no lock."""

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

from .figures import FULL, figure, within
from .replay import CONVERSATION, Replay, entries, recorded, replaying

pytestmark = pytest.mark.stress

COUNT: Final = 10_000 if FULL else 150
WARM: Final = 500 if FULL else 10
"""How many streams are left before stock is taken: what the interpreter keeps for use again is there by then."""

SEND: Final[dict[str, Any]] = {"input": "hi", "background": True, "include_pings": True}


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def unfinished() -> Any:
    """A server whose runs have begun and not ended: only who leaves gets away."""
    return replaying(b"".join(entry.text for entry in entries(recorded())[:8]))


class LeftError(Exception):
    pass


# The ways to leave a stream.


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


def by_letting_go(client: Letta) -> None:
    client.conversations.messages.create(CONVERSATION, **SEND)


class Chat:
    """Something of a user's that refers to itself, so that only the garbage collector finds it."""

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


async def by_async_letting_go(client: AsyncLetta) -> None:
    await client.conversations.messages.create(CONVERSATION, **SEND)


async def by_async_with(client: AsyncLetta) -> None:
    async with await client.conversations.messages.create(CONVERSATION, **SEND) as stream:
        async for _ in stream:
            break


async def read_on(client: AsyncLetta, reached: Callable[[], object]) -> None:
    async for _ in await client.conversations.messages.create(CONVERSATION, **SEND):
        reached()


async def by_cancellation(client: AsyncLetta) -> None:
    reading = asyncio.Event()
    task = asyncio.create_task(read_on(client, reading.set))
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
    task = asyncio.create_task(read_on(client, lambda: None))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def by_cancelled_scope(client: AsyncLetta) -> None:
    with anyio.CancelScope() as scope:
        await read_on(client, scope.cancel)


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
    by_letting_go,
    by_cycle,
]
ASYNC: Final[list[Callable[[AsyncLetta], Awaitable[None]]]] = [
    by_async_break,
    by_async_exception,
    by_break_out_of_async_text,
    by_async_with,
    by_async_letting_go,
    by_cancellation,
    by_cancellation_in_the_loop,
    by_cancellation_before_the_answer,
    by_cancelled_scope,
    by_cancelled_scope_around_with,
]


class Balance:
    """What is open and in use, compared with what was before."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._files = self._bytes = 0

    def take(self) -> None:
        """Takes stock."""
        gc.collect()
        assert self._replay.wait_open(0, 5)
        self._replay.requests.clear()  # those are the server's, not the client's
        self._replay.sends.clear()
        gc.collect()  # it also empties the lists of objects that the interpreter keeps for use again
        self._files, self._bytes = open_files(), tracemalloc.get_traced_memory()[0]

    def check(self, name: str, count: int) -> None:
        """Fails where more is in use than was then."""
        files, size = self._files, self._bytes
        self.take()
        grown, more = self._bytes - size, self._files - files
        figure(f"left streams, {name}", f"{count}, sockets {more:+d}, bytes {grown:+d}")
        assert more <= 0
        assert grown < 20_000 + 10 * count


@pytest.mark.parametrize("leave", SYNC, ids=lambda way: way.__name__)
def test_left_streams_leave_nothing_behind(leave: Callable[[Letta], None]) -> None:
    count = COUNT // len(SYNC)

    def work() -> None:
        with unfinished() as replay, Letta(base_url=replay.base_url) as client:
            replay.held = True
            balance = Balance(replay)
            for _ in range(WARM):
                leave(client)
            balance.take()
            for _ in range(count):
                leave(client)
            balance.check(f"sync {leave.__name__}", count)

    tracemalloc.start()
    try:
        within(300, work)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("leave", ASYNC, ids=lambda way: way.__name__)
def test_left_async_streams_leave_nothing_behind(leave: Callable[[AsyncLetta], Awaitable[None]]) -> None:
    count = COUNT // len(ASYNC)

    async def main() -> None:
        with unfinished() as replay:
            replay.held = True
            async with AsyncLetta(base_url=replay.base_url) as client:
                balance = Balance(replay)
                for _ in range(WARM):
                    await leave(client)
                await settle()
                balance.take()
                for _ in range(count):
                    await leave(client)
                await settle()
                balance.check(f"async {leave.__name__}", count)

    async def settle() -> None:
        for _ in range(10):  # what a loop leaves is closed within its next turns
            await asyncio.sleep(0)

    tracemalloc.start()
    try:
        within(300, lambda: asyncio.run(main()))
    finally:
        tracemalloc.stop()

"""A server in a thread that counts connections and requests, and functions that run async code."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

import trio

from letta_ext import AsyncLetta

from .helpers import CONVERSATION, NO_RETRIES, STEP

LIST: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]"
EVENTS: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: begun\n\n"
SILENT: Final = b""
HALF: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 200\r\n\r\n[{"


def is_whole(reply: bytes) -> bool:
    """Return whether a reply has its announced length, which leaves the connection reusable."""
    head, _, body = reply.partition(b"\r\n\r\n")
    return b"content-length: %d" % len(body) in head


class CountingServer:
    """A server in a thread that sends a fixed reply for each path and counts connections and requests.

    Args:
        replies: The reply for each path prefix. Defaults to an empty list for `/v1/steps/`.

    Attributes:
        barrier: Holds replies back until this many requests are in flight. None to reply at once.
    """

    def __init__(self, replies: dict[str, bytes]) -> None:
        self.replies = {"/v1/steps/": LIST, **replies}
        self.open = self.connections = self.requests = self.in_flight = self.max_in_flight = 0
        self.base_url = ""
        self.barrier: asyncio.Barrier | None = None
        self._changed = threading.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._count(1)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                if "ontent-length: " in head:
                    await reader.readexactly(int(head.split("ontent-length: ")[1].split("\r\n")[0]))
                self._count(0, 1)
                self.in_flight += 1
                self.max_in_flight = max(self.max_in_flight, self.in_flight)
                path = head.split(" ")[1].split("?")[0]
                reply = next(reply for start, reply in reversed(self.replies.items()) if path.startswith(start))
                if self.barrier is not None:
                    async with asyncio.timeout(20):
                        await self.barrier.wait()
                self.in_flight -= 1
                writer.write(reply)
                if not is_whole(reply):
                    await reader.read()  # wait for the client to close
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._count(-1)
            writer.close()

    def _count(self, opened: int, requests: int = 0) -> None:
        with self._changed:
            self.open += opened
            self.requests += requests
            self._changed.notify_all()

    def wait_open(self, count: int) -> bool:
        """Wait until exactly `count` connections are open; return whether that happened."""
        with self._changed:
            return self._changed.wait_for(lambda: self.open == count, 5)

    def wait_open_at_most(self, count: int) -> bool:
        """Wait until at most `count` connections are open; return whether that happened."""
        with self._changed:
            return self._changed.wait_for(lambda: self.open <= count, 5)

    def wait_requests(self, count: int) -> bool:
        """Wait until `count` requests have arrived; return whether they did."""
        with self._changed:
            return self._changed.wait_for(lambda: self.requests == count, 5)


@contextmanager
def counting_server(**replies: bytes) -> Iterator[CountingServer]:
    """Run a server; in keyword names, `_` replaces `/`."""
    server = CountingServer({path.replace("_", "/"): reply for path, reply in replies.items()})
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def main() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=4096)
        server.base_url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        ready.set()
        while not ended.done():
            await asyncio.wait([ended])
        listening.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    ended = loop.create_future()
    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(ended.set_result, None)
        thread.join()
        loop.close()


def async_client(base_url: str, **settings: Any) -> AsyncLetta:
    return AsyncLetta(base_url=base_url, retry=NO_RETRIES, **settings)


def run_trio(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return trio.run(work)


def run_asyncio(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(work())


def run_without_shutdown(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine without the shutdown steps of `asyncio.run`."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work())
    finally:
        loop.close()


async def check_repeated_cancellation(server: CountingServer, reply: bytes, count: int) -> None:
    """Cancel calls repeatedly after 0 to 30 event loop iterations; check that no connection leaks."""
    async with async_client(server.base_url) as client:

        async def call() -> None:
            if reply == EVENTS:
                async for _ in await client.conversations.messages.create(CONVERSATION, input="hi"):
                    pass
            elif reply == LIST:
                await client.steps.list()
            else:
                await client.steps.retrieve(STEP)

        chance = random.Random(0)
        for number in range(count):
            task = asyncio.create_task(call())
            for _ in range(chance.randrange(30)):
                await asyncio.sleep(0)
            if number % 2:
                await asyncio.sleep(0.002)  # the server has responded
            for _ in range(2 + number % 3):
                task.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([task])
            assert task.cancelled() or not task.exception()
        await client.steps.list()
        assert await asyncio.to_thread(server.wait_open, 1)  # the idle one

"""Connections of our own clients: event loops, threads, cancellation, unclosed clients, many calls at once."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import httpx
import pytest
import trio

from letta_ext import APIConnectionError, APITimeoutError, AsyncLetta, Letta, LettaError
from letta_ext.sending import clients
from letta_ext.testing import EmbeddedServer

from .helpers import CONVERSATION, ONCE, STEP
from .interruptions import PlannedError

LIST: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]"
EVENTS: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: begun\n\n"
SILENT: Final = b""
HALF: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 200\r\n\r\n[{"


class Counting:
    """A server in a thread that answers each request alike, and counts connections and requests.

    Args:
        replies: What answers a path; `/v1/steps/` is a list of steps otherwise.
    """

    def __init__(self, replies: dict[str, bytes]) -> None:
        self.replies = {"/v1/steps/": LIST, **replies}
        self.open = self.connections = self.requests = self.at_once = self.most_at_once = 0
        self.base_url = ""
        self.delay: Callable[[], float] | None = None
        self._changed = threading.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.count(1)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                if "ontent-length: " in head:
                    await reader.readexactly(int(head.split("ontent-length: ")[1].split("\r\n")[0]))
                self.count(0, 1)
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                path = head.split(" ")[1].split("?")[0]
                reply = next(reply for start, reply in reversed(self.replies.items()) if path.startswith(start))
                if self.delay is not None:
                    await asyncio.sleep(self.delay())
                self.at_once -= 1
                writer.write(reply)
                if reply != LIST:
                    await reader.read()  # until the client closes
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.count(-1)
            writer.close()

    def count(self, opened: int, requests: int = 0) -> None:
        with self._changed:
            self.open += opened
            self.requests += requests
            self._changed.notify_all()

    def wait_open(self, count: int) -> bool:
        """Wait until so many connections are open; returns whether that came."""
        with self._changed:
            return self._changed.wait_for(lambda: self.open == count, 5)

    def wait_requests(self, count: int) -> bool:
        """Wait until so many requests came; returns whether they did."""
        with self._changed:
            return self._changed.wait_for(lambda: self.requests == count, 5)


@contextmanager
def counting(**replies: bytes) -> Iterator[Counting]:
    server = Counting({path.replace("_", "/"): reply for path, reply in replies.items()})
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


def async_side(base_url: str, **settings: Any) -> AsyncLetta:
    return AsyncLetta(base_url=base_url, retry=ONCE, **settings)


# Several event loops.


def test_one_client_under_ten_event_loops_sends_each_message_once(server: EmbeddedServer) -> None:
    """`asyncio.run` once for each call, as in Celery, Lambda or Streamlit."""
    client = async_side(server.base_url)
    create = client.conversations.messages.create

    async def send(number: int) -> str:
        return "".join([part async for part in (await create(server.conversation_id, input=f"no. {number}")).text()])

    assert all(asyncio.run(send(number)) for number in range(10))
    stored = server.state.conversations[server.conversation_id].thread.stored
    said = [str(placed.message.content) for placed in stored if placed.message.role == "user"]
    assert said == [f"no. {number}" for number in range(10)]


def test_event_loops_in_threads_share_a_client() -> None:
    """Four threads with an event loop each, and 20 calls in it, five at once."""
    with counting() as server:
        client = async_side(server.base_url)
        found: list[int] = []

        async def work() -> None:
            for _ in range(4):
                pages = await asyncio.gather(*(client.steps.list() for _ in range(5)))
                found.append(len(pages))

        threads = [threading.Thread(target=lambda: asyncio.run(work())) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        assert (found, server.requests) == ([5] * 16, 80)
        assert server.connections <= 20


def run_trio(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return trio.run(work)


def run_asyncio(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(work())


def run_unfinished(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run without the steps by which `asyncio.run` ends."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work())
    finally:
        loop.close()


# Python 3.13 warns of each async generator that is left in a loop which is closed without `shutdown_asyncgens`.
@pytest.mark.filterwarnings("ignore:coroutine method 'aclose' of .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("seed", range(6))
def test_a_client_goes_from_one_event_loop_to_another(seed: int, server: EmbeddedServer) -> None:
    """asyncio, trio and loops that are closed roughly, in any order, with calls, sends, and streams left by `break`."""
    chance = random.Random(seed)
    client = async_side(server.base_url)
    sent = 0

    async def call() -> None:
        await client.steps.list(limit=1)

    async def send() -> None:
        await client.conversations.messages.create(server.conversation_id, input="hi", streaming=False)

    async def leave() -> None:
        async with await client.conversations.messages.create(server.conversation_id, input="hi") as stream:
            async for _ in stream:
                break

    async def close() -> None:
        await client.close()

    for _ in range(8):
        run = chance.choice([run_trio, run_asyncio, run_unfinished])
        # trio warns of each generator that is left, and httpx leaves its own.
        work = chance.choice([call, send] if run is run_trio else [call, send, leave])
        run(work)
        sent += work is not call
    chance.choice([run_trio, run_asyncio])(close)
    assert len(server.state.runs) == sent
    assert client.is_closed


@pytest.mark.parametrize("run", [run_asyncio, run_trio])
def test_a_client_is_closed_from_another_event_loop(run: Callable[..., Any]) -> None:
    """Idle connections are closed, and a task of the other event loop that waits for a response is woken."""
    with counting(_v1_steps_step=SILENT) as server:
        client = async_side(server.base_url)
        faults: list[BaseException] = []

        async def wait() -> None:
            try:
                await client.steps.retrieve(STEP)
            except LettaError as fault:
                faults.append(fault)

        async def call() -> None:
            await asyncio.gather(client.steps.list(), client.steps.list())

        async def close() -> None:
            await client.close()

        asyncio.run(call())
        waiting = threading.Thread(target=lambda: asyncio.run(wait()))
        waiting.start()
        assert server.wait_requests(3)
        run(close)
        waiting.join(5)
        assert [type(fault) for fault in faults] == [APIConnectionError]
        assert server.wait_open(0)


def test_a_passed_client_is_refused_under_a_second_event_loop(server: EmbeddedServer) -> None:
    """The connections of an httpx client belong to one event loop. Nothing is sent that would lose its answer."""
    http = httpx.AsyncClient()
    client = async_side(server.base_url, http_client=http)

    async def send() -> None:
        await client.conversations.messages.create(server.conversation_id, input="hi", streaming=False)

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(send())
        with pytest.raises(LettaError, match="Nothing was sent"):
            second.run(send())
        first.run(send())
        first.run(http.aclose())
    assert len(server.state.runs) == 2


# Clients that are not closed.

UNCLOSED: Final = """
import asyncio, gc, sys, threading, trio
from letta_ext import AsyncLetta, Letta
base_url, conversation, way = sys.argv[1:]

async def work(client):
    await client.steps.list(limit=1)
    stream = await client.conversations.messages.create(conversation, input="hi")
    if "held" in way:
        held.append(stream)
    else:
        async with stream:
            await anext(aiter(stream))

held = []
if way == "sync":
    client = Letta(base_url=base_url)
    client.steps.list(limit=1)
    next(iter(client.conversations.messages.create(conversation, input="hi")))
    del client
elif way == "sync held":
    client = Letta(base_url=base_url)
    held.append(client.conversations.messages.create(conversation, input="hi"))
elif way == "threads":
    client = Letta(base_url=base_url)
    threads = [threading.Thread(target=lambda: client.steps.list(limit=1)) for _ in range(4)]
    for each in threads: each.start()
    for each in threads: each.join()
    client.self = client
    del client
elif way == "trio":
    async def main():
        client = AsyncLetta(base_url=base_url)
        await client.steps.list(limit=1)
    trio.run(main)
elif way == "rough":
    client = AsyncLetta(base_url=base_url)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.steps.list(limit=1).__aiter__().__anext__())
    loop.close()
    del client
elif way == "dropped":
    async def main():
        client = AsyncLetta(base_url=base_url)
        await work(client)
        client.self = client
    asyncio.run(main())
else:
    client = AsyncLetta(base_url=base_url)
    asyncio.run(work(client))
if "exit" not in way and "held" not in way:
    gc.collect()
"""
WAYS: Final = ["sync", "sync held", "threads", "trio", "rough", "dropped", "asyncio", "asyncio exit", "asyncio held"]


@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_is_not_closed_is_released_quietly(way: str, server: EmbeddedServer) -> None:
    """No warning under `-W error`, whether it is dropped, collected, or still there when the interpreter exits."""
    send = Letta(base_url=server.base_url)
    send.conversations.messages.create(server.conversation_id, input="hi", streaming=False)  # there is a step now
    send.close()
    command = [sys.executable, "-W", "error", "-c", UNCLOSED, server.base_url, server.conversation_id, way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_dropped_client_closes_its_connections() -> None:
    """The sockets of a client that nobody holds are closed, also where the client is part of a reference cycle."""
    with counting() as server:
        for is_cycle in (False, True):
            client: Any = Letta(base_url=server.base_url)
            client.steps.list()
            assert server.wait_open(1)
            client.self = client if is_cycle else None
            del client
            if is_cycle:
                gc.collect()
            assert server.wait_open(0)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_raw_response_that_is_dropped_closes_its_connection(is_async: bool) -> None:
    """A response that was neither read nor closed does not keep its connection."""
    with counting(_v1_steps_step=HALF) as server:

        async def drop() -> None:
            client = async_side(server.base_url)
            context = client.steps.with_streaming_response.retrieve(STEP)
            await context.__aenter__()
            del context
            gc.collect()
            assert await asyncio.to_thread(server.wait_open, 0)
            await client.close()

        if is_async:
            asyncio.run(drop())
            return
        with Letta(base_url=server.base_url) as client:
            context = client.steps.with_streaming_response.retrieve(STEP)
            context.__enter__()
            del context
            gc.collect()
            assert server.wait_open(0)


# Cancellation.


@pytest.mark.parametrize("reply", [SILENT, HALF, EVENTS, LIST], ids=["silent", "half", "events", "list"])
def test_cancelling_twice_leaves_no_connection(reply: bytes) -> None:
    """A second cancellation while the first one is handled: 60 calls, cancelled after 0 to 30 turns of the loop."""

    async def main(server: Counting) -> None:
        async with async_side(server.base_url) as client:

            async def call() -> None:
                if reply == EVENTS:
                    async for _ in await client.conversations.messages.create(CONVERSATION, input="hi"):
                        pass
                elif reply == LIST:
                    await client.steps.list()
                else:
                    await client.steps.retrieve(STEP)

            chance = random.Random(0)
            for number in range(60):
                task = asyncio.create_task(call())
                for _ in range(chance.randrange(30)):
                    await asyncio.sleep(0)
                if number % 2:
                    await asyncio.sleep(0.002)  # the server has answered
                for _ in range(2 + number % 3):
                    task.cancel()
                    await asyncio.sleep(0)
                await asyncio.wait([task])
                assert task.cancelled() or not task.exception()
            await client.steps.list()
            assert await asyncio.to_thread(server.wait_open, 1)  # the idle one

    with counting(_v1_steps_step=reply, _v1_conversations=reply) as server:
        asyncio.run(main(server))


# Many calls at once.


@pytest.fixture
def three_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = httpx.Limits(max_connections=3, max_keepalive_connections=2, keepalive_expiry=4)
    monkeypatch.setattr(clients, "DEFAULT_LIMITS", limits)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.usefixtures("three_at_once")
def test_calls_wait_for_their_turn(is_async: bool) -> None:
    """More calls than the limit: all of them are answered, and no more than the limit are in flight."""
    with counting() as server:
        server.delay = lambda: 0.02  # long enough for three threads to be in flight on a busy machine

        async def main() -> None:
            async with async_side(server.base_url) as client:
                await asyncio.gather(*(client.steps.list() for _ in range(60)))

        if is_async:
            asyncio.run(main())
        else:
            with Letta(base_url=server.base_url) as client:
                threads = [threading.Thread(target=client.steps.list) for _ in range(60)]
                for each in threads:
                    each.start()
                for each in threads:
                    each.join(30)
        assert (server.requests, server.most_at_once) == (60, 3)
        assert server.connections <= 60


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.usefixtures("three_at_once")
def test_waiting_for_a_turn_ends_at_the_timeout(is_async: bool) -> None:
    """A call that gets no connection is told apart, and takes no place: the next ones find all three."""
    short = httpx.Timeout(20, pool=0.02)
    with counting(_v1_steps_step=SILENT) as server:

        async def main() -> None:
            async with async_side(server.base_url, timeout=short) as client:
                held = [asyncio.create_task(client.steps.retrieve(STEP)) for _ in range(3)]
                assert await asyncio.to_thread(server.wait_requests, 3)
                for _ in range(5):
                    with pytest.raises(APITimeoutError, match="no connection became free"):
                        await client.steps.list()
                for each in held:
                    each.cancel()
                await asyncio.wait(held)
                for _ in range(5):
                    await asyncio.gather(*(client.steps.list() for _ in range(3)))

        if is_async:
            asyncio.run(main())
        else:
            with Letta(base_url=server.base_url, timeout=short, retry=ONCE) as client:
                contexts = [client.steps.with_streaming_response.list() for _ in range(3)]
                for each in contexts:
                    each.__enter__()
                for _ in range(5):
                    with pytest.raises(APITimeoutError, match="no connection became free"):
                        client.steps.list()
                for each in contexts:
                    each.__exit__(None, None, None)
                for _ in range(5):
                    client.steps.list()


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.usefixtures("three_at_once")
def test_open_streams_do_not_block_short_calls(is_async: bool) -> None:
    """A stream is open for as long as its run. Ten of them are open where three requests may be in flight."""
    with counting(_v1_conversations=EVENTS) as server:

        async def main() -> None:
            async with async_side(server.base_url) as client:
                create = client.conversations.messages.create
                streams = [await create(CONVERSATION, input="hi") for _ in range(10)]
                await client.steps.list()
                for each in streams:
                    await each.close()

        if is_async:
            asyncio.run(main())
        else:
            with Letta(base_url=server.base_url) as client:
                create = client.conversations.messages.create
                streams = [create(CONVERSATION, input="hi") for _ in range(10)]
                client.steps.list()
                for each in streams:
                    each.close()
        assert server.wait_open(0)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.usefixtures("three_at_once")
def test_a_call_that_waits_for_its_turn_is_not_sent_after_the_client_was_closed(is_async: bool) -> None:
    """The calls in flight are broken off, which makes room: those that waited end too, and surely were not sent."""
    faults: list[BaseException] = []
    with counting(_v1_steps=SILENT) as server:

        async def main() -> None:
            client = async_side(server.base_url)
            held = [asyncio.create_task(client.get("/v1/steps/")) for _ in range(3)]
            assert await asyncio.to_thread(server.wait_requests, 3)
            waiting = [asyncio.create_task(client.post("/v1/steps/", body={})) for _ in range(4)]
            await asyncio.sleep(0)
            await client.close()
            await asyncio.wait([*held, *waiting], timeout=10)
            faults.extend(exception for each in waiting if (exception := each.exception()))

        def post(client: Letta) -> None:
            try:
                client.post("/v1/steps/", body={})
            except LettaError as fault:
                faults.append(fault)

        def read(client: Letta) -> None:
            with pytest.raises(LettaError):
                client.steps.list()

        if is_async:
            asyncio.run(main())
        else:
            client = Letta(base_url=server.base_url, retry=ONCE)
            held = [threading.Thread(target=read, args=[client], daemon=True) for _ in range(3)]
            waiting = [threading.Thread(target=post, args=[client], daemon=True) for _ in range(4)]
            for each in held:
                each.start()
            assert server.wait_requests(3)
            for each in waiting:
                each.start()
            gate = vars(client._transport.http._transport)["_pool"].store.gate
            until = time.monotonic() + 10
            while len(gate._waiting) < 4 and time.monotonic() < until:  # only the gate shows that they wait
                time.sleep(0.001)
            client.close()
            for each in [*held, *waiting]:
                each.join(10)
        assert server.requests == 3
    assert [type(each) for each in faults] == [APIConnectionError] * 4
    assert not any(each.may_have_been_processed for each in faults if isinstance(each, APIConnectionError))


@pytest.mark.parametrize("is_async", [False, True])
def test_a_body_that_ends_with_its_connection_is_not_whole_when_the_client_was_closed(is_async: bool) -> None:
    """Its length is not known: closing the client must not look like its end."""
    endless = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[]"
    with counting(_v1_steps=endless) as server:

        async def main() -> None:
            client = async_side(server.base_url)
            async with client.steps.with_streaming_response.list() as response:
                pieces = response.iter_bytes()
                assert await anext(pieces) == b"[]"
                await client.close()
                with pytest.raises(APIConnectionError, match="the client was closed"):
                    await anext(pieces)

        if is_async:
            asyncio.run(main())
            return
        client = Letta(base_url=server.base_url, retry=ONCE)
        with client.steps.with_streaming_response.list() as response:
            pieces = response.iter_bytes()
            assert next(pieces) == b"[]"
            client.close()
            with pytest.raises(APIConnectionError, match="the client was closed"):
                next(pieces)


@pytest.mark.usefixtures("three_at_once")
def test_waiting_calls_of_any_event_loop_are_admitted() -> None:
    """Event loops in threads wait for each other's places; some are cancelled while they wait; no place is lost."""
    with counting() as server:
        client = async_side(server.base_url)
        chance = random.Random(1)

        async def work() -> int:
            tasks = [asyncio.create_task(listed()) for _ in range(20)]
            await asyncio.sleep(0)
            for each in chance.sample(tasks, 5):
                each.cancel()
            await asyncio.wait(tasks)
            return sum(not each.cancelled() for each in tasks)

        async def listed() -> None:
            await client.steps.list()

        found: list[int] = []
        threads = [threading.Thread(target=lambda: found.append(asyncio.run(work()))) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        assert found == [15] * 4
        asyncio.run(asyncio.wait_for(work(), 30))


def test_the_time_of_many_calls_at_once_grows_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """800 calls take about eight times the CPU time of 100; with httpcore's own pool it is 20 times."""
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=50)
    monkeypatch.setattr(clients, "DEFAULT_LIMITS", limits)

    async def seconds(server: Counting, count: int) -> float:
        async with async_side(server.base_url) as client:
            since = time.thread_time()
            await asyncio.gather(*(client.steps.list() for _ in range(count)))
            return time.thread_time() - since

    with counting() as server:
        few, many = (min(asyncio.run(seconds(server, count)) for _ in range(2)) for count in (100, 800))
    assert many < 2 * 8 * few


def test_connections_are_used_again_and_kept_within_bounds(three_at_once: None) -> None:
    """Idle connections serve later calls; those that the server closed, or that are too many, do not."""
    with counting() as server, Letta(base_url=server.base_url) as client:
        for _ in range(20):
            client.steps.list()
        assert server.connections == 1
        threads = [threading.Thread(target=client.steps.list) for _ in range(12)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        assert server.wait_open(min(server.open, 2))


def test_addresses_that_do_not_answer_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with several addresses is tried at all of them, as browsers do."""
    with counting() as server:
        port = int(server.base_url.rpartition(":")[2])
        found = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

        async def main() -> None:
            async with async_side(f"http://letta.test:{port}") as client:
                await client.steps.list()

        asyncio.run(main())
        trio.run(main)
        assert server.requests == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names the loopback interface of Linux")
def test_an_address_with_a_zone_leads_to_the_interface() -> None:
    """Nothing answers at it. Without its zone, a link-local address is an invalid argument."""

    async def main(base_url: str) -> str:
        async with async_side(base_url, timeout=httpx.Timeout(0.2)) as client:
            with pytest.raises(APIConnectionError) as raised:
                await client.get("/v1/steps/")
        return str(raised.value)

    assert "Invalid argument" not in asyncio.run(main("http://[fe80::1%lo]:9"))


# Signal handlers.


def call_interrupted(client: Letta, place: int) -> tuple[str, int] | None:
    """Make a call, and raise at one of the places of the pool where CPython runs signal handlers; return which."""
    passed = 0
    found: tuple[str, int] | None = None

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal passed, found
        module = str(frame.f_globals.get("__name__"))
        if event not in ("call", "c_return") or not module.startswith(POOL):
            return
        if frame.f_code.co_name in ("_pop", "<lambda>"):  # what gives back; the collector runs the other
            return
        passed += 1
        if passed - 1 == place:
            found = frame.f_code.co_name, frame.f_lineno
            raise PlannedError

    sys.setprofile(profile)
    try:
        client.get("/v1/steps/")
    except (PlannedError, LettaError):
        pass
    finally:
        sys.setprofile(None)
    return found


POOL: Final = ("letta_ext.sending.pools", "letta_ext.sending.gate")


@contextmanager
def few_objects() -> Iterator[None]:
    """Let the collector pass over what there is already: it takes a thousandth of the time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("kept", [0, 1])
def test_a_call_that_a_signal_handler_ends_leaves_no_place_and_no_connection(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each place of the pool: the one place of the gate is free again, and no connection stays open besides."""
    monkeypatch.setattr(clients, "DEFAULT_LIMITS", httpx.Limits(max_connections=1, max_keepalive_connections=kept))
    short = httpx.Timeout(5, pool=0.05)
    with counting() as server, Letta(base_url=server.base_url, retry=ONCE, timeout=short) as client, few_objects():
        client.get("/v1/steps/")
        for place in range(1_000):
            found = call_interrupted(client, place)
            gc.collect()  # it releases a response that could not be closed
            try:
                client.get("/v1/steps/")
            except APITimeoutError:
                pytest.fail(f"an exception in {found} takes a place")
            assert server.wait_open(kept), found
            if found is None:
                break
    assert place > 20

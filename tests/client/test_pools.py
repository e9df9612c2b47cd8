"""Connections of our own clients: cancellation, many calls at once, addresses."""

from __future__ import annotations

import asyncio
import random
import socket
import sys
import threading
import time

import httpx
import pytest
import trio

from letta_ext import APIConnectionError, APITimeoutError, Letta, LettaError
from letta_ext._http import default_client

from .counting import EVENTS, HALF, LIST, SILENT, Counting, async_client, cancel_twice, counting
from .helpers import CONVERSATION, NO_RETRIES, STEP

# Cancellation.


@pytest.mark.parametrize("reply", [SILENT, HALF, EVENTS, LIST], ids=["silent", "half", "events", "list"])
def test_cancelling_twice_leaves_no_connection(reply: bytes) -> None:
    """A second cancellation while the first one is handled: 60 calls, cancelled after 0 to 30 turns of the loop."""

    with counting(_v1_steps_step=reply, _v1_conversations=reply) as server:
        asyncio.run(cancel_twice(server, reply, 60))


# Many calls at once.


@pytest.fixture
def three_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = httpx.Limits(max_connections=3, max_keepalive_connections=2, keepalive_expiry=4)
    monkeypatch.setattr(default_client, "DEFAULT_LIMITS", limits)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.usefixtures("three_at_once")
def test_calls_wait_for_their_turn(is_async: bool) -> None:
    """More calls than the limit: all of them are answered, and exactly as many as the limit allows are in flight."""
    with counting() as server:
        server.barrier = asyncio.Barrier(3)  # nothing is answered before three calls are in flight

        async def main() -> None:
            async with async_client(server.base_url) as client:
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
            async with async_client(server.base_url, timeout=short) as client:
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
            with Letta(base_url=server.base_url, timeout=short, retry=NO_RETRIES) as client:
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
            async with async_client(server.base_url) as client:
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
            client = async_client(server.base_url)
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
            client = Letta(base_url=server.base_url, retry=NO_RETRIES)
            held = [threading.Thread(target=read, args=[client], daemon=True) for _ in range(3)]
            waiting = [threading.Thread(target=post, args=[client], daemon=True) for _ in range(4)]
            for each in held:
                each.start()
            assert server.wait_requests(3)
            for each in waiting:
                each.start()
            limiter = vars(client._transport.http._transport)["_pool"].store.limiter
            until = time.monotonic() + 10
            while len(limiter._waiting) < 4 and time.monotonic() < until:  # only the limiter shows that they wait
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
            client = async_client(server.base_url)
            async with client.steps.with_streaming_response.list() as response:
                pieces = response.iter_bytes()
                assert await anext(pieces) == b"[]"
                await client.close()
                with pytest.raises(APIConnectionError, match="the client was closed"):
                    await anext(pieces)

        if is_async:
            asyncio.run(main())
            return
        client = Letta(base_url=server.base_url, retry=NO_RETRIES)
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
        client = async_client(server.base_url)
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
    monkeypatch.setattr(default_client, "DEFAULT_LIMITS", limits)

    async def seconds(server: Counting, count: int) -> float:
        async with async_client(server.base_url) as client:
            since = time.thread_time()
            await asyncio.gather(*(client.steps.list() for _ in range(count)))
            return time.thread_time() - since

    with counting() as server:
        few, many = (min(asyncio.run(seconds(server, count)) for _ in range(2)) for count in (100, 800))
    assert many < 2 * 8 * few


def test_connections_are_used_again_and_kept_within_bounds(
    three_at_once: None,
) -> None:
    """Idle connections serve later calls; of more than the limit the surplus is closed, whichever thread is ahead."""
    with counting() as server, Letta(base_url=server.base_url) as client:
        for _ in range(20):
            client.steps.list()
        assert server.connections == 1
    switched = sys.getswitchinterval()
    try:
        sys.setswitchinterval(1e-5)  # so that threads overtake each other in each step of the pool
        for _ in range(40):
            with counting() as server, Letta(base_url=server.base_url) as client:
                threads = [threading.Thread(target=client.steps.list) for _ in range(12)]
                for each in threads:
                    each.start()
                for each in threads:
                    each.join(30)
                assert server.wait_open_at_most(2)
    finally:
        sys.setswitchinterval(switched)


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
            async with async_client(f"http://letta.test:{port}") as client:
                await client.steps.list()

        asyncio.run(main())
        trio.run(main)
        assert server.requests == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names the loopback interface of Linux")
def test_an_address_with_a_zone_leads_to_the_interface() -> None:
    """Nothing answers at it. Without its zone, a link-local address is an invalid argument."""

    async def main(base_url: str) -> str:
        async with async_client(base_url, timeout=httpx.Timeout(0.2)) as client:
            with pytest.raises(APIConnectionError) as raised:
                await client.get("/v1/steps/")
        return str(raised.value)

    assert "Invalid argument" not in asyncio.run(main("http://[fe80::1%lo]:9"))

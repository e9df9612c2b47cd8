"""The connection pool: cancellation, concurrency, and addresses."""

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

from .counting import (
    EVENTS,
    HALF,
    LIST,
    SILENT,
    CountingServer,
    async_client,
    check_repeated_cancellation,
    counting_server,
)
from .helpers import CONVERSATION, NO_RETRIES, STEP

# Cancellation


@pytest.mark.parametrize("reply", [SILENT, HALF, EVENTS, LIST], ids=["silent", "half", "events", "list"])
def test_repeated_cancellation_leaks_no_connection(reply: bytes) -> None:
    """A second cancellation during the first one, after 0 to 30 loop iterations, leaks no connection."""

    with counting_server(_v1_steps_step=reply, _v1_conversations=reply) as server:
        asyncio.run(check_repeated_cancellation(server, reply, 60))


# Concurrency


@pytest.fixture
def three_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = httpx.Limits(max_connections=3, max_keepalive_connections=2, keepalive_expiry=4)
    monkeypatch.setattr(default_client, "DEFAULT_LIMITS", limits)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.usefixtures("three_connections")
def test_calls_over_connection_limit_wait_and_complete(is_async: bool) -> None:
    """More calls than the limit complete, and exactly the limit is in flight."""
    with counting_server() as server:
        server.barrier = asyncio.Barrier(3)  # no reply is sent before three calls are in flight

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
        assert (server.requests, server.max_in_flight) == (60, 3)
        assert server.connections <= 60


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.usefixtures("three_connections")
def test_pool_timeout_raises_api_timeout_error_and_leaks_no_slot(is_async: bool) -> None:
    """A call without a free connection raises `APITimeoutError`, and later calls find all slots free."""
    short = httpx.Timeout(20, pool=0.02)
    with counting_server(_v1_steps_step=SILENT) as server:

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
@pytest.mark.usefixtures("three_connections")
def test_open_streams_do_not_count_against_connection_limit(is_async: bool) -> None:
    """Ten open streams do not block calls where three requests may be in flight."""
    with counting_server(_v1_conversations=EVENTS) as server:

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
@pytest.mark.usefixtures("three_connections")
def test_call_waiting_for_connection_is_not_sent_after_close(is_async: bool) -> None:
    """A waiting call raises `APIConnectionError` as unsent when the client is closed."""
    faults: list[BaseException] = []
    with counting_server(_v1_steps=SILENT) as server:

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
            while len(limiter._waiting) < 4 and time.monotonic() < until:  # only the limiter shows the waiting calls
                time.sleep(0.001)
            client.close()
            for each in [*held, *waiting]:
                each.join(10)
        assert server.requests == 3
    assert [type(each) for each in faults] == [APIConnectionError] * 4
    assert not any(each.may_have_been_processed for each in faults if isinstance(each, APIConnectionError))


@pytest.mark.parametrize("is_async", [False, True])
def test_body_without_length_is_incomplete_after_client_close(is_async: bool) -> None:
    """Closing the client does not look like the end of a body without a length."""
    endless = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[]"
    with counting_server(_v1_steps=endless) as server:

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


@pytest.mark.usefixtures("three_connections")
def test_waiting_calls_of_all_event_loops_are_admitted() -> None:
    """Event loops in threads share the slots; cancelled waits lose none."""
    with counting_server() as server:
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


def test_cpu_time_of_concurrent_calls_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """800 calls take about eight times the CPU time of 100; with httpcore's pool, 20 times."""
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=50)
    monkeypatch.setattr(default_client, "DEFAULT_LIMITS", limits)

    async def seconds(server: CountingServer, count: int) -> float:
        async with async_client(server.base_url) as client:
            since = time.thread_time()
            await asyncio.gather(*(client.steps.list() for _ in range(count)))
            return time.thread_time() - since

    with counting_server() as server:
        few, many = (min(asyncio.run(seconds(server, count)) for _ in range(2)) for count in (100, 800))
    assert many < 2 * 8 * few


def test_idle_connections_are_reused_and_limited(
    three_connections: None,
) -> None:
    """Idle connections serve later calls; those over the limit are closed in any order of threads."""
    with counting_server() as server, Letta(base_url=server.base_url) as client:
        for _ in range(20):
            client.steps.list()
        assert server.connections == 1
    switched = sys.getswitchinterval()
    try:
        sys.setswitchinterval(1e-5)  # switch threads within each step of the pool
        for _ in range(40):
            with counting_server() as server, Letta(base_url=server.base_url) as client:
                threads = [threading.Thread(target=client.steps.list) for _ in range(12)]
                for each in threads:
                    each.start()
                for each in threads:
                    each.join(30)
                assert server.wait_open_at_most(2)
    finally:
        sys.setswitchinterval(switched)


def test_connect_tries_all_addresses_of_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name with several addresses is tried at each of them."""
    with counting_server() as server:
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
def test_ipv6_zone_id_is_used_for_connect() -> None:
    """A link-local address keeps its zone; without it, connecting fails with "Invalid argument"."""

    async def main(base_url: str) -> str:
        async with async_client(base_url, timeout=httpx.Timeout(0.2)) as client:
            with pytest.raises(APIConnectionError) as raised:
                await client.get("/v1/steps/")
        return str(raised.value)

    assert "Invalid argument" not in asyncio.run(main("http://[fe80::1%lo]:9"))

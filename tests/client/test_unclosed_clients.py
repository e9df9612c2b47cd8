"""Clients and responses that are not closed."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest

from letta_ext import Letta
from letta_ext.testing import EmbeddedServer

from .counting import EVENTS, HALF, async_client, counting_server, run_asyncio, run_trio
from .helpers import CONVERSATION, STEP

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
def test_unclosed_client_causes_no_warning(way: str, server: EmbeddedServer) -> None:
    """A client that is dropped, collected or alive at exit causes no warning under `-W error`."""
    send = Letta(base_url=server.base_url)
    send.conversations.messages.create(server.conversation_id, input="hi", streaming=False)  # creates a step
    send.close()
    command = [sys.executable, "-W", "error", "-c", UNCLOSED, server.base_url, server.conversation_id, way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_garbage_collected_client_closes_connections() -> None:
    """A garbage-collected client closes its sockets, also in a reference cycle."""
    with counting_server() as server:
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
def test_garbage_collected_raw_response_closes_connection(is_async: bool) -> None:
    """A raw response that was neither read nor closed closes its connection."""
    with counting_server(_v1_steps_step=HALF) as server:

        async def drop() -> None:
            client = async_client(server.base_url)
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


@pytest.mark.parametrize("run", [run_asyncio, run_trio])
def test_abandoned_stream_of_passed_httpx_client_frees_connection(run: Callable[..., Any]) -> None:
    """The event loop closes an abandoned stream: the only connection serves the next call."""
    with counting_server(_v1_conversations=EVENTS) as server:

        async def main() -> None:
            limits = httpx.Limits(max_connections=1)
            async with httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(5)) as http:
                client = async_client(server.base_url, http_client=http)
                for _ in range(5):
                    stream = await client.conversations.messages.create(CONVERSATION, input="hi")
                    reading = aiter(stream)
                    del stream, reading
                    await client.steps.list()

        run(main)
        assert server.requests == 10
        assert server.wait_open(0)

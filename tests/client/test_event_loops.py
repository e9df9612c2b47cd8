"""One client under several event loops, one after another and concurrently."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from letta_ext import APIConnectionError, LettaError
from letta_ext.testing import EmbeddedServer

from .counting import SILENT, async_client, counting_server, run_asyncio, run_trio, run_without_shutdown
from .helpers import STEP


def test_client_used_by_ten_consecutive_event_loops_sends_each_message_once(server: EmbeddedServer) -> None:
    """One `asyncio.run` per call, as in Celery, Lambda or Streamlit, sends each message once."""
    client = async_client(server.base_url)
    create = client.conversations.messages.create

    async def send(number: int) -> str:
        return "".join([part async for part in (await create(server.conversation_id, input=f"no. {number}")).text()])

    assert all(asyncio.run(send(number)) for number in range(10))
    stored = server.state.conversations[server.conversation_id].thread.stored
    said = [str(placed.message.content) for placed in stored if placed.message.role == "user"]
    assert said == [f"no. {number}" for number in range(10)]


def test_client_shared_by_event_loops_in_threads_completes_all_calls() -> None:
    """Four threads with an event loop each complete 20 calls, five of them concurrent."""
    with counting_server() as server:
        client = async_client(server.base_url)
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


@pytest.mark.parametrize("seed", range(6))
def test_client_moved_between_asyncio_and_trio_sends_each_message_once(seed: int, server: EmbeddedServer) -> None:
    """Any order of asyncio, trio and abruptly closed loops works, with streams left by `break`."""
    chance = random.Random(seed)
    client = async_client(server.base_url)
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
        run = chance.choice([run_trio, run_asyncio, run_without_shutdown])
        # trio warns of each abandoned generator, and httpx abandons its own.
        work = chance.choice([call, send] if run is run_trio else [call, send, leave])
        run(work)
        sent += work is not call
    chance.choice([run_trio, run_asyncio])(close)
    assert len(server.state.runs) == sent
    assert client.is_closed()


@pytest.mark.parametrize("run", [run_asyncio, run_trio])
def test_close_from_another_event_loop_closes_connections_and_wakes_waiting_tasks(run: Callable[..., Any]) -> None:
    """Closing in a second loop closes idle connections and wakes a task of the first loop."""
    with counting_server(_v1_steps_step=SILENT) as server:
        client = async_client(server.base_url)
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


def test_passed_httpx_client_in_second_event_loop_raises_before_sending(server: EmbeddedServer) -> None:
    """An httpx client belongs to one event loop; a call in another raises before it is sent."""
    http = httpx.AsyncClient()
    client = async_client(server.base_url, http_client=http)

    async def send() -> None:
        await client.conversations.messages.create(server.conversation_id, input="hi", streaming=False)

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(send())
        with pytest.raises(LettaError, match="Nothing was sent"):
            second.run(send())
        first.run(send())
        first.run(http.aclose())
    assert len(server.state.runs) == 2

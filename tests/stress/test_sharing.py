"""One client for many threads and tasks; cancelled calls release their resources."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from letta_ext import AsyncLetta, BusyPolicy, ConversationBusyError, Hooks, Letta, RetryPolicy
from letta_ext.hooks import BusyReport
from letta_ext.testing import EmbeddedServer

from ..client.helpers import ClientDriver
from .figures import FULL, SEED, compare, figure, run_within
from .replay import CONVERSATION, HEAD, ReplayServer, full_response, recorded_body, replay_server

pytestmark = pytest.mark.stress

RETRY: Final = RetryPolicy(max_retries=20, initial_delay=0)
SEND: Final[dict[str, Any]] = {"input": "hi", "background": True, "include_pings": True}
WORKERS: Final = 32
STREAMS_EACH: Final = 50 if FULL else 3


def cuts(replay: ReplayServer) -> list[int]:
    """Return one cut for each stream; any of the readers may get it."""
    chance, length = random.Random(SEED), len(full_response(replay.entries))
    return [chance.randrange(len(HEAD), length) for _ in range(WORKERS * STREAMS_EACH)]


def report(api: str, found: list[list[Any]], replay: ReplayServer) -> None:
    expected = max(found, key=len)
    assert len(expected) == len(replay.entries) - 1
    results = [compare(expected, events) for events in found]
    lost, repeated = (sum(column) for column in zip(*results, strict=True))
    figure(f"one client, {WORKERS} {api}", f"streams {len(found)}, lost {lost}, repeated {repeated}")
    assert (lost, repeated) == (0, 0)
    assert len(replay.sends) == len(found) == WORKERS * STREAMS_EACH


def test_threads_sharing_client_get_each_event_once() -> None:
    """32 threads read interrupted streams with one client; no event is lost or repeated."""
    with replay_server(recorded_body()) as replay, Letta(base_url=replay.base_url, retry=RETRY) as client:
        replay.plan.extend(cuts(replay))

        def read(_: int) -> list[list[Any]]:
            return [list(client.conversations.messages.create(CONVERSATION, **SEND)) for _ in range(STREAMS_EACH)]

        def work() -> list[list[Any]]:
            with ThreadPoolExecutor(WORKERS) as pool:
                return [events for streams in pool.map(read, range(WORKERS)) for events in streams]

        report("threads", run_within(120, work), replay)


def test_tasks_sharing_client_get_each_event_once() -> None:
    """32 tasks read interrupted streams with one client; no event is lost or repeated."""

    async def main() -> None:
        with replay_server(recorded_body()) as replay:
            replay.plan.extend(cuts(replay))
            async with AsyncLetta(base_url=replay.base_url, retry=RETRY) as client:

                async def read() -> list[list[Any]]:
                    create = client.conversations.messages.create
                    return [[e async for e in await create(CONVERSATION, **SEND)] for _ in range(STREAMS_EACH)]

                found = await asyncio.gather(*(read() for _ in range(WORKERS)))
            report("tasks", [events for streams in found for events in streams], replay)

    run_within(120, lambda: asyncio.run(main()))


FORKING: Final = f"""
import os, sys
from letta_ext import Letta

def talk():
    for _ in range(20):
        assert len(list(messages.create("{CONVERSATION}", **{SEND!r}))) == 23

client = Letta(base_url=sys.argv[1])
changed = client.with_options(max_retries=0)
messages = client.conversations.messages
talk()
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
talk()
messages = changed.conversations.messages
talk()
os._exit(0)
"""


def test_forked_process_opens_own_connections() -> None:
    """A child process opens its own connections."""
    with replay_server(recorded_body()) as replay:
        command = [sys.executable, "-c", FORKING, replay.base_url]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert (len(replay.sends), replay.connections) == (100, 2)


# Release of connections


def test_cancelled_task_frees_connection() -> None:
    """A cancelled task frees its connection within a second."""

    async def main() -> float:
        with replay_server(recorded_body()) as replay:
            replay.keep_open = True
            replay.entries.pop()  # without a terminal event
            async with AsyncLetta(base_url=replay.base_url) as client:
                reading = asyncio.Event()

                async def read() -> None:
                    async for _ in await client.conversations.messages.create(CONVERSATION, **SEND):
                        reading.set()

                task = asyncio.create_task(read())
                await reading.wait()
                assert replay.open == 1
                since = time.monotonic()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await asyncio.to_thread(replay.wait_open, 0, 1)
                return time.monotonic() - since

    figure("cancelled task", f"connection free after {run_within(30, lambda: asyncio.run(main())) * 1000:.0f} ms")


def test_with_block_left_early_frees_connection(driver: ClientDriver) -> None:
    """A `with` block that is left early frees the connection within a second."""
    with replay_server(recorded_body()) as replay:
        replay.keep_open = True
        replay.entries.pop()
        client = driver.client(base_url=replay.base_url)
        stream = driver.run(client.conversations.messages.create(CONVERSATION, **SEND))
        assert replay.open == 1
        if driver.is_async:
            driver.run(leave(stream))
        else:
            with stream:
                next(iter(stream))
        assert replay.wait_open(0, 1)


async def leave(stream: Any) -> None:
    async with stream:
        async for _ in stream:
            return


# Busy conversations


def test_busy_policy_waits_for_active_run(driver: ClientDriver, server: EmbeddedServer) -> None:
    """A send with a `BusyPolicy` waits for the active run, and the hook reports it."""
    server.state.delay = 0.005
    seen: list[BusyReport] = []
    client = driver.client(base_url=server.base_url, hooks=Hooks(on_busy=seen.append))
    create = client.conversations.messages.create
    first = driver.run(create(server.conversation_id, input="LONG 40", background=True, stream_tokens=True))
    with pytest.raises(ConversationBusyError) as refused:
        driver.run(create(server.conversation_id, input="me too", background=True))
    policy = BusyPolicy(initial_delay=0.01, max_delay=0.05)
    second = driver.run(create(server.conversation_id, input="me too", background=True, when_busy=policy))
    assert len(driver.items(second)) > 0
    assert len(driver.items(first)) > 40
    assert {report.run_id for report in seen} == {refused.value.run_id} == {first.run_id}
    assert stored_inputs(server) == ["LONG 40", "me too"]


def test_busy_policy_deadline_raises_conversation_busy_error(driver: ClientDriver, server: EmbeddedServer) -> None:
    """The wait ends with `ConversationBusyError` at its deadline."""
    server.state.delay = 0.05
    client = driver.client(base_url=server.base_url)
    create = client.conversations.messages.create
    first = driver.run(create(server.conversation_id, input="LONG 200", background=True, stream_tokens=True))
    ticks: Callable[[], float] = iter(range(0, 10_000, 100)).__next__
    policy = BusyPolicy(deadline=500, initial_delay=0.001, clock=ticks)
    with pytest.raises(ConversationBusyError):
        driver.run(create(server.conversation_id, input="me too", when_busy=policy))
    driver.run(first.close())
    assert len(server.state.runs) == 1


def test_threads_sending_to_one_conversation_take_turns(server: EmbeddedServer) -> None:
    """Concurrent sends to one conversation each start one run."""
    count = WORKERS if FULL else 8
    policy = BusyPolicy(initial_delay=0.005, max_delay=0.02)
    with Letta(base_url=server.base_url, when_busy=policy) as client:

        def send(number: int) -> str:
            create = client.conversations.messages.create
            return "".join(create(server.conversation_id, input=f"number {number}", background=True).text())

        def work() -> list[str]:
            with ThreadPoolExecutor(count) as pool:
                return list(pool.map(send, range(count)))

        texts = run_within(120, work)
    assert all(texts)
    assert sorted(stored_inputs(server)) == sorted(f"number {number}" for number in range(count))
    assert len(server.state.runs) == count
    figure("taking turns", f"threads {count}, messages {len(stored_inputs(server))}, runs {len(server.state.runs)}")


def stored_inputs(server: EmbeddedServer) -> list[str]:
    """Return the user messages on the server."""
    stored = server.state.conversations[server.conversation_id].thread.stored
    return [str(placed.message.content) for placed in stored if placed.message.role == "user"]

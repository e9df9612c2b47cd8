"""Forked processes do not read responses of their parent and do not wait for locks of its threads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import pytest

from letta_ext.testing import EmbeddedServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")

READING: Final = """
import asyncio, os, sys
import httpx
from letta_ext import AsyncLetta, Letta, LettaError
base_url, conversation, kind, way = sys.argv[1:]
arguments = {"input": "LONG 40", "stream_tokens": True, "background": "background" in way}

def fork():
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        return False
    return True

def sync():
    client = Letta(base_url=base_url, http_client=httpx.Client() if kind == "passed" else None)
    if "raw" in way:
        create = client.conversations.messages.with_streaming_response.create
        with create(conversation, **arguments) as response:
            lines = response.iter_lines()
            if "begun" in way:
                next(lines)
            child = fork()
            count = len(list(lines))
    else:
        events = iter(client.conversations.messages.create(conversation, **arguments))
        if "begun" in way:
            next(events)
        child = fork()
        count = len(list(events))
    assert not child, count
    assert count > 40
    client.steps.list(limit=1)

def asynchronous():
    client = AsyncLetta(base_url=base_url, http_client=httpx.AsyncClient() if kind == "passed" else None)

    async def begin():
        events = aiter(await client.conversations.messages.create(conversation, **arguments))
        if "begun" in way:
            await anext(events)
        return events

    async def end():
        return len([each async for each in events])

    runner = asyncio.Runner()
    events = runner.run(begin())
    child = fork()  # an event loop does not continue in a child
    count = asyncio.run(end()) if child else runner.run(end())
    assert not child, count
    assert count > 40

try:
    asynchronous() if "async" in way else sync()
except LettaError as error:
    print(error, flush=True)
    os._exit(0)
"""
WAYS: Final = ["begun", "unread", "begun background", "raw unread", "raw begun", "async begun", "async unread"]


@pytest.fixture
def slow_server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        server.state.delay = 0.01  # some events are still pending when the process forks
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["own", pytest.param("passed", marks=pytest.mark.stress)])
@pytest.mark.parametrize("way", WAYS)
def test_child_reading_parent_stream_raises_and_parent_gets_all_events(
    way: str, kind: str, slow_server: EmbeddedServer
) -> None:
    """The child raises `LettaError`; the parent receives every event."""
    command = [sys.executable, "-c", READING, slow_server.base_url, slow_server.conversation_id, kind, way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("The response cannot be read: the parent process")
    assert done.stdout.count("\n") == 1


IMPORTING: Final = """
import asyncio, os, sys, threading
from letta_ext import AsyncLetta, Hooks, Letta, LettaError
base_url, conversation = sys.argv[1:]
client, async_client = Letta(base_url=base_url), AsyncLetta(base_url=base_url)
ended = threading.Event()
threading.Thread(target=ended.wait).start()
if child := os.fork():
    status = os.waitpid(child, 0)[1]
    ended.set()
    sys.exit(status)

assert "letta_ext.testing" not in sys.modules  # calls do not need it, and it imports a web server
before = set(sys.modules)
messages = client.conversations.messages
for arguments in {"background": True}, {"stream_tokens": True}, {"include_pings": True}:
    list(messages.create(conversation, input="hi", **arguments))
messages.create(conversation, input="hi").result()
"".join(messages.create(conversation, input="hi").text())
for page in messages.list(conversation).iter_pages():
    [each.to_dict() for each in page.items]
for step in client.steps.list(limit=2):
    client.steps.retrieve(step.id), client.steps.metrics.retrieve(step.id), client.steps.trace.retrieve(step.id)
    list(client.steps.messages.list(step.id)), client.steps.feedback.create(step.id, feedback="positive")
    client.steps.with_raw_response.retrieve(step.id).parse()
messages.compact(conversation)
client.get("/v1/steps/")
try:
    client.steps.retrieve("step-123e4567-e89b-42d3-8456-426614174000")
except LettaError:
    pass

async def main():
    messages = async_client.conversations.messages
    async for _ in await messages.create(conversation, input="hi", background=True):
        pass
    async for _ in messages.list(conversation):
        pass
    await async_client.steps.list()

asyncio.run(main())
late = sorted(name for name in set(sys.modules) - before if not name.startswith("asyncio"))
print(late, flush=True)
os._exit(0)
"""


def test_child_of_threaded_process_imports_no_modules_during_calls(server: EmbeddedServer) -> None:
    """All modules of calls are imported at a fork, so no import lock can be held."""
    command = [sys.executable, "-W", "ignore", "-c", IMPORTING, server.base_url, server.conversation_id]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("[]\n", "", 0)


FIRST_CALLS: Final = """
import os, random, signal, sys, threading, time
from letta_ext import Letta
base_url, conversation, seed = sys.argv[1:]
client, begin = Letta(base_url=base_url), threading.Barrier(5)

def call():
    client.steps.list(limit=1)
    list(client.conversations.messages.list(conversation))
    list(client.conversations.messages.create("default", agent_id=agent, input="hi", background=True))

def first():
    begin.wait()
    call()

agent = next(iter(client.get("/v1/agents/")))["id"]
for _ in range(4):
    threading.Thread(target=first, daemon=True).start()
begin.wait()
time.sleep(random.Random(seed).random() * 0.1)
child = os.fork()
if not child:
    signal.alarm(20)
    client.steps.list(limit=1)
    list(client.conversations.messages.list(conversation))
    os._exit(0)
status = os.waitpid(child, 0)[1]
print(status, flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("seed", range(3))
def test_fork_during_first_calls_of_threads_leaves_child_usable(seed: int, server: EmbeddedServer) -> None:
    """The child makes calls while threads of the parent import modules."""
    command = [sys.executable, "-W", "ignore", "-c", FIRST_CALLS, server.base_url, server.conversation_id, str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "0\n"

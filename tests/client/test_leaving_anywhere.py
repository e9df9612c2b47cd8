"""Leaving a stream in the middle of a connection pool: by the collector, by a late generator, by a signal handler."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Final

import pytest

from letta_ext._streaming.cleanup import close_outside_transport
from letta_ext.testing import EmbeddedServer

LIMIT: Final = 30
"""Seconds for what takes one; a deadlock never ends, and so runs in a process of its own."""

ANYWHERE: Final = """
import gc, signal, sys
from letta_ext import Letta

way, address, conversation = sys.argv[1:]
client = Letta(base_url=address)

def send(**options):
    return client.conversations.messages.create(conversation, input="hi", **options)

class Events:  # a cycle that holds the events of a stream
    def __init__(self, stream):
        self.me, self.events = self, iter(stream)
        next(self.events)

class Block:  # a cycle that holds a generator, and that a `with` block around a stream
    def __init__(self, stream):
        self.me, self.lines = self, self.read(stream)
        next(self.lines)

    def read(self, stream):
        with stream:
            yield from stream

def by_collector(cycle):
    send().close()
    gc.freeze()  # what there is already would make full collections rare
    gc.collect()
    for number in range(120):
        gc.set_threshold(1 + number % 60, 1, 1)  # each runs the collector at other places, some of them in the pool
        cycle(send())
    return number

def by_signal_handler():
    opened, closed = [], []

    def close_all(*_):
        while opened:
            closed.append(opened.pop().close())

    signal.signal(signal.SIGALRM, close_all)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    for _ in range(60):
        opened += [send()]
    signal.setitimer(signal.ITIMER_REAL, 0)
    return len(closed)

print({
    "events": lambda: by_collector(Events), "block": lambda: by_collector(Block), "handler": by_signal_handler
}[way]() > 20)
"""


@pytest.mark.parametrize("way", ["events", "block", "handler"])
def test_closing_inside_the_pool_does_not_deadlock(server: EmbeddedServer, way: str) -> None:
    """The collector and a signal handler may leave a stream while its thread holds the lock of the pool."""
    command = [sys.executable, "-c", ANYWHERE, way, server.base_url, server.conversation_id]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_close_outside_transport_is_immediate_elsewhere() -> None:
    """Code that is in no transport closes at once, in its own thread."""
    closed_by: list[int] = []
    close_outside_transport(lambda: closed_by.append(threading.get_ident()))
    assert closed_by == [threading.get_ident()]


NOTHING_GLOBAL: Final = """
import atexit, gc, os, signal, sys, threading, warnings
hooks = lambda: (
    list(gc.callbacks), atexit._ncallbacks(), sys.gettrace(), sys.getprofile(), sys.excepthook, sys.unraisablehook,
    threading.excepthook, [signal.getsignal(s) for s in signal.valid_signals()], gc.get_threshold(), gc.isenabled(),
)
import httpx, attrs, anyio, logging, msgspec, concurrent.futures, weakref
weakref.finalize(type("X", (), {})(), int)  # the standard library's own exit functions are in place
import asyncio, h11, httpcore, ssl, email.parser, http.cookiejar, encodings.idna
httpx.Client().close()  # certifi, which it asks for certificates, has its exit function in place
before = hooks()
from letta_ext import Letta, AsyncLetta
client = Letta(base_url=sys.argv[1])
for stream in (client.conversations.messages.create(sys.argv[2], input="hi") for _ in range(3)):
    for _ in stream: break
list(client.steps.list(limit=1, prefetch=True))
async def main():
    async with AsyncLetta(base_url=sys.argv[1]) as client:
        async for _ in await client.conversations.messages.create(sys.argv[2], input="hi"): break
asyncio.run(main())
after = hooks()
print([b == a for b, a in zip(before, after)])
"""


def test_library_leaves_hooks_of_the_interpreter_alone(server: EmbeddedServer) -> None:
    """Streams, lists and both clients install no callback, exit function or handler."""
    command = [sys.executable, "-c", NOTHING_GLOBAL, server.base_url, server.conversation_id]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (f"{[True] * 10}\n", "")


LIMITS: Final = """
import json, signal, sys, time
from letta_ext import Letta
client = Letta(base_url=sys.argv[1])
kept = client.conversations.messages.create(sys.argv[2], input="hello", background=True)
next(iter(kept))
for _ in client.conversations.messages.create(sys.argv[2], input="hello"): break
list(client.conversations.messages.create(sys.argv[2], input="hello"))
client.conversations.messages.create(sys.argv[2], input="hello")
class LimitReached(Exception): ...
def handler(*_):
    raise LimitReached
signal.signal(signal.SIGALRM, handler)
text = json.dumps([{"n": i, "t": [i, i + 1]} for i in range(40_000)])
kept = 0
for i in range(10):
    signal.setitimer(signal.ITIMER_REAL, 0.02 + i * 0.0007)
    end = time.time() + 5
    try:
        while time.time() < end:
            json.loads(text)
    except LimitReached:
        kept += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
print(kept)
"""


def test_signal_exceptions_are_kept_while_streams_are_in_use(server: EmbeddedServer) -> None:
    """An exception of a signal handler arrives, also in a collection, with streams open and left."""
    command = [sys.executable, "-c", LIMITS, server.base_url, server.conversation_id]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("10\n", "")

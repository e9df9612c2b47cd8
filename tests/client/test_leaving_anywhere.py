"""Streams closed inside the connection pool by the garbage collector, a generator or a signal handler."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Final

import pytest

from letta_ext._streaming.cleanup import close_outside_transport
from letta_ext.testing import EmbeddedServer

LIMIT: Final = 120
"""Seconds, for a run that takes one, and nine on Python 3.14. A deadlock never ends: it needs a separate process."""

ANYWHERE: Final = """
import gc, signal, sys
from letta_ext import Letta

way, address, conversation = sys.argv[1:]
client = Letta(base_url=address)

def send(**options):
    return client.conversations.messages.create(conversation, input="hi", **options)

class Events:  # a cycle with the iterator of a stream
    def __init__(self, stream):
        self.me, self.events = self, iter(stream)
        next(self.events)

class Block:  # a cycle with a generator that has a `with` block around a stream
    def __init__(self, stream):
        self.me, self.lines = self, self.read(stream)
        next(self.lines)

    def read(self, stream):
        with stream:
            yield from stream

def by_collector(cycle):
    send().close()
    gc.freeze()  # existing objects would make full collections rare
    gc.collect()
    for number in range(120):
        gc.set_threshold(1 + number % 60, 1, 1)  # each threshold collects at other places, some of them in the pool
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
def test_closing_stream_inside_connection_pool_does_not_deadlock(server: EmbeddedServer, way: str) -> None:
    """The collector or a signal handler may close a stream while its thread holds the pool's lock."""
    command = [sys.executable, "-c", ANYWHERE, way, server.base_url, server.conversation_id]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_close_outside_transport_runs_at_once_in_same_thread() -> None:
    """Outside a transport, the close function runs at once in the same thread."""
    closed_by: list[int] = []
    close_outside_transport(lambda: closed_by.append(threading.get_ident()))
    assert closed_by == [threading.get_ident()]


CHECK_HOOKS: Final = """
import atexit, gc, os, signal, sys, threading, warnings
hooks = lambda: (
    list(gc.callbacks), atexit._ncallbacks(), sys.gettrace(), sys.getprofile(), sys.excepthook, sys.unraisablehook,
    threading.excepthook, [signal.getsignal(s) for s in signal.valid_signals()], gc.get_threshold(), gc.isenabled(),
)
import httpx, attrs, anyio, logging, msgspec, concurrent.futures, weakref
weakref.finalize(type("X", (), {})(), int)  # registers the exit function of weakref
import asyncio, h11, httpcore, ssl, email.parser, http.cookiejar, encodings.idna
httpx.Client().close()  # registers the exit function of certifi
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


def test_library_installs_no_interpreter_hooks(server: EmbeddedServer) -> None:
    """Streams, lists and both clients install no callback, exit function or handler."""
    command = [sys.executable, "-c", CHECK_HOOKS, server.base_url, server.conversation_id]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (f"{[True] * 10}\n", "")


RAISE_IN_HANDLER: Final = """
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


def test_signal_handler_exception_is_raised_while_streams_are_open(server: EmbeddedServer) -> None:
    """An exception of a signal handler propagates, also from a collection, with open and abandoned streams."""
    command = [sys.executable, "-c", RAISE_IN_HANDLER, server.base_url, server.conversation_id]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("10\n", "")

"""The end of a stream: at once when it is there, in time when it never comes, and with the program."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from letta_ext import RetryPolicy, StreamInterrupted, StreamLimits, StreamTimeoutError

from ..client.helpers import DISCONNECT, ClientDriver, loopback
from .figures import figure
from .replay import CONVERSATION, END, HEAD, entries, recorded, replaying, whole_answer

pytestmark = pytest.mark.stress

SEND: Final[dict[str, Any]] = {"input": "hi", "background": True, "include_pings": True}
PING: Final = entries(recorded())[0].text
WHOLE: Final = whole_answer(entries(recorded()))


def test_an_end_that_leaves_the_body_open_is_the_end(driver: ClientDriver) -> None:
    with replaying(recorded()) as replay:
        replay.held = True
        client = driver.client(base_url=replay.base_url)
        for _ in range(2):
            stream = driver.run(client.conversations.messages.create(CONVERSATION, **SEND))
            since = time.monotonic()
            assert len(driver.items(stream)) == len(replay.kept) - 1
            assert time.monotonic() - since < 5  # rather than the minute that a read may take
            assert stream.response.is_closed
        figure("end with an open body", f"after {(time.monotonic() - since) * 1000:.0f} ms")
        assert replay.connections == 2
        assert replay.wait_open(0, 5)


def test_a_body_that_goes_on_behind_the_end_does_not_hold_the_caller(driver: ClientDriver) -> None:
    more = b"%x\r\n%s\r\n" % (len(PING), PING)
    with loopback(WHOLE.removesuffix(END) + more * 20_000 + DISCONNECT) as server:
        client = driver.client(base_url=server.base_url)
        stream = driver.run(client.conversations.messages.create(CONVERSATION, **SEND))
        since = time.monotonic()
        assert len(driver.items(stream)) == len(entries(recorded())) - 1
        assert time.monotonic() - since < 5


def test_a_finished_stream_gives_its_connection_back(driver: ClientDriver) -> None:
    with replaying(recorded()) as replay:
        client = driver.client(base_url=replay.base_url)
        for _ in range(20):
            driver.items(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))
        figure("connections", f"streams 20, connections {replay.connections}")
        assert replay.connections == 1


def test_endless_pings_are_no_life(driver: ClientDriver) -> None:
    clock: Iterator[int] = iter(range(0, 1_000_000, 10))
    limits = StreamLimits(idle=600, clock=clock.__next__)
    pings = b"%x\r\n%s\r\n" % (len(PING), PING)
    with loopback(HEAD + pings * 200 + DISCONNECT) as server:
        client = driver.client(base_url=server.base_url, stream_limits=limits, retry=RetryPolicy(initial_delay=0))
        stream = driver.run(client.conversations.messages.create(CONVERSATION, **SEND))
        events, fault = driver.drain(stream)
    assert isinstance(fault, StreamTimeoutError)
    assert "nothing but pings for 600 s" in str(fault)
    assert fault.run_id is not None
    assert {event.message_type for event in events} == {"ping"}


@pytest.mark.parametrize("number", [None, 5], ids=["unnumbered", "numbered"])
def test_pings_are_no_progress(driver: ClientDriver, number: int | None) -> None:
    """Every stream that resumes the cut one brings a ping, which is handed on, and is cut behind it."""
    kept = entries(recorded())[:5]
    ping = b'data: {"message_type":"ping","run_id":"run-1","seq_id":%s}\n\n' % json.dumps(number).encode()
    resumed = HEAD + b"%x\r\n%s\r\n" % (len(ping), ping) + DISCONNECT
    with loopback(whole_answer(kept).removesuffix(END) + DISCONNECT, resumed) as server:
        client = driver.client(base_url=server.base_url, retry=RetryPolicy(max_retries=4, initial_delay=0))
        events, fault = driver.drain(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))
        assert len(server.requests) == 1 + 4
    assert len(events) == len(kept) + 4
    assert isinstance(fault, StreamInterrupted)
    assert "4 attempts to resume it received no new event" in str(fault)
    assert fault.last_seq_id == 5


def test_a_cut_behind_a_long_silence_is_resumed(driver: ClientDriver) -> None:
    """What the policy allows is counted from the cut, not from the last thing the agent said."""
    clock: Iterator[int] = iter(range(0, 1_000_000, 400))
    limits = StreamLimits(idle=None, clock=clock.__next__)
    policy = RetryPolicy(max_retries=1, initial_delay=0, deadline=300)
    with replaying(recorded()) as replay:
        client = driver.client(base_url=replay.base_url, retry=policy, stream_limits=limits)
        ping = len(whole_answer(replay.kept[:1])) - len(END)
        replay.plan.extend([len(HEAD), ping])
        assert len(driver.items(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))) == 23


def test_silence_without_pings_is_a_cut(driver: ClientDriver) -> None:
    with replaying(recorded()) as replay:
        replay.held = True
        del replay.kept[5:]
        timeout = httpx.Timeout(5, read=0.05)
        client = driver.client(base_url=replay.base_url, timeout=timeout, retry=RetryPolicy(initial_delay=0))
        events, fault = driver.drain(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))
        assert len(replay.requests) == 3  # the send, and two attempts that brought nothing
    assert len(events) == 5
    assert isinstance(fault, StreamInterrupted)
    assert fault.last_seq_id == 5


def test_what_a_cut_result_had_is_not_lost(driver: ClientDriver) -> None:
    with replaying(recorded()) as replay:
        replay.plan.append(len(whole_answer(replay.kept[:11])) - len(END))
        stream = driver.run(
            driver.client(base_url=replay.base_url).conversations.messages.create(CONVERSATION, input="hi")
        )
        with pytest.raises(StreamInterrupted) as caught:
            driver.run(stream.result())
    (message,) = caught.value.partial
    assert message.content == "".join(f"word{number} " for number in range(10))


# The end of the program.

PROGRAM: Final = """
import asyncio, gc, sys
from letta_ext import AsyncLetta, Letta

def sync_stream(address):
    kept = Letta(base_url=address).conversations.messages.create("{conversation}", input="hi")
    globals().update(kept=kept, events=iter(kept))
    next(events)

async def async_stream(address):
    kept = await AsyncLetta(base_url=address).conversations.messages.create("{conversation}", input="hi")
    globals().update(kept=kept, events=kept.__aiter__())
    await anext(events)

def cyclic_stream(address):
    class Chat:
        pass
    client = Letta(base_url=address)
    gc.set_threshold(7)  # it runs within the connection pool too
    for _ in range(200):
        chat = Chat()
        chat.self = chat
        chat.events = iter(client.conversations.messages.create("{conversation}", input="hi"))
        next(chat.events)

def closed_loop(address):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(async_stream(address))
    loop.close()
    del globals()["events"], globals()["kept"]
    gc.collect()

surface, address = sys.argv[1:]
if surface == "async":
    asyncio.run(async_stream(address))
elif surface == "closed loop":
    closed_loop(address)
else:
    globals()[surface + "_stream"](address)
print("left")
""".replace("{conversation}", CONVERSATION)


@pytest.mark.parametrize("surface", ["sync", "async", "cyclic", "closed loop"])
def test_an_open_stream_does_not_keep_the_program(surface: str) -> None:
    with replaying(recorded()) as replay:
        replay.held = True
        replay.kept.pop()
        command = [sys.executable, "-c", PROGRAM, surface, replay.base_url]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "left\n", "")
        assert replay.wait_open(0, 5)


INTERRUPTED: Final = """
import asyncio, sys
from letta_ext import AsyncLetta, Letta

def read(address):
    with Letta(base_url=address) as client:
        for _ in client.conversations.messages.create("{conversation}", input="hi", background=True):
            print("reading", flush=True)

async def read_async(address):
    async with AsyncLetta(base_url=address) as client:
        async for _ in await client.conversations.messages.create("{conversation}", input="hi", background=True):
            print("reading", flush=True)

surface, address = sys.argv[1:]
asyncio.run(read_async(address)) if surface == "async" else read(address)
""".replace("{conversation}", CONVERSATION)


@pytest.mark.parametrize("surface", ["sync", "async"])
def test_an_interrupt_ends_a_program_that_reads(surface: str) -> None:
    with replaying(recorded()) as replay:
        replay.held = True
        del replay.kept[5:]
        command = [sys.executable, "-c", INTERRUPTED, surface, replay.base_url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            assert program.stdout is not None
            for _ in range(5):
                assert program.stdout.readline() == b"reading\n"
            since = time.monotonic()
            program.send_signal(signal.SIGINT)
            _, told = program.communicate(timeout=10)
            assert time.monotonic() - since < 5
        assert told.rstrip().endswith(b"KeyboardInterrupt")
        assert replay.wait_open(0, 1)
        assert len(replay.requests) == 1

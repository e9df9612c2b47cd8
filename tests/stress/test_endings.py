"""Ends of streams: recognized at once, enforced by limits, and at the end of the program."""

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
from .replay import CONVERSATION, END, HEAD, full_response, parse_entries, recorded_body, replay_server

pytestmark = pytest.mark.stress

SEND: Final[dict[str, Any]] = {"input": "hi", "background": True, "include_pings": True}
PING: Final = parse_entries(recorded_body())[0].text
WHOLE: Final = full_response(parse_entries(recorded_body()))


def test_terminal_event_with_open_body_ends_stream_at_once(driver: ClientDriver) -> None:
    """`[DONE]` ends the stream although the body stays open, and the connection is closed."""
    with replay_server(recorded_body()) as replay:
        replay.keep_open = True
        client = driver.client(base_url=replay.base_url)
        for _ in range(2):
            stream = driver.run(client.conversations.messages.create(CONVERSATION, **SEND))
            since = time.monotonic()
            assert len(driver.items(stream)) == len(replay.entries) - 1
            assert time.monotonic() - since < 5  # far below the read timeout of a minute
            assert stream.response.is_closed
        figure("end with an open body", f"after {(time.monotonic() - since) * 1000:.0f} ms")
        assert replay.connections == 2
        assert replay.wait_open(0, 5)


def test_data_after_terminal_event_does_not_delay_end(driver: ClientDriver) -> None:
    """Data after `[DONE]` does not delay the end."""
    more = b"%x\r\n%s\r\n" % (len(PING), PING)
    with loopback(WHOLE.removesuffix(END) + more * 20_000 + DISCONNECT) as server:
        client = driver.client(base_url=server.base_url)
        stream = driver.run(client.conversations.messages.create(CONVERSATION, **SEND))
        since = time.monotonic()
        assert len(driver.items(stream)) == len(parse_entries(recorded_body())) - 1
        assert time.monotonic() - since < 5


def test_completed_streams_reuse_one_connection(driver: ClientDriver) -> None:
    """20 streams in a row use one connection."""
    with replay_server(recorded_body()) as replay:
        client = driver.client(base_url=replay.base_url)
        for _ in range(20):
            driver.items(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))
        figure("connections", f"streams 20, connections {replay.connections}")
        assert replay.connections == 1


def test_endless_pings_raise_stream_timeout_at_idle_limit(driver: ClientDriver) -> None:
    """Pings do not reset the idle limit."""
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
def test_resumed_streams_with_pings_only_exhaust_attempts(driver: ClientDriver, number: int | None) -> None:
    """Each resumed stream yields a ping and breaks; the attempts are used up."""
    kept = parse_entries(recorded_body())[:5]
    fields = b'"id":"ping-1","date":"2026-11-23T07:47:53+00:00","message_type":"ping","run_id":"run-1"'
    ping = b'data: {%s,"seq_id":%s}\n\n' % (fields, json.dumps(number).encode())
    resumed = HEAD + b"%x\r\n%s\r\n" % (len(ping), ping) + DISCONNECT
    with loopback(full_response(kept).removesuffix(END) + DISCONNECT, resumed) as server:
        client = driver.client(base_url=server.base_url, retry=RetryPolicy(max_retries=4, initial_delay=0))
        events, fault = driver.drain(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))
        assert len(server.requests) == 1 + 4
    assert len(events) == len(kept) + 4
    assert isinstance(fault, StreamInterrupted)
    assert "4 attempts to resume it received no new event" in str(fault)
    assert fault.last_seq_id == 5


def test_retry_deadline_counts_from_interruption(driver: ClientDriver) -> None:
    """The deadline of the policy starts at the interruption, not at the last event."""
    clock: Iterator[int] = iter(range(0, 1_000_000, 400))
    limits = StreamLimits(idle=None, clock=clock.__next__)
    policy = RetryPolicy(max_retries=1, initial_delay=0, deadline=300)
    with replay_server(recorded_body()) as replay:
        client = driver.client(base_url=replay.base_url, retry=policy, stream_limits=limits)
        ping = len(full_response(replay.entries[:1])) - len(END)
        replay.plan.extend([len(HEAD), ping])
        assert len(driver.items(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))) == 23


def test_silent_background_stream_resumes_then_raises_stream_interrupted(driver: ClientDriver) -> None:
    """A read timeout interrupts the stream, which resumes and then raises."""
    with replay_server(recorded_body()) as replay:
        replay.keep_open = True
        del replay.entries[5:]
        timeout = httpx.Timeout(5, read=0.05)
        client = driver.client(base_url=replay.base_url, timeout=timeout, retry=RetryPolicy(initial_delay=0))
        events, fault = driver.drain(driver.run(client.conversations.messages.create(CONVERSATION, **SEND)))
        assert len(replay.requests) == 3  # the send, and two attempts without new events
    assert len(events) == 5
    assert isinstance(fault, StreamInterrupted)
    assert fault.last_seq_id == 5


def test_interrupted_result_has_partial_messages(driver: ClientDriver) -> None:
    """`StreamInterrupted.partial` has the messages so far."""
    with replay_server(recorded_body()) as replay:
        replay.plan.append(len(full_response(replay.entries[:11])) - len(END))
        stream = driver.run(
            driver.client(base_url=replay.base_url).conversations.messages.create(CONVERSATION, input="hi")
        )
        with pytest.raises(StreamInterrupted) as caught:
            driver.run(stream.result())
    (message,) = caught.value.partial
    assert message.content == "".join(f"word{number} " for number in range(10))


# The end of the program

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
    gc.set_threshold(7)  # collections run inside the connection pool too
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

api, address = sys.argv[1:]
if api == "async":
    asyncio.run(async_stream(address))
elif api == "closed loop":
    closed_loop(address)
else:
    globals()[api + "_stream"](address)
print("left")
""".replace("{conversation}", CONVERSATION)


@pytest.mark.parametrize("api", ["sync", "async", "cyclic", "closed loop"])
def test_program_with_open_stream_exits(api: str) -> None:
    """A program with an open stream exits without output on stderr."""
    with replay_server(recorded_body()) as replay:
        replay.keep_open = True
        replay.entries.pop()
        command = [sys.executable, "-c", PROGRAM, api, replay.base_url]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "left\n", "")
        assert replay.wait_open(0, 5)


INTERRUPTED: Final = """
import asyncio, signal, sys
from letta_ext import AsyncLetta, Letta

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore SIGINT

def read(address):
    with Letta(base_url=address) as client:
        for _ in client.conversations.messages.create("{conversation}", input="hi", background=True):
            print("reading", flush=True)

async def read_async(address):
    async with AsyncLetta(base_url=address) as client:
        async for _ in await client.conversations.messages.create("{conversation}", input="hi", background=True):
            print("reading", flush=True)

api, address = sys.argv[1:]
asyncio.run(read_async(address)) if api == "async" else read(address)
""".replace("{conversation}", CONVERSATION)


@pytest.mark.parametrize("api", ["sync", "async"])
def test_sigint_ends_program_reading_stream(api: str) -> None:
    """Ctrl+C ends a program that reads a stream, and nothing is resumed."""
    with replay_server(recorded_body()) as replay:
        replay.keep_open = True
        del replay.entries[5:]
        command = [sys.executable, "-c", INTERRUPTED, api, replay.base_url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            assert program.stdout is not None
            for _ in range(5):
                assert program.stdout.readline() == b"reading\n"
            since = time.monotonic()
            program.send_signal(signal.SIGINT)
            _, stderr = program.communicate(timeout=10)
            assert time.monotonic() - since < 5
        assert stderr.rstrip().endswith(b"KeyboardInterrupt")
        assert replay.wait_open(0, 1)
        assert len(replay.requests) == 1

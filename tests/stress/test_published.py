"""The behavior of `letta-client` in the faults of `docs/reliability.md`, in its column of that name.

The tests are skipped without `letta-client`, which is not a dependency.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import httpx
import pytest

from letta_ext.testing import EmbeddedServer

from ..client.helpers import DISCONNECT, loopback
from ..integration.proxy import LOST, Fault, proxied
from .figures import figure
from .replay import (
    CONVERSATION,
    END,
    HEAD,
    Entry,
    ReplayServer,
    error_response,
    full_response,
    parse_entries,
    recorded_body,
    replay_server,
)
from .test_sends import busy_response, count_stored

MEASURED: Final = "1.12.1"

try:
    INSTALLED = version("letta-client")
except PackageNotFoundError:
    INSTALLED = ""

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(INSTALLED != MEASURED, reason=f"compares with letta-client {MEASURED}, which is not installed"),
    pytest.mark.filterwarnings("ignore"),  # warnings of that client and of connections that it leaks
]

SAID: Final = [{"role": "user", "content": "LONG 20"}]
SEND: Final[dict[str, Any]] = {"messages": SAID, "background": True, "stream_tokens": True, "include_pings": True}
EMPTY_LIST: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]"
EVENTS: Final = len(parse_entries(recorded_body())) - 1  # the terminal event is not yielded
AFTER_TENTH_EVENT: Final = len(full_response(parse_entries(recorded_body())[:10])) - len(END)


@pytest.fixture
def connect() -> Iterator[Callable[..., Any]]:
    """Return a function that makes `letta-client` clients."""
    from letta_client import Letta

    made: list[Any] = []

    def make(address: str, **options: Any) -> Any:
        made.append(Letta(base_url=address, api_key="key", **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def replay() -> Iterator[ReplayServer]:
    with replay_server(recorded_body()) as running:
        yield running


def drain(stream: Any) -> tuple[list[Any], Exception | None]:
    """Return the events and the exception that ended them."""
    events: list[Any] = []
    try:
        events.extend(stream)
    except Exception as fault:  # noqa: BLE001  # the test checks the class
        return events, fault
    return events, None


def send_and_drain(client: Any, **more: Any) -> tuple[list[Any], Exception | None]:
    try:
        stream = client.conversations.messages.create(CONVERSATION, **{**SEND, **more})
    except Exception as fault:  # noqa: BLE001  # the test checks the class
        return [], fault
    return drain(stream)


# Streams


def test_letta_client_stream_cut_raises_httpx_error(connect: Any, replay: ReplayServer) -> None:
    """A broken connection raises `httpx.RemoteProtocolError` after 10 of 23 events."""
    replay.plan.append(AFTER_TENTH_EVENT)
    events, fault = send_and_drain(connect(replay.base_url))
    assert (len(events), type(fault)) == (10, httpx.RemoteProtocolError)
    assert len(replay.requests) == 1


def test_letta_client_early_end_looks_complete(connect: Any) -> None:
    """A body that ends early looks complete."""
    with replay_server(recorded_body(), keep=lambda entry: entry.number <= 10) as replay:
        events, fault = send_and_drain(connect(replay.base_url))
    assert (len(events), fault) == (10, None)


def test_letta_client_send_cut_in_headers_starts_two_runs(connect: Any, replay: ReplayServer) -> None:
    """A cut in the response headers is retried without an idempotency key."""
    replay.plan.append(len(HEAD) // 2)
    assert send_and_drain(connect(replay.base_url))[1] is None
    assert len(replay.sends) == 2


def test_letta_client_ignores_gap(connect: Any) -> None:
    """Missing events raise no error."""

    def keep(entry: Entry) -> bool:
        return entry.number not in range(3, 9)

    with replay_server(recorded_body(), keep=keep) as replay:
        events, fault = send_and_drain(connect(replay.base_url))
    assert (len(events), fault) == (EVENTS - 6, None)


def test_letta_client_silence_raises_httpx_read_timeout(connect: Any, replay: ReplayServer) -> None:
    """Silence raises `httpx.ReadTimeout`."""
    replay.keep_open = True
    del replay.entries[5:]
    events, fault = send_and_drain(connect(replay.base_url, timeout=httpx.Timeout(5, read=0.1)))
    assert (len(events), type(fault)) == (5, httpx.ReadTimeout)


def test_letta_client_reads_endless_pings(connect: Any) -> None:
    """Pings without other events are read without a limit."""
    ping = parse_entries(recorded_body())[0].text
    pings = b"%x\r\n%s\r\n" % (len(ping), ping) * 20_000
    with loopback(HEAD + pings + DISCONNECT) as server:
        events, fault = send_and_drain(connect(server.base_url))
    assert (len(events), type(fault)) == (20_000, httpx.RemoteProtocolError)


def test_letta_client_streams_do_not_reuse_connection(connect: Any, replay: ReplayServer) -> None:
    """20 streams use 20 connections."""
    client = connect(replay.base_url)
    for _ in range(20):
        assert len(send_and_drain(client)[0]) == EVENTS
    assert replay.connections == 20


BREAKING: Final = f"""
import gc, sys
from letta_client import Letta
client = Letta(base_url=sys.argv[1], api_key="key")
for number in range(2000):
    for event in client.conversations.messages.create("{CONVERSATION}", **{SEND!r}):
        break
    print(number, flush=True)
"""


def test_letta_client_deadlocks_after_abandoned_streams(replay: ReplayServer) -> None:
    """Abandoned streams end in a deadlock."""
    replay.keep_open = True
    replay.entries.pop()
    command = [sys.executable, "-c", BREAKING, replay.base_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdout is not None
        left, out = 0, program.stdout.fileno()
        while select.select([out], [], [], 5)[0] and (lines := os.read(out, 4096)):
            left += lines.count(b"\n")
        stuck = program.poll() is None
        program.kill()
    figure("letta-client, left streams", f"stuck behind {left} of 2000")
    assert stuck
    assert 0 < left < 2000


def test_letta_client_uniterated_stream_stays_open(connect: Any, replay: ReplayServer) -> None:
    """A stream that is not iterated keeps its connection."""
    replay.keep_open = True
    replay.entries.pop()
    client = connect(replay.base_url)
    for _ in range(5):
        client.conversations.messages.create(CONVERSATION, **SEND)
    assert not replay.wait_open(4, 1)


FORKING: Final = """
import os, sys
from letta_client import Letta
client = Letta(base_url=sys.argv[1], api_key="key")

def call():
    client.steps.list().items

call()
child = os.fork()
if child:
    os.waitpid(child, 0)
call()
os._exit(0)
"""


def test_letta_client_fork_shares_connection(replay: ReplayServer) -> None:
    """A child process uses the connection of its parent."""
    replay.plan.extend([EMPTY_LIST] * 3)
    subprocess.run([sys.executable, "-c", FORKING, replay.base_url], timeout=30, check=True)
    assert (len(replay.requests), replay.connections) == (3, 1)


def test_letta_client_cancelled_task_frees_connection(replay: ReplayServer) -> None:
    """A cancelled task frees its connection."""
    from letta_client import AsyncLetta

    async def main() -> None:
        async with AsyncLetta(base_url=replay.base_url, api_key="key") as client:
            reading = asyncio.Event()

            async def read() -> None:
                async for _ in await client.conversations.messages.create(CONVERSATION, **SEND):
                    reading.set()

            task = asyncio.create_task(read())
            await reading.wait()
            task.cancel()
            await asyncio.wait([task])
            assert await asyncio.to_thread(replay.wait_open, 0, 1)

    replay.keep_open = True
    replay.entries.pop()
    asyncio.run(main())


ENDING: Final = f"""
import sys
from letta_client import Letta
events = iter(Letta(base_url=sys.argv[1], api_key="key").conversations.messages.create("{CONVERSATION}", **{SEND!r}))
next(events)
"""


def test_letta_client_program_with_open_stream_exits(replay: ReplayServer) -> None:
    """A program with an open stream exits."""
    replay.keep_open = True
    replay.entries.pop()
    subprocess.run([sys.executable, "-c", ENDING, replay.base_url], timeout=30, check=True)
    assert replay.wait_open(0, 5)


def test_letta_client_failed_run_raises_api_status_error(connect: Any) -> None:
    """A failed run raises `APIStatusError` with status 200."""
    from letta_client import APIStatusError

    error = b'event: error\ndata: {"message_type":"error_message","error_type":"llm_error","detail":"no"}\n\n'
    with loopback(HEAD + b"%x\r\n%s\r\n" % (len(error), error) + END) as server:
        _, fault = send_and_drain(connect(server.base_url))
    assert isinstance(fault, APIStatusError)
    assert fault.status_code == 200


def test_letta_client_html_response_is_empty_stream(connect: Any) -> None:
    """An HTML response is a stream without events."""
    page = b"<h1>Welcome to the proxy</h1>"
    with loopback(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\n\r\n" % len(page) + page
    ) as server:
        assert send_and_drain(connect(server.base_url)) == ([], None)


def test_letta_client_bom_loses_event(connect: Any) -> None:
    """A BOM loses the first event."""
    first, *rest = parse_entries(recorded_body())
    marked = [Entry(first.number, b"\xef\xbb\xbf" + first.text), *rest]
    with loopback(full_response(marked)) as server:
        assert len(send_and_drain(connect(server.base_url))[0]) == EVENTS - 1


def test_letta_client_unknown_event_is_system_message(connect: Any) -> None:
    """An unknown event is typed as `SystemMessage`."""
    event = b'data: {"message_type":"hologram","id":"x"}\n\ndata: [DONE]\n\n'
    with loopback(HEAD + b"%x\r\n%s\r\n" % (len(event), event) + END) as server:
        (found,) = send_and_drain(connect(server.base_url))[0]
    assert type(found).__name__ == "SystemMessage"


# Sends


def send(client: Any, server: EmbeddedServer, **more: Any) -> None:
    drain(client.conversations.messages.create(server.conversation_id, messages=SAID, **more))


@pytest.mark.parametrize("fault", [LOST, Fault(late=0.3, response=0)], ids=["lost", "overtaken"])
@pytest.mark.parametrize("background", [True, False], ids=["background", "foreground"])
def test_letta_client_lost_response_sends_twice(
    connect: Any, server: EmbeddedServer, fault: Fault, background: bool
) -> None:
    """A lost response sends the message twice."""
    with proxied(server.base_url) as proxy:
        proxy.plan.append(fault)
        send(connect(proxy.base_url), server, background=background, stream_tokens=True)
        proxy.settle()
    assert count_stored(server) == (2, 2)


def test_letta_client_retries_foreground_send_after_503(connect: Any, replay: ReplayServer) -> None:
    """A 503 to a foreground send is retried."""
    replay.plan.append(error_response(503, {"detail": "not now"}))
    assert send_and_drain(connect(replay.base_url), background=False)[1] is None
    assert len(replay.requests) == 2


def test_letta_client_connection_refused_raises_api_connection_error(connect: Any) -> None:
    """A refused connection raises `APIConnectionError`."""
    from letta_client import APIConnectionError

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    _, fault = send_and_drain(connect(address))
    assert isinstance(fault, APIConnectionError)


def test_letta_client_retry_blocked_by_own_lock_sends_third_time(connect: Any, replay: ReplayServer) -> None:
    """A 409 from its own first attempt is retried and starts a second run."""
    replay.plan.extend([0, busy_response(None)])
    assert send_and_drain(connect(replay.base_url))[1] is None
    assert len(replay.requests) == 3
    assert len(replay.sends) == 2


@pytest.mark.parametrize("reason", ["busy_response", "approval"])
def test_letta_client_retries_conflict(connect: Any, replay: ReplayServer, reason: str) -> None:
    """Each 409 is retried twice and raises `ConflictError` without a run id."""
    from letta_client import ConflictError

    waiting = {"detail": {"code": "PENDING_APPROVAL", "message": "waiting for approval"}}
    replay.plan.extend(
        [busy_response("run-of-another") if reason == "busy_response" else error_response(409, waiting)] * 3
    )
    _, fault = send_and_drain(connect(replay.base_url))
    assert type(fault) is ConflictError
    assert not hasattr(fault, "run_id")
    assert len(replay.requests) == 3


def test_letta_client_ignores_long_retry_after(connect: Any, replay: ReplayServer) -> None:
    """`Retry-After: 61` is ignored."""
    replay.plan.append(error_response(429, {"detail": "slowly"}, retry_after="61"))
    since = time.monotonic()
    assert send_and_drain(connect(replay.base_url))[1] is None
    assert time.monotonic() - since < 30
    assert len(replay.requests) == 2


def test_letta_client_waits_for_retry_after_ms(connect: Any, replay: ReplayServer) -> None:
    """`Retry-After-Ms` is the delay."""
    replay.plan.append(error_response(429, {"detail": "slowly"}, retry_after_ms="1500"))
    since = time.monotonic()
    assert send_and_drain(connect(replay.base_url))[1] is None
    assert time.monotonic() - since > 1.4  # its own delay is at most a second


def test_letta_client_redirect_loses_message(connect: Any) -> None:
    """A 301 turns the POST into a GET."""
    moved = b"HTTP/1.1 301 Moved Permanently\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
    with loopback(moved, EMPTY_LIST) as server:
        send_and_drain(connect(server.base_url))
    assert [request.split()[0] for request in server.requests] == [b"POST", b"GET"]


def test_letta_client_streaming_false_returns_empty_stream(connect: Any, server: EmbeddedServer) -> None:
    """`streaming=False` gives an empty stream."""
    client = connect(server.base_url)
    stream = client.conversations.messages.create(server.conversation_id, messages=SAID, streaming=False)
    assert drain(stream) == ([], None)
    assert count_stored(server) == (1, 1)

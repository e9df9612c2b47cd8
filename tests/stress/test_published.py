"""What the published client does about the faults of `docs/reliability.md`: the column of that name, row by row.

It is no dependency: where `letta-client` is not installed, these are skipped.
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
from .replay import CONVERSATION, END, HEAD, Entry, Replay, entries, recorded, refusal, replaying, whole_answer
from .test_sends import busy, listed

MEASURED: Final = "1.12.1"

try:
    INSTALLED = version("letta-client")
except PackageNotFoundError:
    INSTALLED = ""

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(INSTALLED != MEASURED, reason=f"compares with letta-client {MEASURED}, which is not installed"),
    pytest.mark.filterwarnings("ignore"),  # its own, and of the connections that it leaves open
]

SAID: Final = [{"role": "user", "content": "LONG 20"}]
SEND: Final[dict[str, Any]] = {"messages": SAID, "background": True, "stream_tokens": True, "include_pings": True}
EMPTY_LIST: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]"
EVENTS: Final = len(entries(recorded())) - 1  # the end is no event
BEHIND_THE_TENTH: Final = len(whole_answer(entries(recorded())[:10])) - len(END)


@pytest.fixture
def connect() -> Iterator[Callable[..., Any]]:
    """Makes the published client."""
    from letta_client import Letta

    made: list[Any] = []

    def make(address: str, **options: Any) -> Any:
        made.append(Letta(base_url=address, api_key="key", **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def replay() -> Iterator[Replay]:
    with replaying(recorded()) as running:
        yield running


def drain(stream: Any) -> tuple[list[Any], Exception | None]:
    """The events, and what ended them."""
    events: list[Any] = []
    try:
        events.extend(stream)
    except Exception as fault:  # noqa: BLE001  (the test says which it must be)
        return events, fault
    return events, None


def sent(client: Any, **more: Any) -> tuple[list[Any], Exception | None]:
    try:
        stream = client.conversations.messages.create(CONVERSATION, **{**SEND, **more})
    except Exception as fault:  # noqa: BLE001  (the test says which it must be)
        return [], fault
    return drain(stream)


# Streams.


def test_a_cut_ends_it(connect: Any, replay: Replay) -> None:
    replay.plan.append(BEHIND_THE_TENTH)
    events, fault = sent(connect(replay.base_url))
    assert (len(events), type(fault)) == (10, httpx.RemoteProtocolError)
    assert len(replay.requests) == 1


def test_an_early_end_looks_like_the_end(connect: Any) -> None:
    with replaying(recorded(), keep=lambda entry: entry.number <= 10) as replay:
        events, fault = sent(connect(replay.base_url))
    assert (len(events), fault) == (10, None)


def test_a_cut_in_the_headers_makes_two_runs(connect: Any, replay: Replay) -> None:
    replay.plan.append(len(HEAD) // 2)
    assert sent(connect(replay.base_url))[1] is None
    assert len(replay.sends) == 2


def test_a_gap_is_passed_over(connect: Any) -> None:
    def keep(entry: Entry) -> bool:
        return entry.number not in range(3, 9)

    with replaying(recorded(), keep=keep) as replay:
        events, fault = sent(connect(replay.base_url))
    assert (len(events), fault) == (EVENTS - 6, None)


def test_silence_is_an_error_of_httpx(connect: Any, replay: Replay) -> None:
    replay.held = True
    del replay.kept[5:]
    events, fault = sent(connect(replay.base_url, timeout=httpx.Timeout(5, read=0.1)))
    assert (len(events), type(fault)) == (5, httpx.ReadTimeout)


def test_endless_pings_are_followed_for_ever(connect: Any) -> None:
    ping = entries(recorded())[0].text
    pings = b"%x\r\n%s\r\n" % (len(ping), ping) * 20_000
    with loopback(HEAD + pings + DISCONNECT) as server:
        events, fault = sent(connect(server.base_url))
    assert (len(events), type(fault)) == (20_000, httpx.RemoteProtocolError)


def test_no_connection_is_used_again(connect: Any, replay: Replay) -> None:
    client = connect(replay.base_url)
    for _ in range(20):
        assert len(sent(client)[0]) == EVENTS
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


def test_leaving_streams_stops_for_ever(replay: Replay) -> None:
    replay.held = True
    replay.kept.pop()
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


def test_a_stream_that_nobody_reads_stays_open(connect: Any, replay: Replay) -> None:
    replay.held = True
    replay.kept.pop()
    client = connect(replay.base_url)
    for _ in range(5):
        client.conversations.messages.create(CONVERSATION, **SEND)
    assert not replay.wait_open(4, 1)


FORKING: Final = """
import os, sys
from letta_client import Letta
client = Letta(base_url=sys.argv[1], api_key="key")

def ask():
    client.steps.list().items

ask()
child = os.fork()
if child:
    os.waitpid(child, 0)
ask()
os._exit(0)
"""


def test_a_fork_shares_the_connection(replay: Replay) -> None:
    replay.plan.extend([EMPTY_LIST] * 3)
    subprocess.run([sys.executable, "-c", FORKING, replay.base_url], timeout=30, check=True)
    assert (len(replay.requests), replay.connections) == (3, 1)


def test_cancelling_a_task_frees_its_connection(replay: Replay) -> None:
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

    replay.held = True
    replay.kept.pop()
    asyncio.run(main())


ENDING: Final = f"""
import sys
from letta_client import Letta
events = iter(Letta(base_url=sys.argv[1], api_key="key").conversations.messages.create("{CONVERSATION}", **{SEND!r}))
next(events)
"""


def test_an_open_stream_does_not_keep_the_program(replay: Replay) -> None:
    replay.held = True
    replay.kept.pop()
    subprocess.run([sys.executable, "-c", ENDING, replay.base_url], timeout=30, check=True)
    assert replay.wait_open(0, 5)


def test_a_failed_run_is_a_refusal_on_status_200(connect: Any) -> None:
    from letta_client import APIStatusError

    error = b'event: error\ndata: {"message_type":"error_message","error_type":"llm_error","detail":"no"}\n\n'
    with loopback(HEAD + b"%x\r\n%s\r\n" % (len(error), error) + END) as server:
        _, fault = sent(connect(server.base_url))
    assert isinstance(fault, APIStatusError)
    assert fault.status_code == 200


def test_a_page_is_a_stream_without_events(connect: Any) -> None:
    page = b"<h1>Welcome to the proxy</h1>"
    with loopback(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\n\r\n" % len(page) + page
    ) as server:
        assert sent(connect(server.base_url)) == ([], None)


def test_a_byte_order_mark_costs_an_event(connect: Any) -> None:
    first, *rest = entries(recorded())
    marked = [Entry(first.number, b"\xef\xbb\xbf" + first.text), *rest]
    with loopback(whole_answer(marked)) as server:
        assert len(sent(connect(server.base_url))[0]) == EVENTS - 1


def test_an_unknown_event_is_called_a_system_message(connect: Any) -> None:
    event = b'data: {"message_type":"hologram","id":"x"}\n\ndata: [DONE]\n\n'
    with loopback(HEAD + b"%x\r\n%s\r\n" % (len(event), event) + END) as server:
        (found,) = sent(connect(server.base_url))[0]
    assert type(found).__name__ == "SystemMessage"


# Sends.


def ask(client: Any, server: EmbeddedServer, **more: Any) -> None:
    drain(client.conversations.messages.create(server.conversation_id, messages=SAID, **more))


@pytest.mark.parametrize("fault", [LOST, Fault(late=0.3, response=0)], ids=["lost", "overtaken"])
@pytest.mark.parametrize("background", [True, False], ids=["background", "foreground"])
def test_a_lost_answer_is_two_messages(connect: Any, server: EmbeddedServer, fault: Fault, background: bool) -> None:
    with proxied(server.base_url) as proxy:
        proxy.plan.append(fault)
        ask(connect(proxy.base_url), server, background=background, stream_tokens=True)
        proxy.settle()
    assert listed(server) == (2, 2)


def test_a_refused_send_is_sent_again(connect: Any, replay: Replay) -> None:
    replay.plan.append(refusal(503, {"detail": "not now"}))
    assert sent(connect(replay.base_url), background=False)[1] is None
    assert len(replay.requests) == 2


def test_a_server_that_is_not_there_is_looked_for_three_times(connect: Any) -> None:
    from letta_client import APIConnectionError

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    _, fault = sent(connect(address))
    assert isinstance(fault, APIConnectionError)


def test_its_own_lock_makes_it_send_a_third_time(connect: Any, replay: Replay) -> None:
    replay.plan.extend([0, busy(None)])
    assert sent(connect(replay.base_url))[1] is None
    assert len(replay.requests) == 3
    assert len(replay.sends) == 2


@pytest.mark.parametrize("reason", ["busy", "approval"])
def test_a_conflict_is_repeated_blindly(connect: Any, replay: Replay, reason: str) -> None:
    from letta_client import ConflictError

    waiting = {"detail": {"code": "PENDING_APPROVAL", "message": "waiting for approval"}}
    replay.plan.extend([busy("run-of-another") if reason == "busy" else refusal(409, waiting)] * 3)
    _, fault = sent(connect(replay.base_url))
    assert type(fault) is ConflictError
    assert not hasattr(fault, "run_id")
    assert len(replay.requests) == 3


def test_a_long_retry_after_is_ignored(connect: Any, replay: Replay) -> None:
    replay.plan.append(refusal(429, {"detail": "slowly"}, retry_after="61"))
    since = time.monotonic()
    assert sent(connect(replay.base_url))[1] is None
    assert time.monotonic() - since < 30
    assert len(replay.requests) == 2


def test_a_short_retry_after_is_waited_for(connect: Any, replay: Replay) -> None:
    replay.plan.append(refusal(429, {"detail": "slowly"}, retry_after_ms="1500"))
    since = time.monotonic()
    assert sent(connect(replay.base_url))[1] is None
    assert time.monotonic() - since > 1.4  # its own delay is a second at most


def test_a_redirect_loses_the_message(connect: Any) -> None:
    moved = b"HTTP/1.1 301 Moved Permanently\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
    with loopback(moved, EMPTY_LIST) as server:
        sent(connect(server.base_url))
    assert [request.split()[0] for request in server.requests] == [b"POST", b"GET"]


def test_an_answer_at_once_is_an_empty_stream(connect: Any, server: EmbeddedServer) -> None:
    client = connect(server.base_url)
    stream = client.conversations.messages.create(server.conversation_id, messages=SAID, streaming=False)
    assert drain(stream) == ([], None)
    assert listed(server) == (1, 1)

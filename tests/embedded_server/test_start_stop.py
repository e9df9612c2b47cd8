"""Starting and stopping the embedded server, from wherever, in bounded time."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest

from letta_ext.testing import EmbeddedServer, SpecificationError, Stall, Turn

from .conftest import TLS, ServerClient


def answers(url: str) -> bool:
    """Tell whether a server answers at an address."""
    try:
        return httpx.get(f"{url}/v1/health/", verify=TLS, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def test_a_port_in_use_is_refused_and_the_server_can_start_later() -> None:
    """A start that fails leaves nothing behind."""
    with EmbeddedServer() as first:
        port = int(first.base_url.rpartition(":")[2])
        second = EmbeddedServer(port=port)
        with pytest.raises(OSError, match="in use"):
            second.start()
        with pytest.raises(RuntimeError, match="is not running"):
            _ = second.base_url
        second.stop()
    with second:
        assert answers(second.base_url)


def test_starting_and_stopping_twice() -> None:
    """A second start is refused, a second stop does nothing, and a stopped server starts again."""
    server = EmbeddedServer()
    server.stop()
    for _ in range(3):
        server.start()
        with pytest.raises(RuntimeError, match="is already running"):
            server.start()
        url = server.base_url
        assert answers(url)
        server.stop()
        server.stop()
        assert not answers(url)


def test_a_run_that_was_cut_by_a_stop_does_not_block_the_conversation() -> None:
    """A server that starts again finds no conversation busy."""
    server = EmbeddedServer(delay=0.05)
    for _ in range(2):
        with server, httpx.Client(base_url=server.base_url, verify=TLS) as http:
            path = f"/v1/conversations/{server.conversation_id}/messages"
            with http.stream("POST", path, json={"input": "LONG 500", "stream_tokens": True}) as stream:
                assert stream.status_code == 200
                next(stream.iter_lines())


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("stalled", [False, True])
def test_a_block_is_left_at_once_with_streams_open(background: bool, stalled: bool) -> None:
    """Streams that are read by nobody, or that stall, do not hold up the end."""
    server = EmbeddedServer(delay=0.01)
    lines: list[socket.socket] = []
    body = b'{"input": "LONG 5000", "stream_tokens": true, "background": %s}' % str(background).lower().encode()
    with server, httpx.Client(base_url=server.base_url, verify=TLS) as http:
        if stalled:
            server.faults.add(Stall(events=1), times=None)
        host, _, port = server.base_url.removeprefix("http://").partition(":")
        for _ in range(20):
            made = http.post("/v1/conversations/", params={"agent_id": server.agent_id}) if not stalled else None
            conversation = made.json()["id"] if made else server.conversation_id
            line = socket.create_connection((host, int(port)))
            head = f"POST /v1/conversations/{conversation}/messages HTTP/1.1\r\nHost: x\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            line.sendall(head.encode() + body)
            lines.append(line)
        lines[0].recv(1) if not stalled else time.sleep(0)
        began = time.monotonic()
    assert time.monotonic() - began < 3  # a stream goes on for 50 s
    for line in lines:
        line.close()


def test_it_starts_and_stops_within_a_running_event_loop() -> None:
    """A server can be used from a coroutine, and from a thread with a loop of its own."""

    async def use() -> bool:
        with EmbeddedServer() as server:
            async with httpx.AsyncClient(base_url=server.base_url, verify=TLS) as http:
                return (await http.get("/v1/health/")).status_code == 200

    assert asyncio.run(use())
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: asyncio.run(use()), range(8)))


def test_many_threads_start_and_stop_one_server() -> None:
    """However threads race, exactly one start succeeds, and a stop ends it."""
    server = EmbeddedServer()

    def start(_: int) -> bool:
        try:
            server.start()
        except RuntimeError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(16))) == 1
        url = server.base_url
        assert answers(url)
        list(pool.map(lambda _: server.stop(), range(16)))
    assert not answers(url)
    assert not [thread for thread in threading.enumerate() if thread.name == "letta-embedded-server"]


def test_threads_read_requests_while_others_make_them(talk: ServerClient) -> None:
    """`requests`, `faults` and `script` can be used from any thread while the server runs."""
    done = threading.Event()

    def look() -> int:
        looked = 0
        while not done.is_set():
            looked += len(talk.server.requests)
            talk.server.assert_conforming()
            looked += len(talk.server.faults)
        return looked

    with ThreadPoolExecutor(4) as pool:
        looking = [pool.submit(look) for _ in range(3)]
        for _ in range(50):
            assert talk.http.get("/v1/health/").status_code == 200
        done.set()
        assert all(each.result() > 0 for each in looking)


INTERRUPTED = """
import signal, threading, time
from letta_ext.testing import EmbeddedServer

for number in range(30):
    server = EmbeddedServer()
    try:
        threading.Timer(0.0003 * number, signal.raise_signal, [signal.SIGINT]).start()
        server.start()
        time.sleep(5)
    except KeyboardInterrupt:
        pass
    server.stop()
    left = [thread.name for thread in threading.enumerate() if thread.name == "letta-embedded-server"]
    assert not left, left
print("nothing left")
"""


def test_an_interrupt_while_it_starts_leaves_nothing_behind() -> None:
    """Ctrl-C during the start stops the thread."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "nothing left\n", done.stderr


def test_a_function_of_the_script_may_stop_the_server() -> None:
    """A stop in the thread of the server does not wait for itself."""
    server = EmbeddedServer().start()

    def stop(_: str) -> str:
        server.stop()
        return "stopped"

    server.script.otherwise = stop
    url = server.base_url
    with suppress(httpx.TransportError):  # the response may be cut
        httpx.post(f"{url}/v1/conversations/{server.conversation_id}/messages", json={"input": "x"}, verify=TLS)
    server.stop()
    deadline = time.monotonic() + 5
    while answers(url) and time.monotonic() < deadline:
        pass
    assert not answers(url)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "answer",
    [lambda _: 1 / 0, lambda _: None, lambda said: Turn(text=said.count), lambda _: "\ud800"],
    ids=["raises", "none", "wrong", "text"],
)
def test_a_function_of_the_script_that_fails_is_reported(answer: Any, streaming: bool) -> None:
    """The run fails, the conversation goes on, and the exception is reported at the end."""
    server = EmbeddedServer()
    server.start()
    with httpx.Client(base_url=server.base_url, verify=TLS, timeout=5) as http:
        talk = ServerClient(server, http)
        server.script.otherwise = answer
        failed = talk.send("hello", streaming=streaming)
        assert failed.status_code == (200 if streaming else 500)
        assert not streaming or '"error_message"' in failed.text
        server.script.otherwise = "fine"
        assert talk.answer("hello")["messages"][-1]["content"] == "fine"
    server.stop()
    with pytest.raises(SpecificationError, match="a script function raised"):
        server.assert_conforming()


def in_child(server: EmbeddedServer, result: Any) -> None:
    url = server.base_url
    alive = answers(url)
    began = time.monotonic()
    server.stop()
    with pytest.raises(RuntimeError, match="is not running"), server.down():
        pass
    with server:
        own = answers(server.base_url) and server.base_url != url
    result.put((alive, own, time.monotonic() - began < 5))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_process_that_is_forked_stops_its_copy_only() -> None:
    """A child's stop neither waits for a thread that it does not have nor ends the server of its parent."""
    forking = multiprocessing.get_context("fork")
    result = forking.Queue()
    with EmbeddedServer() as server:
        child = forking.Process(target=in_child, args=(server, result))
        child.start()
        assert result.get(timeout=20) == (True, True, True)
        child.join(10)
        assert answers(server.base_url)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_that_lives_on_does_not_keep_the_port_open() -> None:
    """Connections are refused once the server has stopped, also while a forked child holds its sockets."""
    with EmbeddedServer() as server:
        url = server.base_url
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        try:
            with server.down(), pytest.raises(httpx.ConnectError):
                httpx.get(url, verify=TLS, timeout=2)
            assert answers(url)
            server.stop()
            with pytest.raises(httpx.ConnectError):
                httpx.get(url, verify=TLS, timeout=2)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"host": ""}, ValueError, "host must be an address or a name"),
        ({"host": None}, TypeError, "host must be a str, got None"),
        ({"host": "a b"}, ValueError, "host must be an address or a name"),
        ({"port": -1}, ValueError, "port must be between 0 and 65535, got -1"),
        ({"port": 2**40}, ValueError, "port must be between 0 and 65535"),
        ({"port": "80"}, TypeError, "port must be an int, got '80'"),
        ({"port": True}, TypeError, "port must be an int, got True"),
        ({"delay": -1}, ValueError, "delay must be a finite number of seconds and not negative, got -1"),
        ({"delay": float("nan")}, ValueError, "delay must be a finite number of seconds"),
        ({"delay": 10**400}, ValueError, "delay must be a finite number of seconds"),
        ({"delay": "1"}, TypeError, "delay must be a number of seconds, got '1'"),
        ({"check": "no"}, TypeError, "check must be True or False, got 'no'"),
        ({"check_faults": 1}, TypeError, "check_faults must be True or False, got 1"),
        ({"scenario": 7}, TypeError, "scenario must be a name, a path or a Scenario, got 7"),
        ({"scenario": None}, TypeError, "scenario must be a name, a path or a Scenario, got None"),
        ({"scenario": b"docs"}, TypeError, "scenario must be a name, a path or a Scenario"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """A wrong argument is refused when the server is made."""
    with pytest.raises(error, match=message):
        EmbeddedServer(**arguments)

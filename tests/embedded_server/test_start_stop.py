"""Starting and stopping the embedded server in bounded time, from threads, event loops and forked processes."""

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


def is_responding(url: str) -> bool:
    """Return whether a server responds at a URL."""
    try:
        return httpx.get(f"{url}/v1/health/", verify=TLS, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def test_start_on_used_port_fails_and_can_be_repeated() -> None:
    """A failed start releases everything, and the server can start later."""
    with EmbeddedServer() as first:
        port = int(first.base_url.rpartition(":")[2])
        second = EmbeddedServer(port=port)
        with pytest.raises(OSError, match="in use"):
            second.start()
        with pytest.raises(RuntimeError, match="is not running"):
            _ = second.base_url
        second.stop()
    with second:
        assert is_responding(second.base_url)


def test_second_start_raises_and_second_stop_has_no_effect() -> None:
    """A second start raises, a second stop has no effect, and a stopped server starts again."""
    server = EmbeddedServer()
    server.stop()
    for _ in range(3):
        server.start()
        with pytest.raises(RuntimeError, match="is already running"):
            server.start()
        url = server.base_url
        assert is_responding(url)
        server.stop()
        server.stop()
        assert not is_responding(url)


def test_restart_releases_locks() -> None:
    """After a restart no conversation is busy."""
    server = EmbeddedServer(delay=0.05)
    for _ in range(2):
        with server, httpx.Client(base_url=server.base_url, verify=TLS) as http:
            path = f"/v1/conversations/{server.conversation_id}/messages"
            with http.stream("POST", path, json={"input": "LONG 500", "stream_tokens": True}) as stream:
                assert stream.status_code == 200
                next(stream.iter_lines())


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("stalled", [False, True])
def test_stop_with_open_streams_is_immediate(background: bool, stalled: bool) -> None:
    """Unread and stalled streams do not delay the stop."""
    server = EmbeddedServer(delay=0.01)
    connections: list[socket.socket] = []
    body = b'{"input": "LONG 5000", "stream_tokens": true, "background": %s}' % str(background).lower().encode()
    with server, httpx.Client(base_url=server.base_url, verify=TLS) as http:
        if stalled:
            server.faults.add(Stall(events=1), times=None)
        host, _, port = server.base_url.removeprefix("http://").partition(":")
        for _ in range(20):
            made = http.post("/v1/conversations/", params={"agent_id": server.agent_id}) if not stalled else None
            conversation = made.json()["id"] if made else server.conversation_id
            connection = socket.create_connection((host, int(port)))
            head = f"POST /v1/conversations/{conversation}/messages HTTP/1.1\r\nHost: x\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            connections.append(connection)
        connections[0].recv(1) if not stalled else time.sleep(0)
        began = time.monotonic()
    assert time.monotonic() - began < 3  # the stream would last 50 s
    for connection in connections:
        connection.close()


def test_server_works_in_running_event_loop() -> None:
    """A server can be used in a coroutine, and in threads with event loops."""

    async def use() -> bool:
        with EmbeddedServer() as server:
            async with httpx.AsyncClient(base_url=server.base_url, verify=TLS) as http:
                return (await http.get("/v1/health/")).status_code == 200

    assert asyncio.run(use())
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: asyncio.run(use()), range(8)))


def test_concurrent_starts_succeed_once() -> None:
    """Of concurrent starts exactly one succeeds, and a stop ends the server."""
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
        assert is_responding(url)
        list(pool.map(lambda _: server.stop(), range(16)))
    assert not is_responding(url)
    assert not [thread for thread in threading.enumerate() if thread.name == "letta-embedded-server"]


def test_requests_are_readable_from_threads(api: ServerClient) -> None:
    """`requests`, `faults` and `script` are thread-safe while the server runs."""
    done = threading.Event()

    def read_all() -> int:
        reads = 0
        while not done.is_set():
            reads += len(api.server.requests)
            api.server.assert_conforming()
            reads += len(api.server.faults)
        return reads

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read_all) for _ in range(3)]
        for _ in range(50):
            assert api.http.get("/v1/health/").status_code == 200
        done.set()
        assert all(each.result() > 0 for each in readers)


INTERRUPTED = """
import signal, threading, time
from letta_ext.testing import EmbeddedServer

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore SIGINT
for number in range(30):
    server = EmbeddedServer()
    try:
        threading.Timer(0.0003 * number, signal.raise_signal, [signal.SIGINT]).start()
        server.start()
        time.sleep(5)
    except KeyboardInterrupt:
        pass
    server.stop()
    left = [thread for thread in threading.enumerate() if thread.name == "letta-embedded-server"]
    # A start of a thread that is interrupted too early leaves an entry without a thread.
    assert not any(thread.is_alive() for thread in left), left
print("nothing left")
"""


def test_interrupted_start_ends_thread() -> None:
    """An interrupt during the start ends the thread."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "nothing left\n", done.stderr


def test_script_function_can_stop_server() -> None:
    """A stop in the server's own thread does not wait for itself."""
    server = EmbeddedServer().start()

    def stop(_: str) -> str:
        server.stop()
        return "stopped"

    server.script.otherwise = stop
    url = server.base_url
    with suppress(httpx.TransportError):  # the stop may cut the response
        httpx.post(f"{url}/v1/conversations/{server.conversation_id}/messages", json={"input": "x"}, verify=TLS)
    server.stop()
    deadline = time.monotonic() + 5
    while is_responding(url) and time.monotonic() < deadline:
        pass
    assert not is_responding(url)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "response",
    [lambda _: 1 / 0, lambda _: None, lambda message: Turn(text=message.count), lambda _: "\ud800"],
    ids=["raises", "none", "wrong", "text"],
)
def test_failing_script_function_is_reported(response: Any, streaming: bool) -> None:
    """An exception of a script function fails the run and is reported at the end."""
    server = EmbeddedServer()
    server.start()
    with httpx.Client(base_url=server.base_url, verify=TLS, timeout=5) as http:
        api = ServerClient(server, http)
        server.script.otherwise = response
        failed = api.send("hello", streaming=streaming)
        assert failed.status_code == (200 if streaming else 500)
        assert not streaming or '"error_message"' in failed.text
        server.script.otherwise = "fine"
        assert api.send_json("hello")["messages"][-1]["content"] == "fine"
    server.stop()
    with pytest.raises(SpecificationError, match="a script function raised"):
        server.assert_conforming()


def in_child(server: EmbeddedServer, result: Any) -> None:
    url = server.base_url
    alive = is_responding(url)
    began = time.monotonic()
    server.stop()
    with pytest.raises(RuntimeError, match="is not running"), server.down():
        pass
    with server:
        own = is_responding(server.base_url) and server.base_url != url
    result.put((alive, own, time.monotonic() - began < 5))


@pytest.mark.skipif(sys.platform == "win32", reason="requires fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forked_child_stops_only_its_copy() -> None:
    """A stop in a forked child neither blocks nor stops the server of the parent."""
    forking = multiprocessing.get_context("fork")
    result = forking.Queue()
    with EmbeddedServer() as server:
        child = forking.Process(target=in_child, args=(server, result))
        child.start()
        assert result.get(timeout=20) == (True, True, True)
        child.join(10)
        assert is_responding(server.base_url)


@pytest.mark.skipif(sys.platform == "win32", reason="requires fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forked_child_does_not_keep_port_open() -> None:
    """A stopped server rejects connections while a forked child still holds its sockets."""
    with EmbeddedServer() as server:
        url = server.base_url
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        try:
            with server.down(), pytest.raises(httpx.ConnectError):
                httpx.get(url, verify=TLS, timeout=2)
            assert is_responding(url)
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
def test_invalid_argument_is_rejected(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    """An invalid argument raises in the constructor."""
    with pytest.raises(error, match=message):
        EmbeddedServer(**arguments)

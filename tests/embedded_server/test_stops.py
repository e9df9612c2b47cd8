"""A stop closes everything, in every state of the connections and from every caller."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Final

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from letta_ext.testing import Cut, EmbeddedServer, LostRequest, LostResponse, Slow, Stall

from .conftest import SAMPLED, TLS

EXAMPLES: Final = 1_000 if os.environ.get("LETTA_STRESS") == "full" else 20
BOUND: Final = 3.0  # [s] the longest stream would last 50
RESET: Final = struct.pack("ii", 1, 0)


class Client:
    """A raw connection to a server."""

    def __init__(self, server: EmbeddedServer, conversation: str) -> None:
        host, _, port = server.base_url.removeprefix("http://").partition(":")
        self.connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.connection.setblocking(False)
        self.connection.connect_ex((host, int(port)))
        self.path = f"/v1/conversations/{conversation}/messages"

    def request(self, text: str, *, size: int | None = None, times: int = 1, **body: bool) -> None:
        """Send a request for a response, or the first bytes of one."""
        fields = "".join(f', "{name}": {str(value).lower()}' for name, value in body.items())
        content = f'{{"input": "{text}"{fields}}}'
        head = f"POST {self.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(content)}\r\n\r\n{content}".encode() * times
        self.connection.sendall(request[:size])

    def get(self, times: int = 1) -> None:
        self.connection.sendall(b"GET /v1/health/ HTTP/1.1\r\nHost: x\r\n\r\n" * times)

    def is_ended(self) -> bool:
        """Return whether the connection ends."""
        try:
            while self.connection.recv(2**20):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True


def long(client: Client, **body: bool) -> None:
    client.request("LONG 5000", stream_tokens=True, **body)


def read(client: Client) -> None:
    client.connection.recv(1)


def idle(client: Client) -> None:
    client.get()
    read(client)


STATES: Final[dict[str, list[Callable[[Client], object]]]] = {
    "connecting": [],
    "half a line": [lambda client: client.request("x", size=20)],
    "half a head": [lambda client: client.request("x", size=100)],
    "half a body": [lambda client: client.request("x" * 500, size=400)],
    "asked": [long],
    "asked in the background": [lambda client: long(client, background=True)],
    "asked for JSON": [lambda client: client.request("LONG 5000", streaming=False)],
    "in the middle": [long, read],
    "in the middle, in the background": [lambda client: long(client, background=True), read],
    "pipelined": [lambda client: client.request("LONG 5000", stream_tokens=True, times=5)],
    "keepalive": [idle],
    "keepalive, many": [lambda client: client.get(50)],
    "half-closed": [lambda client: client.connection.shutdown(socket.SHUT_WR)],
    "asked, half-closed": [long, lambda client: client.connection.shutdown(socket.SHUT_WR)],
    "keepalive, half-closed": [idle, lambda client: client.connection.shutdown(socket.SHUT_WR)],
    "not HTTP": [lambda client: client.connection.sendall(b"\x00" * 5_000)],
    "closed": [lambda client: client.connection.close()],
    "asked, closed": [long, lambda client: client.connection.close()],
    "in the middle, closed": [long, read, lambda client: client.connection.close()],
    "reset": [
        lambda client: client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET),
        lambda client: client.connection.close(),
    ],
}

FAULTS: Final = [
    None,
    Stall(events=1),
    Stall(bytes=10),
    Slow(size=5, pause=0.05),
    LostResponse(),
    LostRequest(),
    Cut(events=3),
    Cut(events=2, how="reset"),
]


class LeftError(Exception):
    """Raised to leave a block."""


def by_block(server: EmbeddedServer, use: Callable[[], None]) -> None:
    with server:
        use()


def by_exception(server: EmbeddedServer, use: Callable[[], None]) -> None:
    with suppress(LeftError), server:
        use()
        raise LeftError


def in_coroutine(server: EmbeddedServer, use: Callable[[], None]) -> None:
    async def run() -> None:
        with server:
            use()

    asyncio.run(run())


def by_threads(server: EmbeddedServer, use: Callable[[], None]) -> None:
    server.start()
    use()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: server.stop(), range(4)))


def by_its_own_thread(server: EmbeddedServer, use: Callable[[], None]) -> None:
    server.start()
    use()
    [thread] = [each for each in threading.enumerate() if each.name == "letta-embedded-server"]

    def stop(_: str) -> str:
        server.stop()
        return "stopped"

    server.script.when("stop", stop)
    url = f"{server.base_url}/v1/conversations/default/messages"
    with suppress(httpx.TransportError):
        body = {"input": "stop", "agent_id": server.agent_id, "streaming": False}
        httpx.post(url, json=body, verify=TLS, timeout=0.2)
    server.stop()  # a fault may have affected the request
    thread.join(BOUND)


def while_down(server: EmbeddedServer, use: Callable[[], None]) -> None:
    with server:
        use()
        with server.down():
            server.stop()


def after_down(server: EmbeddedServer, use: Callable[[], None]) -> None:
    with server:
        use()
        with server.down():
            pass
        use()


WAYS: Final = [by_block, by_exception, in_coroutine, by_threads, by_its_own_thread, while_down, after_down]


class Logged(logging.Handler):
    """Collects log messages."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def no_leaks() -> Iterator[None]:
    """Fail if the block leaves a descriptor open, or a thread, or if asyncio or the garbage collector complains."""
    gc.collect()
    logged = Logged(logging.ERROR)
    logging.getLogger("asyncio").addHandler(logged)
    before = descriptors()
    unraisable: list[Any] = []
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    gc.disable()  # leaked objects must stay open until they are counted
    try:
        yield
        assert descriptors() == before
        assert not [thread for thread in threading.enumerate() if thread.name == "letta-embedded-server"]
        gc.collect()
        assert [str(each.exc_value) for each in unraisable] == []
        assert [record.getMessage() for record in logged.records] == []
    finally:
        logging.getLogger("asyncio").removeHandler(logged)
        gc.enable()
        sys.unraisablehook = hook


def descriptors() -> set[str]:
    """Return the open descriptors with their files or sockets."""
    found = set[str]()
    for descriptor in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        with suppress(OSError):  # the descriptor of the listing itself
            found.add(f"{descriptor} {os.readlink(f'/proc/self/fd/{descriptor}')}")
    return found


@SAMPLED
@settings(max_examples=EXAMPLES, deadline=None)
@given(
    way=st.sampled_from(WAYS),
    states=st.lists(st.sampled_from(sorted(STATES)), max_size=8),
    fault=st.sampled_from(FAULTS),
    delay=st.sampled_from([0.0, 0.01]),
    pause=st.sampled_from([0.0, 0.0, 0.001, 0.01]),
)
def test_stop_closes_everything(way: Any, states: list[str], fault: Any, delay: float, pause: float) -> None:
    """No socket, transport or event loop outlives the server, and every client observes the end."""
    server = EmbeddedServer(delay=delay, check=False)
    clients: list[Client] = []
    times: list[float] = []

    def use() -> None:
        server.faults.clear()
        if fault is not None:
            server.faults.add(fault, on="conversations.messages.create", times=None)
        with httpx.Client(base_url=server.base_url, verify=TLS) as http:
            made = [http.post("/v1/conversations/", params={"agent_id": server.agent_id}).json() for _ in states]
        for state, conversation in zip(states, made, strict=True):
            client = Client(server, conversation["id"])
            clients.append(client)
            for step in STATES[state]:
                client.connection.settimeout(0.05)  # a fault may withhold the end
                with suppress(OSError):  # also for a connection that a fault has reset before
                    step(client)
        time.sleep(pause)
        times.append(time.monotonic())

    with no_leaks():
        way(server, use)
        assert time.monotonic() - times[-1] < BOUND
        for client in clients:
            if client.connection.fileno() >= 0:
                client.connection.settimeout(BOUND)
                assert client.is_ended()
                client.connection.close()
        with server, httpx.Client(base_url=server.base_url, verify=TLS) as http:
            server.faults.clear()
            path = f"/v1/conversations/{server.conversation_id}/messages"
            assert http.post(path, json={"input": "hello"}).status_code == 200  # the conversation is not busy

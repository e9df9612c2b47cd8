"""A server that has run a recorded stream in the background, and whose connections break where they are told to."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Final

from attrs import frozen

RECORDINGS: Final = Path(__file__).parents[1] / "fixtures" / "recordings"
CONVERSATION: Final = "conv-123e4567-e89b-42d3-8456-426614174000"
HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ndate: Tue, 24 Nov 2026 04:00:00 GMT\r\nserver: uvicorn\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
END: Final = b"0\r\n\r\n"
PHRASES: Final = {404: "Not Found", 409: "Conflict", 410: "Gone", 429: "Too Many Requests", 503: "Service Unavailable"}


@frozen
class Entry:
    """One event of a run as the server keeps it: every event has a number, though not all carry it."""

    number: int
    text: bytes


def entries(body: bytes) -> list[Entry]:
    """The events of a recorded stream, each with the number that the server gave it."""
    blocks = [block + b"\n\n" for block in body.split(b"\n\n") if block.strip()]
    first = re.search(rb'"seq_id":(\d+)', blocks[0])
    assert first is not None
    return [Entry(number, block) for number, block in enumerate(blocks, int(first.group(1)))]


def recorded(words: dict[str, str] | None = None) -> bytes:
    """A recorded run in the background, with words replaced."""
    body = (RECORDINGS / "background_pings_stream.body").read_bytes()
    for old, new in (words or {}).items():
        body = body.replace(old.encode(), new.encode())
    return body


def whole_answer(kept: list[Entry], after: int = 0) -> bytes:
    """The whole HTTP answer, of which a cut leaves the beginning."""
    chunks = [b"%x\r\n%s\r\n" % (len(entry.text), entry.text) for entry in kept if entry.number > after]
    return HEAD + b"".join(chunks) + END


def refusal(status: int, body: Any, **headers: str) -> bytes:
    """An HTTP answer that is no success."""
    content = json.dumps(body).encode()
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    start = f"HTTP/1.1 {status} {PHRASES[status]}\r\ncontent-type: application/json\r\n{head}"
    return start.encode() + b"content-length: %d\r\n\r\n" % len(content) + content


@dataclass
class Exchange:
    """One request, as the server got it."""

    path: str
    body: dict[str, Any]

    @property
    def otids(self) -> tuple[str, ...]:
        """The otids of its messages."""
        return tuple(message.get("otid", "") for message in self.body.get("messages") or [])


Reply = bytes | int | None
"""What to do to a request instead of answering it: these bytes, or the answer up to a byte, or the answer after all."""


@dataclass
class Replay:
    """The server.

    Attributes:
        kept: the events that it still has.
        plan: what happens to the next requests; when it is used up, all are answered.
        held: whether the body stays open behind its last event, until the client leaves.
        requests: what it was asked.
        sends: the otids of every send that began a run of its own.
        connections: how many there were.
        open: how many there are.
    """

    kept: list[Entry]
    plan: deque[Reply] = field(default_factory=deque)
    held: bool = False
    requests: list[Exchange] = field(default_factory=list)
    sends: list[tuple[str, ...]] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    base_url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    left: threading.Condition = field(default_factory=threading.Condition)

    def enter(self, by: int) -> None:
        """Counts a connection in, or out."""
        with self.left:
            self.connections += max(by, 0)
            self.open += by
            self.left.notify_all()

    def wait_open(self, count: int, seconds: float) -> bool:
        """Wait until at most `count` connections are open, and return whether that happened in time."""
        self.accept_pending()
        with self.left:
            return self.left.wait_for(lambda: self.open <= count, seconds)

    def accept_pending(self) -> None:
        """Wait until the server has accepted every connection that clients have opened so far.

        Connections are accepted in order: once the server has closed one more connection, it has accepted all earlier
        ones. Without this, a connection that a client opened and closed still waits in the backlog uncounted.
        """
        host, port = self.base_url.removeprefix("http://").split(":")
        with suppress(ConnectionError), socket.create_connection((host, int(port)), 5) as last:
            last.shutdown(socket.SHUT_WR)
            last.recv(1)
            with self.left:
                self.connections -= 1

    def answer(self, exchange: Exchange) -> tuple[bytes, int | None]:
        """What to send, and behind which of its bytes to cut the connection."""
        with self.lock:
            self.requests.append(exchange)
            told = self.plan.popleft() if self.plan else None
            if isinstance(told, bytes):
                return told, None
            if exchange.path.endswith("/messages"):
                # A send without otids is like no other.
                named = bool(exchange.otids) and all(exchange.otids)
                known = named and exchange.otids in self.sends and exchange.body.get("background")
                if not known:
                    self.sends.append(exchange.otids)
                return whole_answer(self.kept), told
            otid, after = exchange.body.get("otid"), exchange.body.get("starting_after") or 0
            if otid is not None and not any(otid in send for send in self.sends):
                return refusal(404, {"detail": f"No run found for otid={otid}."}), told
            return whole_answer(self.kept, after), told


@contextmanager
def replaying(body: bytes, *, keep: Callable[[Entry], bool] = lambda _: True) -> Iterator[Replay]:
    """A server on loopback that has run this body, or what it keeps of it."""
    replay = Replay([entry for entry in entries(body) if keep(entry)])

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):  # the client has left
                while (exchange := _read(self.rfile)) is not None:
                    answer, cut = replay.answer(exchange)
                    if replay.held:
                        self.request.sendall(answer.removesuffix(END))
                        self.rfile.read()
                        return
                    self.request.sendall(answer if cut is None else answer[:cut])
                    if cut is not None:
                        return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 128

        def process_request(self, request: Any, client_address: Any) -> None:
            replay.enter(1)
            super().process_request(request, client_address)

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            super().process_request_thread(request, client_address)  # closes the socket too, which is one of ours
            replay.enter(-1)

    with Server(("127.0.0.1", 0), Handler) as server:
        replay.base_url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield replay
        server.shutdown()


def _read(incoming: BufferedIOBase) -> Exchange | None:
    lines: list[bytes] = []
    while (line := incoming.readline()) not in (b"\r\n", b""):
        lines.append(line)
    if not lines:
        return None
    head = b"".join(lines)
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    content = incoming.read(int(length.group(1)) if length else 0)
    return Exchange(lines[0].split()[1].decode().partition("?")[0], json.loads(content or b"{}"))

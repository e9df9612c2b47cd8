"""A server that has run a recorded background stream and breaks its connections as scripted."""

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
    """One event of a run as the server stores it. Each event has a number, though not all carry it."""

    number: int
    text: bytes


def parse_entries(body: bytes) -> list[Entry]:
    """Return the events of a recorded stream with their numbers."""
    blocks = [block + b"\n\n" for block in body.split(b"\n\n") if block.strip()]
    first = re.search(rb'"seq_id":(\d+)', blocks[0])
    assert first is not None
    return [Entry(number, block) for number, block in enumerate(blocks, int(first.group(1)))]


def recorded_body(words: dict[str, str] | None = None) -> bytes:
    """Return a recorded background run, with words replaced."""
    body = (RECORDINGS / "background_pings_stream.body").read_bytes()
    for old, new in (words or {}).items():
        body = body.replace(old.encode(), new.encode())
    return body


def full_response(entries: list[Entry], after: int = 0) -> bytes:
    """Return the complete HTTP response, which a cut truncates."""
    chunks = [b"%x\r\n%s\r\n" % (len(entry.text), entry.text) for entry in entries if entry.number > after]
    return HEAD + b"".join(chunks) + END


def error_response(status: int, body: Any, **headers: str) -> bytes:
    """Return an HTTP error response."""
    content = json.dumps(body).encode()
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    start = f"HTTP/1.1 {status} {PHRASES[status]}\r\ncontent-type: application/json\r\n{head}"
    return start.encode() + b"content-length: %d\r\n\r\n" % len(content) + content


@dataclass
class ReceivedRequest:
    """One request as the server received it."""

    path: str
    body: dict[str, Any]

    @property
    def otids(self) -> tuple[str, ...]:
        """The idempotency keys of its messages."""
        return tuple(message.get("otid", "") for message in self.body.get("messages") or [])


Reply = bytes | int | None
"""The reply to a request: these bytes, the regular response up to a byte, or the whole regular response."""


@dataclass
class ReplayServer:
    """The server.

    Attributes:
        entries: The events that it still has.
        plan: The replies to the next requests. When it is used up, the replies are regular.
        keep_open: Whether the body stays open after its last event, until the client disconnects.
        requests: The requests that it received.
        sends: The idempotency keys of each send that began a run.
        connections: The number of connections so far.
        open: The number of open connections.
    """

    entries: list[Entry]
    plan: deque[Reply] = field(default_factory=deque)
    keep_open: bool = False
    requests: list[ReceivedRequest] = field(default_factory=list)
    sends: list[tuple[str, ...]] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    base_url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    left: threading.Condition = field(default_factory=threading.Condition)

    def enter(self, by: int) -> None:
        """Count an opened or closed connection."""
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

    def respond(self, request: ReceivedRequest) -> tuple[bytes, int | None]:
        """Return the response, and the byte after which to close the connection."""
        with self.lock:
            self.requests.append(request)
            action = self.plan.popleft() if self.plan else None
            if isinstance(action, bytes):
                return action, None
            if request.path.endswith("/messages"):
                # A send without idempotency keys always begins a run.
                named = bool(request.otids) and all(request.otids)
                known = named and request.otids in self.sends and request.body.get("background")
                if not known:
                    self.sends.append(request.otids)
                return full_response(self.entries), action
            otid, after = request.body.get("otid"), request.body.get("starting_after") or 0
            if otid is not None and not any(otid in send for send in self.sends):
                return error_response(404, {"detail": f"No run found for otid={otid}."}), action
            return full_response(self.entries, after), action


@contextmanager
def replay_server(body: bytes, *, keep: Callable[[Entry], bool] = lambda _: True) -> Iterator[ReplayServer]:
    """Run a server on loopback that has run this body, or the entries that `keep` selects."""
    replay = ReplayServer([entry for entry in parse_entries(body) if keep(entry)])

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):  # the client has disconnected
                while (request := _read(self.rfile)) is not None:
                    response, cut = replay.respond(request)
                    if replay.keep_open:
                        self.request.sendall(response.removesuffix(END))
                        self.rfile.read()
                        return
                    self.request.sendall(response if cut is None else response[:cut])
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
            super().process_request_thread(request, client_address)  # also closes the socket
            replay.enter(-1)

    with Server(("127.0.0.1", 0), Handler) as server:
        replay.base_url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield replay
        server.shutdown()


def _read(incoming: BufferedIOBase) -> ReceivedRequest | None:
    lines: list[bytes] = []
    while (line := incoming.readline()) not in (b"\r\n", b""):
        lines.append(line)
    if not lines:
        return None
    head = b"".join(lines)
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    content = incoming.read(int(length.group(1)) if length else 0)
    return ReceivedRequest(lines[0].split()[1].decode().partition("?")[0], json.loads(content or b"{}"))

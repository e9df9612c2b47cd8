"""Servers in a process of their own, so that what they take is not counted: `python -m tests.bench.serving KIND`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from letta_ext.testing import DOCUMENTED_STEP, EmbeddedServer, build

from . import bodies

STEPS = 10_000
ROUNDS, TOGETHER = 10, 5
"""A stream's pieces: so many rounds of so many events. A pause follows each, so that all streams are open at once."""
PAUSE = 0.3


@contextmanager
def serving(kind: str) -> Generator[str, None, None]:
    """Run a server, `fixed` or `embedded`, and yield its base URL."""
    command = [sys.executable, "-m", "tests.bench.serving", kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("a server that says nothing")
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()  # which it takes for the end


class Fixed(asyncio.Protocol):
    """A server with minimal work: each GET gets one step, each POST one stream."""

    step = bodies.recorded("step_retrieve")
    step_response = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(step),
        step,
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    frames = bodies.frame_by_frame(bodies.stream(ROUNDS * TOGETHER))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self.received = b""
        if head.startswith(b"GET"):
            self._write(self.step_response)
        else:
            self._write(self.head)
            self.task = asyncio.get_running_loop().create_task(self._stream())

    def _write(self, data: bytes) -> None:
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.write(data)

    async def _stream(self) -> None:
        for number, frame in enumerate(self.frames):
            if number % TOGETHER == 0:
                await asyncio.sleep(PAUSE)
            self._write(b"%x\r\n%b\r\n" % (len(frame), frame))
        self._write(b"0\r\n\r\n")


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


async def _serve_fixed() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Fixed, "127.0.0.1", 0, backlog=2048)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def _serve_embedded() -> None:
    stage = build("docs")
    step = stage.state.steps[DOCUMENTED_STEP]
    for _ in range(STEPS - 1):
        added = replace(step, id=stage.state.ids.new("step"), created_at=stage.state.clock.now())
        stage.state.steps[added.id] = added
    with EmbeddedServer(stage, check=False) as server:
        print(server.base_url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1:] == ["fixed"]:
        asyncio.run(_serve_fixed())
    else:
        _serve_embedded()

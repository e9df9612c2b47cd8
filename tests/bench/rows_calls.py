"""Rows of what goes around decoding: imports, calls, walks, many streams at once, the generator."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from itertools import count, repeat
from pathlib import Path
from typing import Any, Final

import httpx

from letta_ext import AsyncLetta, Letta
from letta_ext.testing import DOCUMENTED_STEP as STEP

from . import bodies, serving
from .measuring import BARE, OURS, PUBLISHED, Row, Sampled, Work, wall
from .others import ROOT
from .rows_decoding import CONVERSATION, answering, published_client

CALLS: Final = "calls"
STARTING: Final = "starting"
LIMIT: Final = "limit"
STREAMS: Final = 1_000
PAGE: Final = 100
HEADERS: Final = {"Authorization": "Bearer key", "User-Agent": "bare"}

_servers = ExitStack()


@cache
def server(kind: str) -> str:
    """Return the base URL of a server that runs until `stop`."""
    return _servers.enter_context(serving.serving(kind))


def stop() -> None:
    """Stop the servers."""
    _servers.close()
    server.cache_clear()


def starting(code: str) -> Callable[[], float]:
    """Return a function that measures the CPU seconds of code in a new interpreter, without its startup."""
    # Without `click` httpx imports as it does where its command line is not installed, which is nearly everywhere.
    start = "import sys, time\nsys.modules['click'] = None\nt = time.process_time()"
    text = f"{start}\n{code}\nprint(time.process_time() - t)"

    def run() -> float:
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, cwd=ROOT)
        return float(done.stdout)

    return run


def importing(code: str) -> Mapping[str, Callable[[], float]]:
    """Import the package, or its client."""
    return {
        OURS: starting(code.format("letta_ext")),
        PUBLISHED: starting(code.format("letta_client")),
        BARE: starting("import httpx, attrs"),
    }


def first_decode() -> Mapping[str, Callable[[], float]]:
    """Import the package and decode the first event."""
    text = bodies.delta()
    return {
        OURS: starting(
            f"import letta_ext\nfrom letta_ext.types import stream_event_from_json\nstream_event_from_json({text!r})"
        ),
        PUBLISHED: starting(
            "import letta_client, json\nfrom letta_client._models import construct_type\n"
            "from letta_client.types.agents.letta_streaming_response import LettaStreamingResponse as T\n"
            f"construct_type(type_=T, value=json.loads({text!r}))"
        ),
        BARE: starting(f"import httpx, attrs, json; json.loads({text!r})"),
    }


def first_call() -> Mapping[str, Callable[[], float]]:
    """Import the client, make one, and make its first call, without a network."""
    made = (
        f"import httpx\nbody = {bodies.recorded('step_retrieve')!r}\n"
        "http = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=body)))\n"
    )
    given = "api_key='key', base_url='http://letta.test', http_client=http"
    return {
        OURS: starting(f"from letta_ext import Letta\n{made}Letta({given}).steps.retrieve({STEP!r})"),
        PUBLISHED: starting(f"from letta_client import Letta\n{made}Letta({given}).steps.retrieve({STEP!r})"),
        BARE: starting(f"import attrs\n{made}http.get('http://letta.test/v1/steps/{STEP}').json()"),
    }


def _bare_call(http: httpx.Client, base_url: str, ids: Iterator[str]) -> Work:
    def call() -> object:
        response = http.get(f"{base_url}/v1/steps/{next(ids)}", headers=HEADERS)
        response.raise_for_status()
        return response.json()

    return call


def mock_call() -> Mapping[str, Work]:
    """Make a small call without a network. Each call retrieves another step."""
    ids = (f"{STEP[:-12]}{number:012}" for number in count())

    def http() -> httpx.Client:
        return answering([bodies.recorded("step_retrieve")], "application/json")

    ours = Letta(api_key="key", base_url="http://letta.test", http_client=http())
    published = published_client(http())
    return {
        OURS: lambda: ours.steps.retrieve(next(ids)),
        PUBLISHED: lambda: published.steps.retrieve(next(ids)),
        BARE: _bare_call(http(), "http://letta.test", ids),
    }


def loopback_call(kind: str) -> Mapping[str, Work]:
    """Make a small call to a server on loopback."""
    url = server(kind)
    ours, published = Letta(api_key="key", base_url=url), published_client(httpx.Client(), url)
    return {
        OURS: lambda: ours.steps.retrieve(STEP),
        PUBLISHED: lambda: published.steps.retrieve(STEP),
        BARE: _bare_call(httpx.Client(), url, repeat(STEP)),
    }


def _processing(work: Work) -> Callable[[], float]:
    def run() -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    return run


def walk() -> Mapping[str, Callable[[], float]]:
    """10,000 steps, page by page, from the embedded server: what the client's process takes."""
    url = server("embedded")
    ours, published, bare = Letta(api_key="key", base_url=url), published_client(httpx.Client(), url), httpx.Client()

    def exhaust(found: Iterator[object]) -> None:
        if (number := sum(1 for _ in found)) != serving.STEPS:
            raise RuntimeError(f"{number} steps of {serving.STEPS}")

    def pages() -> Iterator[object]:
        after: dict[str, str] = {}
        while page := bare.get(f"{url}/v1/steps/", params={"limit": PAGE, **after}, headers=HEADERS).json():
            yield from page
            after = {"after": page[-1]["id"]}

    return {
        OURS: _processing(lambda: exhaust(iter(ours.steps.list(limit=PAGE)))),
        PUBLISHED: _processing(lambda: exhaust(iter(published.steps.list(limit=PAGE)))),
        BARE: _processing(lambda: exhaust(pages())),
    }


def many_streams() -> Mapping[str, Callable[[], float]]:
    """1,000 streams open at once in one process: CPU seconds an event."""
    url = server("fixed")
    limits = httpx.Limits(max_connections=STREAMS, max_keepalive_connections=100)
    events = STREAMS * serving.ROUNDS * serving.TOGETHER

    async def drain(client: Any) -> None:
        stream = await client.conversations.messages.create(CONVERSATION, input="hello", streaming=True)
        async for _ in stream:
            pass

    async def read(client: httpx.AsyncClient) -> None:
        async with client.stream("POST", f"{url}/v1/conversations/x/messages", json={}, headers=HEADERS) as response:
            async for _ in response.aiter_bytes():
                pass

    async def all_at_once(client: Any, one: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
        async with client:
            await asyncio.gather(*(one(client) for _ in range(STREAMS)))

    def side(make: Callable[[], Any], one: Callable[[Any], Coroutine[Any, Any, None]]) -> Callable[[], float]:
        taken = _processing(lambda: asyncio.run(all_at_once(make(), one)))
        return lambda: taken() / events

    def published() -> Any:
        http = httpx.AsyncClient(limits=limits, timeout=60)
        return import_module("letta_client").AsyncLetta(api_key="key", base_url=url, http_client=http)

    return {
        OURS: side(lambda: AsyncLetta(api_key="key", base_url=url), drain),
        PUBLISHED: side(published, drain),
        BARE: side(lambda: httpx.AsyncClient(limits=limits, timeout=60), read),
    }


class _Stamped(httpx.SyncByteStream):
    """A body that notes when it hands out each event."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks
        self.at = 0.0

    def __iter__(self) -> Generator[bytes, None, None]:
        for chunk in self.chunks:
            self.at = time.perf_counter()
            yield chunk


def to_hands() -> Mapping[str, Callable[[], float]]:
    """From an event's bytes to the caller's hands: the median over a stream."""
    chunks = bodies.frame_by_frame(bodies.stream(300))

    def http() -> tuple[httpx.Client, list[_Stamped]]:
        made: list[_Stamped] = []

        def respond(request: httpx.Request) -> httpx.Response:
            made[:] = [_Stamped(chunks)]
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=made[0], request=request)

        return httpx.Client(transport=httpx.MockTransport(respond)), made

    def side(make: Callable[[httpx.Client], Any]) -> Callable[[], float]:
        sending, made = http()
        client = make(sending)

        def run() -> float:
            stream = client.conversations.messages.create(CONVERSATION, input="hello", streaming=True)
            return statistics.median([time.perf_counter() - made[0].at for _ in stream])

        return run

    return {
        OURS: side(lambda http: Letta(api_key="key", base_url="http://letta.test", http_client=http)),
        PUBLISHED: side(published_client),
    }


def generator(command: str) -> Mapping[str, Callable[[], float]]:
    """Run the generator."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as directory:
            out = ["--out", str(Path(directory) / "letta_api")] if command == "generate" else []
            started = time.perf_counter()
            # `check` says by its status whether there is drift, which is not what is asked here.
            done = subprocess.run(
                [sys.executable, "-m", "codegen", command, *out], cwd=ROOT, capture_output=True, text=True, check=False
            )
            if done.returncode > 1:
                raise RuntimeError(done.stderr)
            return time.perf_counter() - started

    return {OURS: run, LIMIT: lambda: 2.0}


def rows() -> list[Row | Sampled]:
    """Return the rows."""
    small: dict[str, Any] = {"versus": BARE, "sense": "overhead"}
    return [
        Sampled(STARTING, "import the package", lambda: importing("import {}"), BARE, 1.4, "overhead", "ms", 1e3),
        Sampled(
            STARTING, "import the client", lambda: importing("from {} import Letta"), BARE, 1, "overhead", "ms", 1e3
        ),
        Sampled(STARTING, "import and the first decode", first_decode, BARE, None, "overhead", "ms", 1e3),
        Sampled(STARTING, "import and the first call", first_call, BARE, None, "overhead", "ms", 1e3),
        Row(CALLS, "one small call on MockTransport", mock_call, reach=1.15, **small),
        Row(CALLS, "one small call over loopback", lambda: loopback_call("fixed"), reach=1.05, clock=wall, **small),
        Row(
            CALLS, "one small call over loopback, embedded server", lambda: loopback_call("embedded"), reach=1.15,
            clock=wall, **small,
        ),
        Sampled(CALLS, "a walk over 10,000 steps, CPU of the client", walk, unit="ms", scale=1e3, most=3),
        Sampled(CALLS, "1,000 streams at once, CPU an event", many_streams, most=3),
        Sampled(CALLS, "from an event's bytes to the caller's hands", to_hands),
        Sampled(STARTING, "generate", lambda: generator("generate"), LIMIT, 1, "overhead", "s", 1, most=3),
        Sampled(STARTING, "check for drift", lambda: generator("check"), LIMIT, 1, "overhead", "s", 1, most=3),
    ]  # fmt: skip

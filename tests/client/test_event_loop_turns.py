"""Async streams whose events have all arrived: other tasks get their turns, and no event is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from letta_ext import AsyncLetta
from letta_ext._async.stream import AsyncStream
from letta_ext._streaming.event_iterator import EVENTS_PER_TURN
from letta_ext.types import AssistantMessage

CONVERSATION = "conv-123e4567-e89b-42d3-8456-426614174000"
COUNT = 5 * EVENTS_PER_TURN
EVENT = (
    b'data: {"id":"message-1","date":"2026-11-23T07:47:29+00:00","message_type":"assistant_message",'
    b'"run_id":"run-1","content":"%d"}\n\n'
)
END = b'data: {"message_type":"stop_reason","stop_reason":"end_turn"}\n\ndata: [DONE]\n\n'


class Body(httpx.AsyncByteStream):
    """A body whose chunks have arrived: reading one does not suspend the task."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


def one_chunk() -> list[bytes]:
    """Return a body of one chunk."""
    return [b"".join([*(EVENT % n for n in range(COUNT)), END])]


def large_chunks() -> list[bytes]:
    """Return a body of chunks with many events each, after a small one."""
    half = COUNT // 2
    return [
        EVENT % 0,
        b"".join(EVENT % n for n in range(1, half)),
        b"".join([*(EVENT % n for n in range(half, COUNT)), END]),
    ]


async def open_stream(chunks: list[bytes]) -> AsyncStream:
    """Return a stream of a body."""
    head = {"content-type": "text/event-stream"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=head, stream=Body(chunks)))
    client = AsyncLetta(api_key="key", base_url="http://letta.test", http_client=httpx.AsyncClient(transport=transport))
    return await client.conversations.messages.create(CONVERSATION, input="hello", streaming=True)


pytestmark = pytest.mark.parametrize("anyio_backend", ["asyncio"])

BODIES = [one_chunk, large_chunks]


@pytest.mark.parametrize("body", BODIES)
async def test_stream_that_has_arrived_gives_turns_to_other_tasks(
    body: Callable[[], list[bytes]], anyio_backend: str
) -> None:
    """Another task runs after each 512 events of a chunk, and every event is yielded in order."""
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    stream = await open_stream(body())
    other = asyncio.ensure_future(take_turns())
    await asyncio.sleep(0)
    events = [event async for event in stream]
    other.cancel()
    assert [event.content for event in events if isinstance(event, AssistantMessage)] == [str(n) for n in range(COUNT)]
    assert turns >= COUNT // EVENTS_PER_TURN - 2


@pytest.mark.parametrize("body", BODIES)
async def test_stream_cancelled_at_a_turn_continues(body: Callable[[], list[bytes]], anyio_backend: str) -> None:
    """An iteration that is cancelled while other tasks have their turn continues with the next event."""
    events = aiter(await open_stream(body()))
    found: list[str] = []

    async def read() -> None:
        async for event in events:
            if isinstance(event, AssistantMessage):
                found.append(str(event.content))  # noqa: PERF401  # kept after a cancellation

    cancellations = 0
    while cancellations < COUNT:
        reading = asyncio.ensure_future(read())
        await asyncio.sleep(0)
        if reading.done():
            break
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        cancellations += 1
    assert found == [str(n) for n in range(COUNT)]
    assert cancellations >= COUNT // EVENTS_PER_TURN - 2

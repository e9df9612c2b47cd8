"""Streams that are read by `next()` and `anext()`, and streams that are closed by the tools of contextlib."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from letta_ext import LettaError, RunError, StreamInterrupted
from letta_ext.testing import Cut, EmbeddedServer

from .helpers import CONVERSATION, ClientDriver, event_stream, recording, respond_with, sse

END = object()
"""The default of `next()`."""


def open_stream(driver: ClientDriver, response: Any = None) -> Any:
    """Return a stream with a recorded response or the given one."""
    client = driver.client(respond_with(response or recording("send_tokens_stream").response))
    return driver.run(client.conversations.messages.create(CONVERSATION, input="hi"))


def step(driver: ClientDriver, stream: Any, default: Any = END) -> Any:
    """Return the next event of a stream, or the default at its end."""
    return driver.run(anext(stream, default)) if driver.is_async else next(stream, default)


def steps(driver: ClientDriver, stream: Any) -> list[Any]:
    """Return the events of a stream, read one by one."""
    events: list[Any] = []
    while (event := step(driver, stream)) is not END:
        events.append(event)
    return events


@pytest.fixture
def events(driver: ClientDriver) -> list[Any]:
    """Return all events of the recorded stream."""
    return driver.items(open_stream(driver))


def test_next_yields_each_event_and_then_ends(driver: ClientDriver, events: list[Any]) -> None:
    """`next()` yields the events of a loop, and ends again and again."""
    stream = open_stream(driver)
    assert steps(driver, stream) == events
    assert step(driver, stream) is END
    assert isinstance(stream, AsyncIterator if driver.is_async else Iterator)


@pytest.mark.parametrize("taken", [1, 2, 5])
def test_loop_after_next_continues(driver: ClientDriver, events: list[Any], taken: int) -> None:
    """A loop yields the events after those that `next()` has returned, and closes the stream."""
    stream = open_stream(driver)
    assert [step(driver, stream) for _ in range(taken)] == events[:taken]
    assert driver.items(stream) == events[taken:]
    assert stream.response.is_closed
    assert step(driver, stream) is END


def test_next_within_a_loop_takes_the_next_event_of_the_loop(driver: ClientDriver, events: list[Any]) -> None:
    """`next()` in the body of a loop skips an event of the loop."""
    stream = open_stream(driver)

    async def read() -> list[tuple[Any, Any]]:
        return [(event, await anext(stream, END)) async for event in stream]

    pairs = driver.run(read()) if driver.is_async else [(event, next(stream, END)) for event in stream]
    assert [each for pair in pairs for each in pair if each is not END] == events


def test_left_loop_closes_the_stream_and_next_raises(driver: ClientDriver) -> None:
    """Leaving a loop closes the connection. The stream can neither be iterated nor stepped afterwards."""
    stream = open_stream(driver)
    step(driver, stream)
    driver.drain(stream, stop=lambda _: True)
    gc.collect()
    assert stream.response.is_closed
    for _ in range(2):
        with pytest.raises(LettaError, match="iterated only once"):
            step(driver, stream)
        with pytest.raises(LettaError, match="iterated only once"):
            driver.items(stream)


@pytest.mark.parametrize("method", ["messages", "text", "result"])
def test_methods_after_next_raise_and_the_rest_can_be_read(
    driver: ClientDriver, events: list[Any], method: str
) -> None:
    """A method that needs all events raises if `next()` has taken one, and takes none itself."""
    stream = open_stream(driver)
    assert step(driver, stream) == events[0]
    with pytest.raises(LettaError, match="iterated only once"):
        driver.run(getattr(stream, method)())
    assert driver.items(stream) == events[1:]


@pytest.mark.parametrize("method", ["messages", "text"])
def test_next_while_a_method_reads_raises(driver: ClientDriver, method: str) -> None:
    """`next()` takes no event from a method that needs all of them."""
    whole = driver.items(getattr(open_stream(driver), method)())
    stream = open_stream(driver)
    iterator = getattr(stream, method)()
    first = step(driver, iterator)
    with pytest.raises(LettaError, match="iterated only once"):
        step(driver, stream)
    assert [first, *driver.items(iterator)] == whole


def test_next_of_a_failed_stream_keeps_failing(driver: ClientDriver) -> None:
    """`next()` raises the error of a failed run each time, as a loop after it does."""
    failed = sse({"message_type": "ping"}) + sse({"message_type": "error_message", "detail": "no"}, event="error")
    stream = open_stream(driver, lambda: event_stream(failed))
    step(driver, stream)
    for _ in range(3):
        with pytest.raises(RunError):
            step(driver, stream)
    with pytest.raises(RunError):
        driver.items(stream)


def test_next_of_a_closed_stream_raises(driver: ClientDriver) -> None:
    """`next()` of a stream that was closed before its end raises StreamInterrupted."""
    chunks = [sse({"message_type": "ping"})] * 3
    stream = open_stream(driver, lambda: event_stream(chunks))
    step(driver, stream)
    driver.run(stream.close())
    for _ in range(2):
        with pytest.raises(StreamInterrupted, match="closed before its end"):
            step(driver, stream)


def test_dropped_stream_after_next_closes_its_connection(driver: ClientDriver) -> None:
    """A stream that is dropped between two events closes its connection."""
    response = recording("send_tokens_stream").response()
    stream = open_stream(driver, lambda: response)
    step(driver, stream)
    assert not response.is_closed
    del stream
    gc.collect()

    async def wait() -> None:
        for _ in range(5):  # the event loop closes an abandoned response within a few iterations
            await asyncio.sleep(0)

    driver.run(wait() if driver.is_async else None)
    assert response.is_closed


def test_response_accessed_between_events_is_closed_with_the_stream(driver: ClientDriver, events: list[Any]) -> None:
    """Access to the response between two events does not change the iteration."""
    stream = open_stream(driver)
    step(driver, stream)
    response = stream.response
    assert isinstance(response, httpx.Response)
    assert steps(driver, stream) == events[1:]
    assert response.is_closed


def test_next_resumes_a_background_stream(driver: ClientDriver) -> None:
    """`next()` resumes an interrupted background stream, with each event once."""
    with EmbeddedServer() as server:
        server.faults.add(Cut(events=3), Cut(events=2))
        client = driver.client(base_url=server.base_url)
        create = client.conversations.messages.create
        stream = driver.run(create(server.conversation_id, input="a", background=True, stream_tokens=True))
        found = steps(driver, stream)
        again = driver.run(client.conversations.messages.stream(server.conversation_id, run_id=stream.run_id))
        numbers = [number for event in found if (number := getattr(event, "seq_id", None)) is not None]
        assert numbers == sorted(set(numbers))
        kinds = [type(event).__name__ for event in found if type(event).__name__ != "LettaPing"]
        assert kinds == [type(event).__name__ for event in driver.items(again) if type(event).__name__ != "LettaPing"]


def test_contextlib_closes_streams(driver: ClientDriver) -> None:
    """`contextlib.aclosing` closes an async stream, and `contextlib.closing` a sync one."""
    stream = open_stream(driver)

    async def use() -> None:
        async with contextlib.aclosing(stream) as inside:
            await anext(inside)

    if driver.is_async:
        driver.run(use())
    else:
        with contextlib.closing(stream) as inside:
            next(inside)
    assert stream.response.is_closed

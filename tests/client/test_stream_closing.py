"""Each way to end the iteration of a stream closes its response."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from letta_ext import LettaError

from .helpers import CONVERSATION, Body, ClientDriver, ResponseQueue, sse
from .test_streams import DONE, message

LONG = [sse(message(str(number))) for number in range(10)]


def open_body(driver: ClientDriver) -> tuple[Any, Body]:
    body = Body([*LONG, DONE])
    handler = ResponseQueue([lambda: httpx.Response(200, stream=body)])
    return driver.run(driver.client(handler).conversations.messages.create(CONVERSATION, input="hi")), body


def test_exhausted_stream_closes_response(driver: ClientDriver) -> None:
    """An exhausted stream closes its response."""
    stream, body = open_body(driver)
    assert not stream.response.is_closed
    assert len(driver.items(stream)) == 10
    assert stream.response.is_closed
    assert body.closed


def test_break_closes_response(driver: ClientDriver) -> None:
    """`break` closes the response."""
    stream, body = open_body(driver)
    events, fault = driver.drain(stream, stop=lambda event: event.content == "2")
    assert (len(events), fault) == (3, None)
    assert stream.response.is_closed
    assert body.closed


def test_exception_in_loop_closes_response(driver: ClientDriver) -> None:
    """An exception in the loop closes the response."""
    stream, body = open_body(driver)
    _, fault = driver.drain(stream, stop=lambda _: 1 // 0 > 0)
    assert isinstance(fault, ZeroDivisionError)
    del fault  # its traceback references the frame of the loop
    driver.drain(open_body(driver)[0])  # the event loop closes the async response within a few iterations
    assert stream.response.is_closed
    assert body.closed


def test_close_closes_response_and_is_idempotent(driver: ClientDriver) -> None:
    """`close()` closes the response and can be called again."""
    stream, body = open_body(driver)
    for _ in range(2):
        driver.run(stream.close())
        assert stream.response.is_closed
        assert body.closed


def test_with_block_closes_response(driver: ClientDriver) -> None:
    """A `with` block closes the response."""
    stream, body = open_body(driver)

    async def within() -> None:
        async with stream as entered:
            assert entered is stream
            assert not body.closed

    if driver.is_async:
        driver.run(within())
    else:
        with stream as entered:
            assert entered is stream
            assert not body.closed
    assert stream.response.is_closed
    assert body.closed


def test_with_block_left_by_exception_closes_response(driver: ClientDriver) -> None:
    """A `with` block left by an exception closes the response."""
    stream, body = open_body(driver)

    async def within_async() -> None:
        async with stream:
            async for _ in stream:
                raise KeyError

    def within() -> Any:
        with stream:
            for _ in stream:
                raise KeyError

    with pytest.raises(KeyError):
        driver.run(within_async() if driver.is_async else within())
    assert body.closed


def test_iterating_stream_twice_raises(driver: ClientDriver) -> None:
    """A stream can be iterated only once."""
    stream, _ = open_body(driver)
    driver.items(stream)
    for _ in range(2):
        with pytest.raises(LettaError, match="can be iterated only once"):
            driver.items(stream)


def test_iterating_stream_after_break_raises(driver: ClientDriver) -> None:
    """A stream left by `break` cannot be iterated again."""
    stream, _ = open_body(driver)
    driver.drain(stream, stop=lambda _: True)
    with pytest.raises(LettaError, match="can be iterated only once"):
        driver.items(stream)

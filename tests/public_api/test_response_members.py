"""The members of raw responses that letta-client has: their properties, ways to read the body, and `parse(to=)`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from operator import methodcaller
from typing import Annotated, Any, Literal, TypedDict

import httpx
import letta_client
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_api.models import AssistantMessage, Step, UserMessage
from letta_api.unions import Message, UnknownMessage
from letta_ext import (
    APIConnectionError,
    APIResponseValidationError,
    AsyncPage,
    AsyncStream,
    LettaError,
    RetryPolicy,
    Stream,
    SyncPage,
)
from letta_ext._response.pieces import Pieces
from letta_ext.testing import EmbeddedServer, Respond

from ..client.helpers import (
    BASE_URL,
    CONVERSATION,
    STEP,
    Body,
    ClientDriver,
    make_response,
    recording,
    respond_with,
)
from .test_raw_responses import use_response

STEP_BODY = {"id": STEP, "model": "nö"}
TEXT = json.dumps(STEP_BODY, ensure_ascii=False)


def raw(driver: ClientDriver, response: Any = None, **settings: Any) -> Any:
    """Return a raw response of `steps.retrieve`."""
    client = driver.client(respond_with(response or make_response(200, content=TEXT.encode())), **settings)
    return driver.run(client.steps.with_raw_response.retrieve(STEP))


def streaming(driver: ClientDriver, use: Callable[[Any], Any], response: Any = None) -> Any:
    """Return the result of a function of a streaming response of `steps.retrieve`."""
    client = driver.client(respond_with(response or (lambda: httpx.Response(200, stream=Body([TEXT.encode()])))))
    return use_response(driver, client.steps.with_streaming_response.retrieve(STEP), use)


PROPERTIES = ["status_code", "url", "method", "http_version", "is_closed", "retries_taken", "headers", "elapsed"]


@pytest.mark.parametrize("way", ["raw", "streaming", "raw stream", "streaming stream"])
def test_properties_equal_those_of_the_published_client(driver: ClientDriver, way: str) -> None:
    """A response on a socket has the properties that letta-client has, with equal values before and after reading."""

    def values(response: Any) -> dict[str, Any]:
        found = {name: getattr(response, name) for name in PROPERTIES[:6]}
        return found | {
            "type": response.headers["content-type"],
            "agent": "user-agent" in response.http_request.headers,
        }

    def use(response: Any, read: Callable[[Any], Any]) -> list[Any]:
        before = values(response)
        read(response)
        assert isinstance(response.elapsed, timedelta)
        return [before, values(response)]

    def of(client: Any, run: Callable[[Any], Any]) -> list[Any]:
        view = client.conversations.messages if "stream" in way.split()[1:] else client.steps
        kind, _, stream = way.partition(" ")
        view = view.with_raw_response if kind == "raw" else view.with_streaming_response
        call = view.create(server.conversation_id, input="hi") if stream else view.retrieve(step_id)
        if kind == "raw":
            return use(run(call), lambda response: run(response.read()))
        return found_in_block(call, run)

    def found_in_block(context: Any, run: Callable[[Any], Any]) -> list[Any]:
        response = run(context.__aenter__() if hasattr(context, "__aenter__") else context.__enter__())
        try:
            return use(response, lambda inside: run(inside.read()))
        finally:
            exit_block = context.__aexit__ if hasattr(context, "__aexit__") else context.__exit__
            run(exit_block(None, None, None))

    with EmbeddedServer() as server, letta_client.Letta(base_url=server.base_url, api_key="k") as published:
        client = driver.client(base_url=server.base_url)
        driver.run(client.conversations.messages.create(server.conversation_id, input="x", streaming=False))
        step_id = driver.items(client.steps.list())[0].id
        assert of(client, driver.run) == of(published, lambda value: value)


def test_elapsed_before_the_end_raises(driver: ClientDriver) -> None:
    """The elapsed time of a body that has not ended raises a LettaError."""

    def read(response: Any) -> Any:
        assert not response.is_closed
        with pytest.raises(LettaError, match="has not ended"):
            _ = response.elapsed
        return response.parse()

    assert streaming(driver, read).id == STEP


@pytest.mark.parametrize("method", ["iter_bytes", "iter_text", "iter_lines"])
def test_response_is_closed_after_its_last_piece(driver: ClientDriver, method: str) -> None:
    """An iterator that reaches the end of the body closes the response within its block."""

    def iterated(response: Any) -> bool:
        pieces = list(getattr(response, method)())
        return bool(pieces) and response.is_closed

    async def iterated_async(response: Any) -> bool:
        pieces = [piece async for piece in getattr(response, method)()]
        return bool(pieces) and response.is_closed

    assert streaming(driver, iterated_async if driver.is_async else iterated)


def test_retries_taken_counts_the_attempts_before_the_response(driver: ClientDriver) -> None:
    """`retries_taken` is the number of attempts that failed."""
    with EmbeddedServer() as server:
        server.faults.add(Respond(503), Respond(503))
        client = driver.client(base_url=server.base_url, retry=RetryPolicy(max_retries=3, initial_delay=0))
        assert driver.run(client.steps.with_raw_response.list()).retries_taken == 2
        assert driver.run(client.steps.with_raw_response.list()).retries_taken == 0


@pytest.mark.parametrize("kind", ["raw", "streaming"])
def test_text_and_json_read_the_body(driver: ClientDriver, kind: str) -> None:
    """`text()` and `json()` are methods that read the body, for raw and streaming responses."""
    for method, expected in (("text", TEXT), ("json", STEP_BODY), ("read", TEXT.encode())):
        found = driver.run(getattr(raw(driver), method)()) if kind == "raw" else streaming(driver, methodcaller(method))
        assert found == expected


@pytest.mark.parametrize("content", [b"", b"<html>", b"[" * 100_000])
def test_json_of_another_body_raises_validation_error(driver: ClientDriver, content: bytes) -> None:
    """`json()` of a body that is not JSON raises an error of the library."""
    response = raw(driver, make_response(200, content=content))
    with pytest.raises(APIResponseValidationError, match="does not match"):
        driver.run(response.json())


@pytest.mark.parametrize("size", [None, 1, 2, 7, 1000])
@pytest.mark.parametrize("kind", ["raw", "streaming"])
@pytest.mark.parametrize("method", ["iter_text", "iter_bytes"])
def test_body_is_iterated_in_chunks_of_a_size(driver: ClientDriver, method: str, kind: str, size: int | None) -> None:
    """The text and the bytes are yielded in chunks of `chunk_size`, also from a body that was read."""
    if kind == "raw":
        pieces = driver.items(getattr(raw(driver), method)(size))
    else:
        parts = [bytes([each]) for each in TEXT.encode()]

        def respond() -> httpx.Response:
            return httpx.Response(200, stream=Body(parts))

        pieces = streaming(driver, lambda response: getattr(response, method)(size), respond)
    empty: Any = "" if method == "iter_text" else b""
    assert empty.join(pieces) == (TEXT if method == "iter_text" else TEXT.encode())
    assert all(pieces)
    if size is not None:
        assert {len(piece) for piece in pieces[:-1]} <= {size}
        assert len(pieces[-1]) <= size


@given(st.lists(st.text(max_size=9)), st.integers(1, 12))
def test_pieces_have_the_size_and_all_of_the_text(chunks: list[str], size: int) -> None:
    """Pieces join to the chunks, and all but the last have the size."""
    pieces = Pieces(size, "")
    found = [piece for chunk in chunks for piece in pieces.add(chunk)] + pieces.flush()
    assert "".join(found) == "".join(chunks)
    assert [len(piece) for piece in found[:-1]] == [size] * (len(found) - 1) if found else not "".join(chunks)


@pytest.mark.parametrize(("size", "error"), [(0, ValueError), (-1, ValueError), ("2", TypeError), (True, TypeError)])
def test_invalid_chunk_size_raises(driver: ClientDriver, size: Any, error: type[Exception]) -> None:
    """An invalid chunk size raises when the method is called."""
    response = raw(driver)
    for method in (response.iter_text, response.iter_bytes):
        with pytest.raises(error, match="chunk_size must be"):
            method(size)


def test_lines_of_a_body_that_was_read(driver: ClientDriver) -> None:
    """`iter_lines` yields the lines of a raw response, and those of an unread stream."""
    response = raw(driver, make_response(200, content=b"one\ntwo\r\nthree"))
    assert driver.items(response.iter_lines()) == ["one", "two", "three"]
    content = recording("send_tokens_stream")
    client = driver.client(respond_with(content.response))
    stream = driver.run(client.conversations.messages.with_raw_response.create(CONVERSATION, input="hi"))
    assert driver.items(stream.iter_lines()) == content.content.decode().splitlines()


def test_interrupted_text_raises_and_keeps_failing(driver: ClientDriver) -> None:
    """The text of an interrupted body raises APIConnectionError, again for each further item."""

    def read(response: Any) -> Any:
        return response.iter_text(2)

    def respond() -> httpx.Response:
        return httpx.Response(200, stream=Body([b"abc"], httpx.ReadError("cut")))

    for _ in range(2):
        with pytest.raises(APIConnectionError, match="cut"):
            streaming(driver, read, respond)


# parse(to=).


class StepView(pydantic.BaseModel):
    id: str
    model: str | None = None


class StepDict(TypedDict):
    id: str


CONVERSIONS: list[tuple[Any, Any]] = [
    (Step, Step.from_dict(STEP_BODY)),
    (Annotated[Step, "mine"], Step.from_dict(STEP_BODY)),
    (Step | None, Step.from_dict(STEP_BODY)),
    (AssistantMessage | Step, Step.from_dict(STEP_BODY)),
    (StepView, StepView(id=STEP, model="nö")),
    (dict, STEP_BODY),
    (dict[str, Any], STEP_BODY),
    (dict[str, str], STEP_BODY),
    (StepDict, STEP_BODY),
    (object, STEP_BODY),
    (Any, STEP_BODY),
    (str, TEXT),
    (bytes, TEXT.encode()),
    (type(None), None),
]


@pytest.mark.parametrize(("to", "expected"), CONVERSIONS, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("kind", ["raw", "streaming"])
def test_parse_converts_to_the_passed_type(driver: ClientDriver, kind: str, to: Any, expected: Any) -> None:
    """`parse(to=)` returns the body in the passed type, beside the type of the method."""
    if kind == "streaming":
        assert streaming(driver, lambda response: response.parse(to=to)) == expected
        return
    response = raw(driver)
    found = driver.run(response.parse(to=to))
    assert found == expected
    assert type(found) is type(expected)
    assert driver.run(response.parse(to=to)) is found
    assert driver.run(response.parse()) == Step.from_dict(STEP_BODY)


USER = {"id": "message-1", "message_type": "user_message", "date": "2026-01-01T00:00:00+00:00", "content": "hi"}
VALUES: list[tuple[Any, Any, Any]] = [
    ([1, "a", None], list[int | str | None], [1, "a", None]),
    ([STEP_BODY], list[Step], [Step.from_dict(STEP_BODY)]),
    ({"a": {"id": STEP}}, dict[str, StepView], {"a": StepView(id=STEP)}),
    ([USER], list[Message], [UserMessage.from_dict(USER)]),
    (
        [{"message_type": "new"}],
        list[Message],
        [UnknownMessage({"message_type": "new"}, "no other member of the union matches")],
    ),
    (7, int, 7),
    (7, float, 7.0),
    (7.0, int, 7),
    (True, bool, True),
    ("a", Literal["a", "b"], "a"),
]


@pytest.mark.parametrize(("value", "to", "expected"), VALUES, ids=lambda value: str(value)[:40])
def test_parse_converts_nested_types(driver: ClientDriver, value: Any, to: Any, expected: Any) -> None:
    """Arrays, objects, unions, literals and numbers are converted item by item."""
    found = driver.run(raw(driver, make_response(200, json=value)).parse(to=to))
    assert found == expected
    assert type(found) is type(expected)


MISMATCHES: list[tuple[Any, Any]] = [
    ([], Step),
    ({}, StepView),
    ({}, list),
    ({}, list[Step]),
    ([{}], list[Step]),
    ([], dict),
    ({"a": 1}, dict[str, str]),
    (True, int),
    (1.5, int),
    ("1", int),
    ("1", float),
    (1, bool),
    ("c", Literal["a", "b"]),
    (True, Literal[1]),
    ([], Step | AssistantMessage),
]


@pytest.mark.parametrize(("value", "to"), MISMATCHES, ids=str)
def test_parse_of_another_body_raises_validation_error(driver: ClientDriver, value: Any, to: Any) -> None:
    """A body that does not match the passed type raises APIResponseValidationError."""
    response = raw(driver, make_response(200, json=value))
    with pytest.raises(APIResponseValidationError, match="cannot be converted to"):
        driver.run(response.parse(to=to))


@pytest.mark.parametrize("to", [set, set[int], complex, list[set[int]], int | set[int], 7, "Step", ClientDriver])
def test_parse_to_an_unsupported_type_raises(driver: ClientDriver, to: Any) -> None:
    """A type to which no body can be converted raises TypeError, and the body can still be parsed."""
    response = raw(driver)
    with pytest.raises(TypeError, match="to must be"):
        driver.run(response.parse(to=to))
    assert driver.run(response.parse()).id == STEP


def test_parse_to_the_http_response(driver: ClientDriver) -> None:
    """`parse(to=httpx.Response)` returns the response of httpx."""
    response = raw(driver)
    assert driver.run(response.parse(to=httpx.Response)) is response.http_response


def test_parse_of_a_page_and_a_stream_accepts_their_class(driver: ClientDriver) -> None:
    """`parse(to=)` of a page and of a stream accepts their class, with and without the type of an item."""
    page_class: Any = AsyncPage if driver.is_async else SyncPage
    stream_class: Any = AsyncStream if driver.is_async else Stream
    client = driver.client(respond_with(make_response(200, json=[STEP_BODY])))
    response = driver.run(client.steps.with_raw_response.list())
    for to in (page_class, page_class[Step]):
        assert driver.run(response.parse(to=to)).items == [Step.from_dict(STEP_BODY)]
    assert driver.run(response.parse(to=list[Step])) == [Step.from_dict(STEP_BODY)]
    client = driver.client(respond_with(recording("send_tokens_stream").response))
    stream = driver.run(client.conversations.messages.with_raw_response.create(CONVERSATION, input="hi"))
    for to in (stream_class, stream_class[Any]):
        assert driver.run(stream.parse(to=to)) is driver.run(stream.parse())
    with pytest.raises(TypeError, match=f"to must be {stream_class.__name__}"):
        driver.run(stream.parse(to=dict))
    driver.run(stream.close())
    assert stream.is_closed


def test_url_of_a_response_is_that_of_the_request(driver: ClientDriver) -> None:
    """The URL and the request are those that were sent, with the API key."""
    response = raw(driver, api_key="key-of-the-test")
    assert (response.method, str(response.url)) == ("GET", f"{BASE_URL}/v1/steps/{STEP}")
    assert response.http_request.headers["authorization"] == "Bearer key-of-the-test"

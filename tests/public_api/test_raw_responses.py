"""Raw and streaming responses: `with_raw_response` and `with_streaming_response`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import methodcaller
from typing import Any

import httpx
import pytest

from letta_api.models import CompactionResponse, LettaResponse, ProviderTrace, Step, StepMetrics
from letta_ext import (
    APIConnectionError,
    APIResponseValidationError,
    AsyncArrayPage,
    AsyncRawResponse,
    AsyncStream,
    AsyncStreamingResponse,
    LettaError,
    NotFoundError,
    RawResponse,
    Stream,
    StreamingResponse,
    SyncArrayPage,
)
from letta_ext.testing import EmbeddedServer

from ..client.helpers import (
    BASE_URL,
    CONVERSATION,
    STEP,
    Body,
    ClientDriver,
    ResponseQueue,
    make_response,
    recording,
    respond_with,
)

Call = Callable[[Any], Any]

CALLS: dict[str, tuple[str, Call, Any]] = {
    "steps.list": ("steps_list", lambda c: c.steps, "page"),
    "steps.retrieve": ("step_retrieve", lambda c: c.steps, Step),
    "steps.metrics.retrieve": ("step_metrics", lambda c: c.steps.metrics, StepMetrics),
    "steps.trace.retrieve": ("step_trace", lambda c: c.steps.trace, ProviderTrace),
    "steps.feedback.create": ("step_feedback", lambda c: c.steps.feedback, Step),
    "steps.messages.list": ("step_messages", lambda c: c.steps.messages, "page"),
    "conversations.messages.list": ("list_asc", lambda c: c.conversations.messages, "page"),
    "conversations.messages.create": ("send_tokens_stream", lambda c: c.conversations.messages, "stream"),
    "conversations.messages.stream": ("resume_by_otid_stream", lambda c: c.conversations.messages, "stream"),
    "conversations.messages.compact": ("compact", lambda c: c.conversations.messages, CompactionResponse),
}


def ids(name: str) -> tuple[str, ...]:
    return () if name == "steps.list" else (CONVERSATION if name.startswith("conv") else STEP,)


def arguments(name: str) -> dict[str, Any]:
    return {"input": "hi"} if name.endswith("messages.create") else {}


def expected(driver: ClientDriver, kind: Any) -> Any:
    kinds = {"page": (SyncArrayPage, AsyncArrayPage), "stream": (Stream, AsyncStream)}
    return kinds[kind][driver.is_async] if isinstance(kind, str) else kind


def use_response(driver: ClientDriver, context: Any, use: Callable[[Any], Any]) -> Any:
    """Return the result of a function of a streaming response: a value, an awaited value, or the yielded items."""
    if not driver.is_async:
        with context as response:
            value = use(response)
            return list(value) if hasattr(value, "__next__") and not isinstance(value, Stream) else value

    async def go() -> Any:
        async with context as response:
            value = use(response)
            return await value if inspect.isawaitable(value) else [item async for item in value]

    return driver.run(go())


@pytest.mark.parametrize("name", CALLS)
def test_raw_response_of_each_method_parses_to_its_type(driver: ClientDriver, name: str) -> None:
    """Each method has a raw response with the HTTP response and the parsed value, and sends the same request."""
    file, resource, kind = CALLS[name]
    handler = ResponseQueue([recording(file).response])
    view = resource(driver.client(handler)).with_raw_response
    response = driver.run(getattr(view, name.rpartition(".")[2])(*ids(name), **arguments(name)))
    assert type(response) is (AsyncRawResponse if driver.is_async else RawResponse)
    assert response.status_code == 200
    assert response.headers["content-type"] == response.http_response.headers["content-type"]
    value = driver.run(response.parse())
    assert isinstance(value, expected(driver, kind))
    assert driver.run(response.parse()) is value
    if kind == "stream":
        assert driver.items(value)
    else:
        assert response.content == recording(file).content
        assert driver.run(response.text()) == recording(file).content.decode()
    assert len(handler.requests) == 1
    plain = getattr(resource(driver.client(handler)), name.rpartition(".")[2])(*ids(name), **arguments(name))
    driver.run(plain) if kind != "stream" else driver.run(driver.run(plain).close())
    first, second = handler.requests
    assert (first.method, first.url, first.content, first.headers) == (
        second.method,
        second.url,
        second.content,
        second.headers,
    )


@pytest.mark.parametrize("name", CALLS)
def test_streaming_response_of_each_method_parses_and_closes(driver: ClientDriver, name: str) -> None:
    """Each method has a streaming response that is read on demand and closed by its block."""
    file, resource, kind = CALLS[name]
    body = Body([recording(file).content])
    response = httpx.Response(200, headers=recording(file).headers, stream=body)
    handler = respond_with(lambda: response)
    view = resource(driver.client(handler)).with_streaming_response
    context = getattr(view, name.rpartition(".")[2])(*ids(name), **arguments(name))
    assert handler.requests == []

    def parsed(inside: Any) -> Any:
        assert type(inside) is (AsyncStreamingResponse if driver.is_async else StreamingResponse)
        assert not inside.http_response.is_stream_consumed
        return inside.parse()

    value = use_response(driver, context, parsed)
    assert isinstance(value, expected(driver, kind))
    assert response.is_closed
    assert body.closed


@pytest.mark.parametrize("streaming", [False, True])
def test_raw_create_parses_by_streaming_argument(driver: ClientDriver, streaming: bool) -> None:
    """`create` parses to a stream or a response, depending on `streaming`."""
    handler = ResponseQueue([recording("send_tokens_stream" if streaming else "send_json").response])
    messages = driver.client(handler).conversations.messages
    response = driver.run(messages.with_raw_response.create(CONVERSATION, input="hi", streaming=streaming))
    value = driver.run(response.parse())
    assert isinstance(value, (expected(driver, "stream") if streaming else LettaResponse))
    driver.run(response.close())


def test_raw_accessor_exists_at_each_level(driver: ClientDriver) -> None:
    """The raw accessor of the client equals that of a resource."""
    client = driver.client(respond_with(make_response(200, json={"id": STEP}, headers={"x-request-id": "req-1"})))
    for view in (client.with_raw_response.steps, client.steps.with_raw_response):
        response = driver.run(view.retrieve(STEP))
        assert response.request_id == "req-1"
        assert driver.run(response.parse()).id == STEP
    response = driver.run(client.steps.with_raw_response.metrics.retrieve(STEP))
    assert driver.run(response.parse()).id == STEP
    assert repr(response) == f"{type(response).__name__}(200)"
    assert client.conversations.with_raw_response.messages.list is not None
    assert client.with_streaming_response.conversations.messages.list is not None


def test_raw_list_parses_to_page_that_iterates(driver: ClientDriver, server: EmbeddedServer) -> None:
    """The page of a raw response iterates over all items, with the filters of the call."""
    client = driver.client(base_url=server.base_url)
    messages = client.conversations.messages
    for word in ("one", "two", "three"):
        driver.run(messages.create(server.conversation_id, input=word, streaming=False))
    plain = driver.items(driver.run(messages.list(server.conversation_id, limit=2)))
    response = driver.run(messages.with_raw_response.list(server.conversation_id, limit=2))
    assert len(response.http_response.json()) >= 2
    assert driver.items(driver.run(response.parse())) == plain
    filtered = {"limit": 1, "include_return_message_types": ["system_message"]}
    response = driver.run(messages.with_raw_response.list(server.conversation_id, **filtered))
    found = [type(item).__name__ for item in driver.run(response.parse()).items]
    assert found == ["SystemMessage"]


def test_streaming_response_iterates_bytes_and_lines(driver: ClientDriver) -> None:
    """A streaming response yields the bytes or lines of the body."""
    handler = ResponseQueue([recording("send_tokens_stream").response] * 2)
    view = driver.client(handler).conversations.messages.with_streaming_response
    content = recording("send_tokens_stream").content
    for method, joined in (("iter_bytes", content), ("iter_lines", content.decode().splitlines())):
        pieces = use_response(driver, view.create(CONVERSATION, input="hi"), methodcaller(method))
        assert (b"".join(pieces) if method == "iter_bytes" else pieces) == joined


def test_raw_stream_content_raises_before_it_is_read(driver: ClientDriver) -> None:
    """The content of an unread stream raises instead of reading it."""
    handler = ResponseQueue([recording("send_tokens_stream").response])
    response = driver.run(
        driver.client(handler).conversations.messages.with_raw_response.create(CONVERSATION, input="hi")
    )
    with pytest.raises(LettaError, match="has not been read"):
        _ = response.content
    driver.run(response.close())
    assert response.http_response.is_closed


def test_raw_response_raises_errors_of_the_method(driver: ClientDriver) -> None:
    """A raw call raises the same errors as the method."""
    client = driver.client(
        respond_with(make_response(404, json={"detail": "no"}), make_response(200, json={"id": 1, "usage": 7}))
    )
    with pytest.raises(NotFoundError):
        driver.run(client.steps.with_raw_response.retrieve(STEP))
    response = driver.run(
        driver.client(respond_with(make_response(200, content=b"<html>"))).steps.with_raw_response.retrieve(STEP)
    )
    with pytest.raises(APIResponseValidationError):
        driver.run(response.parse())
    with pytest.raises(ValueError, match="step_id must be"):
        driver.run(client.steps.with_raw_response.retrieve("/"))


def test_streaming_response_interrupted_body_raises_connection_error(driver: ClientDriver) -> None:
    """An interrupted body raises APIConnectionError."""
    handler = respond_with(lambda: httpx.Response(200, stream=Body([b"{"], httpx.ReadError("cut"))))
    context = driver.client(handler).steps.with_streaming_response.retrieve(STEP)
    with pytest.raises(APIConnectionError, match=f"GET {BASE_URL}/v1/steps/{STEP} failed: cut"):
        use_response(driver, context, lambda response: response.parse())

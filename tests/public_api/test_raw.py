"""`with_raw_response` and `with_streaming_response`: the HTTP answer beside the value."""

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


def expected(side: ClientDriver, kind: Any) -> Any:
    kinds = {"page": (SyncArrayPage, AsyncArrayPage), "stream": (Stream, AsyncStream)}
    return kinds[kind][side.is_async] if isinstance(kind, str) else kind


def entered(side: ClientDriver, context: Any, use: Callable[[Any], Any]) -> Any:
    """What is made of a response inside its block: a value, what it brings when awaited, or all that it yields."""
    if not side.is_async:
        with context as response:
            value = use(response)
            return list(value) if hasattr(value, "__next__") else value

    async def go() -> Any:
        async with context as response:
            value = use(response)
            return await value if inspect.isawaitable(value) else [item async for item in value]

    return side.run(go())


@pytest.mark.parametrize("name", CALLS)
def test_every_call_has_a_raw_response(side: ClientDriver, name: str) -> None:
    file, resource, kind = CALLS[name]
    handler = ResponseQueue([recording(file).response])
    view = resource(side.client(handler)).with_raw_response
    response = side.run(getattr(view, name.rpartition(".")[2])(*ids(name), **arguments(name)))
    assert type(response) is (AsyncRawResponse if side.is_async else RawResponse)
    assert response.status_code == 200
    assert response.headers["content-type"] == response.http_response.headers["content-type"]
    value = side.run(response.parse())
    assert isinstance(value, expected(side, kind))
    assert side.run(response.parse()) is value
    if kind == "stream":
        assert side.items(value)
    else:
        assert response.content == recording(file).content
        assert response.text == recording(file).content.decode()
    assert len(handler.requests) == 1
    plain = getattr(resource(side.client(handler)), name.rpartition(".")[2])(*ids(name), **arguments(name))
    side.run(plain) if kind != "stream" else side.run(side.run(plain).close())
    first, second = handler.requests
    assert (first.method, first.url, first.content, first.headers) == (
        second.method,
        second.url,
        second.content,
        second.headers,
    )


@pytest.mark.parametrize("name", CALLS)
def test_every_call_has_a_streaming_response(side: ClientDriver, name: str) -> None:
    file, resource, kind = CALLS[name]
    body = Body([recording(file).content])
    response = httpx.Response(200, headers=recording(file).headers, stream=body)
    handler = respond_with(lambda: response)
    view = resource(side.client(handler)).with_streaming_response
    context = getattr(view, name.rpartition(".")[2])(*ids(name), **arguments(name))
    assert handler.requests == []

    def parsed(inside: Any) -> Any:
        assert type(inside) is (AsyncStreamingResponse if side.is_async else StreamingResponse)
        assert not inside.http_response.is_stream_consumed
        return inside.parse()

    value = entered(side, context, parsed)
    assert isinstance(value, expected(side, kind))
    assert response.is_closed
    assert body.closed


@pytest.mark.parametrize("streaming", [False, True])
def test_create_without_a_stream(side: ClientDriver, streaming: bool) -> None:
    handler = ResponseQueue([recording("send_tokens_stream" if streaming else "send_json").response])
    messages = side.client(handler).conversations.messages
    response = side.run(messages.with_raw_response.create(CONVERSATION, input="hi", streaming=streaming))
    value = side.run(response.parse())
    assert isinstance(value, (expected(side, "stream") if streaming else LettaResponse))
    side.run(response.close())


def test_from_the_client_down(side: ClientDriver) -> None:
    client = side.client(respond_with(make_response(200, json={"id": STEP}, headers={"x-request-id": "req-1"})))
    for view in (client.with_raw_response.steps, client.steps.with_raw_response):
        response = side.run(view.retrieve(STEP))
        assert response.request_id == "req-1"
        assert side.run(response.parse()).id == STEP
    response = side.run(client.steps.with_raw_response.metrics.retrieve(STEP))
    assert side.run(response.parse()).id == STEP
    assert repr(response) == f"{type(response).__name__}(200)"
    assert client.conversations.with_raw_response.messages.list is not None
    assert client.with_streaming_response.conversations.messages.list is not None


def test_a_page_walks_on(side: ClientDriver, server: EmbeddedServer) -> None:
    client = side.client(base_url=server.base_url)
    messages = client.conversations.messages
    for word in ("one", "two", "three"):
        side.run(messages.create(server.conversation_id, input=word, streaming=False))
    plain = side.items(side.run(messages.list(server.conversation_id, limit=2)))
    response = side.run(messages.with_raw_response.list(server.conversation_id, limit=2))
    assert len(response.http_response.json()) >= 2
    assert side.items(side.run(response.parse())) == plain
    filtered = {"limit": 1, "include_return_message_types": ["system_message"]}
    response = side.run(messages.with_raw_response.list(server.conversation_id, **filtered))
    found = [type(item).__name__ for item in side.run(response.parse()).items]
    assert found == ["SystemMessage"]


def test_bytes_as_they_come(side: ClientDriver) -> None:
    handler = ResponseQueue([recording("send_tokens_stream").response] * 2)
    view = side.client(handler).conversations.messages.with_streaming_response
    content = recording("send_tokens_stream").content
    for method, joined in (("iter_bytes", content), ("iter_lines", content.decode().splitlines())):
        pieces = entered(side, view.create(CONVERSATION, input="hi"), methodcaller(method))
        assert (b"".join(pieces) if method == "iter_bytes" else pieces) == joined


def test_a_stream_is_not_read_for_its_text(side: ClientDriver) -> None:
    handler = ResponseQueue([recording("send_tokens_stream").response])
    response = side.run(side.client(handler).conversations.messages.with_raw_response.create(CONVERSATION, input="hi"))
    with pytest.raises(LettaError, match="has not been read"):
        _ = response.text
    side.run(response.close())
    assert response.http_response.is_closed


def test_errors_are_those_of_the_call(side: ClientDriver) -> None:
    client = side.client(
        respond_with(make_response(404, json={"detail": "no"}), make_response(200, json={"id": 1, "usage": 7}))
    )
    with pytest.raises(NotFoundError):
        side.run(client.steps.with_raw_response.retrieve(STEP))
    response = side.run(
        side.client(respond_with(make_response(200, content=b"<html>"))).steps.with_raw_response.retrieve(STEP)
    )
    with pytest.raises(APIResponseValidationError):
        side.run(response.parse())
    with pytest.raises(ValueError, match="step_id must be"):
        side.run(client.steps.with_raw_response.retrieve("/"))


def test_a_body_that_breaks_off(side: ClientDriver) -> None:
    handler = respond_with(lambda: httpx.Response(200, stream=Body([b"{"], httpx.ReadError("cut"))))
    context = side.client(handler).steps.with_streaming_response.retrieve(STEP)
    with pytest.raises(APIConnectionError, match=f"GET {BASE_URL}/v1/steps/{STEP} failed: cut"):
        entered(side, context, lambda response: response.parse())

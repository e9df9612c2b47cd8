"""Rows of decoding: from the bytes of JSON, as every caller has it, to typed objects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Final

import httpx

from letta_api.api.conversations_messages import conversations_messages_list
from letta_api.models import LettaResponse, Step
from letta_api.unions import Message, StreamEvent, stream_event_from_dict, stream_event_from_json
from letta_ext import Letta

from . import bodies, others
from .measuring import FLOOR, OURS, PUBLISHED, STOCK, Row, Work

DECODING: Final = "decoding"
CONVERSATION: Final = "conv-123e4567-e89b-42d3-8456-426614174000"
BASE_URL: Final = "http://letta.test"
EVENTS: Final = 2_000


def _constructing(kind: Any) -> Callable[[bytes], Any]:
    construct = others.construct()
    return lambda text: construct(type_=kind, value=json.loads(text))


def event(text: bytes) -> Mapping[str, Work]:
    """Decode one event of a stream from its JSON text."""
    published = _constructing(others.published("agents.letta_streaming_response", "LettaStreamingResponse"))
    stock = others.stock("models.assistant_message", "AssistantMessage").from_dict
    floor = others.floor_decoder(StreamEvent)
    return {
        OURS: lambda: stream_event_from_json(text),
        PUBLISHED: lambda: published(text),
        STOCK: lambda: stock(json.loads(text)),  # the class is given: its output knows no streams
        FLOOR: lambda: floor(text),
    }


def newer_event() -> Mapping[str, Work]:
    """Decode an event with an unknown field, which uses the fallback."""
    return event(bodies.delta()[:-1] + b',"a_newer_field":null}')


def event_without_msgspec() -> Mapping[str, Work]:
    """Decode an event without msgspec: the standard library parses it."""
    text = bodies.delta()
    sides = event(text)
    return {OURS: lambda: stream_event_from_dict(json.loads(text)), PUBLISHED: sides[PUBLISHED], STOCK: sides[STOCK]}


def parsed_event() -> Mapping[str, Work]:
    """Decode an event from parsed JSON."""
    value = json.loads(bodies.delta())
    kind = others.published("agents.letta_streaming_response", "LettaStreamingResponse")
    construct, stock = others.construct(), others.stock("models.assistant_message", "AssistantMessage").from_dict
    return {
        OURS: lambda: stream_event_from_dict(value),
        PUBLISHED: lambda: construct(type_=kind, value=value),
        STOCK: lambda: stock(value),
    }


def page(text: bytes) -> Mapping[str, Work]:
    """Decode a page of a conversation."""
    published = _constructing(list[others.published("agents.message", "Message")])  # type: ignore[misc]  # at run time
    floor = others.floor_decoder(list[Message])
    parse = others.stock("api.conversations_messages.conversations_messages_list", "_parse_response")
    client = others.stock("client", "Client")(base_url="http://letta.test")
    response = httpx.Response(200, content=text)
    return {
        OURS: lambda: conversations_messages_list.read_response(text),
        PUBLISHED: lambda: published(text),
        STOCK: lambda: parse(client=client, response=response),
        FLOOR: lambda: floor(text),
    }


def step(text: bytes) -> Mapping[str, Work]:
    """Decode a step."""
    published = _constructing(others.published("step", "Step"))
    stock, floor = others.stock("models.step", "Step").from_dict, others.floor_decoder(Step)
    return {
        OURS: lambda: Step.from_json(text),
        PUBLISHED: lambda: published(text),
        STOCK: lambda: stock(json.loads(text)),
        FLOOR: lambda: floor(text),
    }


def logprobs(read: Callable[[Any], object]) -> Mapping[str, Work]:
    """A response with the log-probabilities of 20,000 tokens, of which `read` takes what it wants."""
    text = bodies.response_with_logprobs()
    published = _constructing(others.published("agents.letta_response", "LettaResponse"))
    floor = others.floor_decoder(LettaResponse)
    return {
        OURS: lambda: read(LettaResponse.from_json(text)),
        PUBLISHED: lambda: read(published(text)),
        FLOOR: lambda: read(floor(text)),
    }


def first_token(response: Any) -> object:
    """The first access."""
    return response.logprobs.content[0].token


def every_token(response: Any) -> object:
    """Every token visited."""
    for token in response.logprobs.content:
        token.logprob  # noqa: B018  (the access is what is measured)
    return response


class Body(httpx.SyncByteStream):
    """A body that comes in chunks, once, as from a network."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = iter(chunks)

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks


class AsyncBody(httpx.AsyncByteStream):
    """A body that comes in chunks, once. As from a network, other tasks have a turn before each."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            await asyncio.sleep(0)
            yield chunk


def answering(body: list[bytes], kind: str = "text/event-stream") -> httpx.Client:
    """Return an httpx client that gets this response to every request."""

    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": kind}, stream=Body(body), request=request)

    return httpx.Client(transport=httpx.MockTransport(respond))


def published_client(http: httpx.Client, base_url: str = "http://letta.test") -> Any:
    """Return a letta-client client on an httpx client."""
    from importlib import import_module

    return import_module("letta_client").Letta(api_key="key", base_url=base_url, http_client=http)


def whole_stream(chunks: list[bytes]) -> Mapping[str, Work]:
    """Make a call and read its whole stream, from bytes to typed events."""
    client = Letta(api_key="key", base_url="http://letta.test", http_client=answering(chunks))
    published = published_client(answering(chunks))
    bare = answering(chunks)
    floor = others.floor_decoder(StreamEvent)

    def split() -> None:
        buffer = b""
        with bare.stream("POST", f"http://letta.test/v1/conversations/{CONVERSATION}/messages", json={}) as response:
            for chunk in response.iter_bytes():
                *frames, buffer = (buffer + chunk).split(b"\n\n")
                for frame in frames:
                    if frame != b"data: [DONE]":
                        floor(frame[6:])

    def drain(client: Any) -> None:
        for _ in client.conversations.messages.create(CONVERSATION, input="hello", streaming=True):
            pass

    return {OURS: lambda: drain(client), PUBLISHED: lambda: drain(published), FLOOR: split}


def rows() -> list[Row]:
    """Return the rows."""
    stream = bodies.stream(EVENTS)
    messages = len(json.loads(bodies.recorded("list_asc")))
    tool = next(text for text in bodies.events("send_tool_tokens_stream") if b'"tool_call_message"' in text)
    return [
        Row(DECODING, "a stream event", lambda: event(bodies.delta()), reach=20),
        Row(DECODING, "a stream event, its JSON parsed already", parsed_event),
        Row(DECODING, "a stream event with a field of a newer server", newer_event),
        Row(DECODING, "a stream event, without msgspec", event_without_msgspec),
        Row(DECODING, "a stream event that is a piece of a tool call", lambda: tool_event(tool)),
        Row(DECODING, "a message of a list page", lambda: page(bodies.recorded("list_asc")), reach=15, each=messages),
        Row(DECODING, "a step", lambda: step(bodies.recorded("step_retrieve")), reach=25),
        Row(
            DECODING, "20,000 token logprobs, to first access", lambda: logprobs(first_token), reach=8,
            each=bodies.TOKENS, note="a token",
        ),
        Row(
            DECODING, "20,000 token logprobs, every token visited", lambda: logprobs(every_token), reach=2.5,
            each=bodies.TOKENS, note="a token",
        ),
        Row(
            DECODING, "whole stream, an event in a chunk", lambda: whole_stream(bodies.frame_by_frame(stream)),
            reach=12, each=EVENTS, note="an event",
        ),
        Row(
            DECODING, "whole stream, in chunks of 1,400 bytes", lambda: whole_stream(bodies.in_chunks(stream)),
            reach=12, each=EVENTS, note="an event",
        ),
    ]  # fmt: skip


def tool_event(text: bytes) -> Mapping[str, Work]:
    """A piece of a tool call, which leaves keys out."""
    sides = dict(event(text))
    stock = others.stock("models.tool_call_message", "ToolCallMessage").from_dict
    return {**sides, STOCK: lambda: stock(json.loads(text))}

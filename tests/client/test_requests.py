"""The library builds requests that equal those of `httpx.Client.build_request`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from letta_ext import AsyncLetta, Letta
from letta_ext.errors import APIError

CONVERSATION = "conv-123e4567-e89b-42d3-8456-426614174000"
NAMES = ["Host", "Accept", "accept", "Content-Type", "Content-Length", "Transfer-Encoding", "Cookie", "X-A", "x-a"]
headers = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["a", "b=c", "0", "7"]), max_size=3)
addresses = st.sampled_from(
    ["http://letta.test", "https://letta.test:8443/below", "http://[::1]:80", "http://b\u00fccher.test"]
)
queries = st.dictionaries(st.sampled_from(["a", "b c", "\u00fc"]), st.sampled_from(["1", "x y", "\u00fc"]), max_size=2)
bodies = st.none() | st.dictionaries(st.sampled_from(["a", "\u00fc"]), st.sampled_from([1, "\u00fc", None]), max_size=2)
methods = st.sampled_from(["get", "post", "put", "patch", "delete"])
Sent = tuple[str, httpx.URL, list[tuple[bytes, bytes]], bytes, Any]


class ByHttpx(httpx.Client):
    """A client with an overridden `build_request`, which the library therefore calls."""

    def build_request(self, *arguments: Any, **options: Any) -> httpx.Request:
        return super().build_request(*arguments, **options)


class AsyncByHttpx(httpx.AsyncClient):
    """Async version of `ByHttpx`."""

    def build_request(self, *arguments: Any, **options: Any) -> httpx.Request:
        return super().build_request(*arguments, **options)


class Recorder:
    """A transport that records requests.

    Attributes:
        sent: The parts of each request.
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.transport = httpx.MockTransport(self._respond)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        timeout = request.extensions["timeout"]
        self.sent.append((request.method, request.url, request.headers.raw, request.content, timeout))
        return httpx.Response(400, json={})


def sent_by(
    kind: type[httpx.Client], address: str, ours: Mapping[str, str], method: str, options: dict[str, Any]
) -> list[Sent]:
    """Return the requests that a client sends for two verb calls, a send and a list."""
    recorder = Recorder()
    http = kind(transport=recorder.transport, headers={"X-Http": "1"})
    with Letta(api_key="key", base_url=address, http_client=http, default_headers=ours, max_retries=0) as client:
        extra = {name: value for name, value in options.items() if name == "extra_headers"}
        for call in (
            lambda: getattr(client, method)("/v1/agents/\u00fc", **options),
            lambda: getattr(client, method)("/v1/agents/\u00fc", **options),
            lambda: client.conversations.messages.create(CONVERSATION, input="h\u00fc", **extra),
            lambda: client.steps.list(limit=3, **extra),
        ):
            with pytest.raises(APIError):
                call()
    return recorder.sent


@settings(deadline=None, max_examples=60)
@given(addresses, headers, headers, methods, queries, bodies)
@example("http://letta.test", {}, {}, "post", {}, None)
@example("http://letta.test", {}, {"content-length": "7"}, "post", {}, {"a": 1})
@example("http://letta.test", {"Host": "other.test"}, {}, "get", {"a": "1"}, None)
def test_request_equals_httpx_request(
    address: str,
    ours: dict[str, str],
    extra: dict[str, str],
    method: str,
    query: dict[str, str],
    body: dict[str, Any] | None,
) -> None:
    """Method, URL, ordered headers, content and timeout equal those of httpx."""
    options: dict[str, Any] = {"extra_headers": extra, "query": query}
    if method != "get":
        options["body"] = body
    found = sent_by(httpx.Client, address, ours, method, options)
    assert found == sent_by(ByHttpx, address, ours, method, options)
    assert len(found) == 4


def test_async_request_equals_httpx_request() -> None:
    """An async client sends the request that `build_request` of its httpx client makes."""

    async def sent_by_async(kind: type[httpx.AsyncClient]) -> list[Sent]:
        recorder = Recorder()
        http = kind(transport=recorder.transport)
        async with AsyncLetta(api_key="key", base_url="http://letta.test", http_client=http) as client:
            with pytest.raises(APIError):
                await client.conversations.messages.create(CONVERSATION, input="hi")
            with pytest.raises(APIError):
                await client.steps.retrieve("step-1")
        return recorder.sent

    found = asyncio.run(sent_by_async(httpx.AsyncClient))
    assert found == asyncio.run(sent_by_async(AsyncByHttpx))
    assert len(found) == 2


def test_headers_added_by_hook_are_not_sent_with_next_request() -> None:
    """Headers that a hook adds to one request are not sent with the next."""
    recorder = Recorder()

    def add(request: httpx.Request) -> None:
        request.headers["X-Once"] = str(len(recorder.sent))

    http = httpx.Client(transport=recorder.transport, event_hooks={"request": [add]})
    with Letta(api_key="key", base_url="http://letta.test", http_client=http) as client:
        for _ in range(2):
            with pytest.raises(APIError):
                client.steps.retrieve("step-1")
            http.event_hooks = {"request": []}
    first, second = (dict(headers) for _, _, headers, _, _ in recorder.sent)
    assert first.pop(b"X-Once") == b"0"
    assert first == second


def test_hook_can_add_header_beyond_ascii() -> None:
    """A hook can add and read a header beyond ASCII, which is sent as UTF-8."""
    recorder, seen = Recorder(), list[str]()

    def add(request: httpx.Request) -> None:
        request.headers["X-Name"] = "b\u00fccher"
        seen.append(request.headers["x-name"])

    http = httpx.Client(transport=recorder.transport, event_hooks={"request": [add]})
    with Letta(api_key="key", base_url="http://letta.test", http_client=http) as client, pytest.raises(APIError):
        client.steps.retrieve("step-1")
    assert seen == ["b\u00fccher"]
    assert (b"X-Name", "b\u00fccher".encode()) in recorder.sent[0][2]

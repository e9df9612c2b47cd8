"""Pinned types of each public call. The file never runs: strict mypy and strict pyright read it (`nox -s types`)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_type

import httpx

from letta_api.models import (
    AssistantMessage,
    CompactionResponse,
    LettaResponse,
    ProviderTrace,
    Step,
    StepMetrics,
    ToolCallMessage,
)
from letta_api.params import ClientToolParam, MessageCreateParam
from letta_ext import (
    APIConnectionError,
    APITimeoutError,
    AsyncLetta,
    AsyncPage,
    AsyncPaginator,
    AsyncRawResponse,
    AsyncResponseContext,
    AsyncStream,
    AsyncStreamingResponse,
    Checkpoint,
    Letta,
    NotFoundError,
    RawResponse,
    ResponseContext,
    RetryPolicy,
    Stream,
    StreamingResponse,
    StreamLimits,
    SyncArrayPage,
    SyncPage,
    not_given,
    omit,
)
from letta_ext._async.text_iterators import AsyncMessageIterator, AsyncTextIterator
from letta_ext._sync.pagination import PageIterator
from letta_ext._sync.resilient_iterators import FailingIterator
from letta_ext._sync.text_iterators import MessageIterator, TextIterator
from letta_ext.follow import AsyncFollow, Follow
from letta_ext.tools import AsyncToolTurn, PendingRequest, ToolResult, ToolTurn
from letta_ext.types import Message, StreamEvent, UnknownMessage, is_unknown


def known(message: Message) -> str:
    if is_unknown(message):
        assert_type(message, UnknownMessage)
        return message.reason
    return message.id


def make() -> Letta:
    client = Letta(
        api_key="key",
        project="slug",
        project_id="id",
        base_url=httpx.URL("https://letta.example"),
        timeout=httpx.Timeout(60.0, connect=5.0),
        max_retries=3,
        default_headers={"X-Team": "red"},
        default_query={"x": 1},
        http_client=httpx.Client(),
    )
    assert_type(client.base_url, str)
    assert_type(client.api_key, str | None)
    client.base_url = "https://letta.example"
    client.api_key = client.project = None
    client.timeout, client.max_retries = 30, 1
    client.copy(set_default_headers={"X-Team": omit}, set_default_query={})
    client.steps.list(extra_headers={"Authorization": omit}, max_items=5)
    assert_type(client.is_closed(), bool)
    assert_type(client.close(), None)
    with Letta(environment="local", timeout=None) as entered:
        assert_type(entered, Letta)
    assert_type(client.copy(timeout=7), Letta)
    return assert_type(client.with_options(max_retries=0, timeout=7, http_client=httpx.Client()), Letta)


async def make_async() -> AsyncLetta:
    client = AsyncLetta(environment="cloud", timeout=7.5, http_client=httpx.AsyncClient())
    assert_type(client.base_url, str)
    assert_type(client.is_closed(), bool)
    assert_type(await client.close(), None)
    async with AsyncLetta() as entered:
        assert_type(entered, AsyncLetta)
    return assert_type(client.with_options(max_retries=0, timeout=None, http_client=httpx.AsyncClient()), AsyncLetta)


def steps(client: Letta, step_id: str) -> None:
    assert_type(client.steps.list(), SyncPage[Step])
    assert_type(client.steps.list(agent_id="a", tags=("x",), order="asc", limit=3, prefetch=True), SyncPage[Step])
    assert_type(client.steps.list(agent_id=omit, order=omit, limit=not_given), SyncPage[Step])
    assert_type(client.steps.list()[0], Step)
    assert_type(client.steps.list()[:2], list[Step])
    assert_type(client.steps.retrieve(step_id, timeout=5, extra_headers={"X": "1"}), Step)
    assert_type(client.steps.metrics.retrieve(step_id), StepMetrics)
    assert_type(client.steps.trace.retrieve(step_id), ProviderTrace | None)
    assert_type(client.steps.feedback.create(step_id, feedback="positive", tags=["x"]), Step)
    assert_type(client.steps.feedback.create(step_id), Step)
    assert_type(client.steps.messages.list(step_id, before="message-1"), SyncPage[Message])


async def steps_async(client: AsyncLetta, step_id: str) -> None:
    assert_type(client.steps.list(), AsyncPaginator[Step])
    assert_type(await client.steps.list(agent_id="a", tags=("x",), order="asc", limit=3), AsyncPage[Step])
    assert_type(await client.steps.retrieve(step_id, timeout=5, extra_headers={"X": "1"}), Step)
    assert_type(await client.steps.metrics.retrieve(step_id), StepMetrics)
    assert_type(await client.steps.trace.retrieve(step_id), ProviderTrace | None)
    assert_type(await client.steps.feedback.create(step_id, feedback=None), Step)
    assert_type(client.steps.messages.list(step_id, before="message-1"), AsyncPaginator[Message])


def conversations(client: Letta, id: str, flag: bool) -> None:
    messages = client.conversations.messages
    assert_type(messages.list(id), SyncPage[Message])
    assert_type(messages.list(id, include_return_message_types=["user_message"], order="desc"), SyncPage[Message])
    # `create`, by what is said of streaming.
    assert_type(messages.create(id, input="hi"), Stream)
    assert_type(messages.create(id, input="hi", streaming=True), Stream)
    assert_type(messages.create(id, input="hi", streaming=False), LettaResponse)
    assert_type(messages.create(id, input="hi", streaming=flag), LettaResponse | Stream)
    # `messages`, as TypedDicts written in place, and kept in a variable.
    kept: list[MessageCreateParam] = [{"role": "user", "content": "hi"}]
    tools: list[ClientToolParam] = [{"name": "weather", "parameters": {"type": "object"}}]
    assert_type(messages.create(id, messages=[{"role": "user", "content": [{"type": "text", "text": "hi"}]}]), Stream)
    assert_type(messages.create(id, messages=kept, client_tools=tools, streaming=False), LettaResponse)
    assert_type(
        messages.create(
            id,
            messages=[
                {
                    "type": "tool_return",
                    "tool_returns": [{"tool_call_id": "call-1", "tool_return": "done", "status": "success"}],
                }
            ],
        ),
        Stream,
    )
    approvals: Any = [{"type": "approval", "tool_call_id": "call-1", "approve": True}]
    assert_type(messages.create(id, messages=[{"type": "approval", "approvals": approvals}]), Stream)
    assert_type(messages.stream(id, run_id="run-1", starting_after=7, stream_limits=StreamLimits(idle=60)), Stream)
    assert_type(messages.compact(id, compaction_settings={"mode": "all", "model": "a/b"}), CompactionResponse)
    assert_type(messages.run_tools(id, input="hi", tools=[conversations]), ToolTurn)
    assert_type(messages.run_tools(id, input="hi").result(), ToolResult)
    assert_type(messages.pending(id, timeout=5), PendingRequest | None)
    assert_type(messages.deny_pending(id, reason="gone", background=True), ToolResult)
    assert_type(messages.follow(id, after="message-1"), Follow)
    for message in messages.follow(id):
        assert_type(message, Message)


async def conversations_async(client: AsyncLetta, id: str, flag: bool) -> None:
    messages = client.conversations.messages
    assert_type(messages.list(id), AsyncPaginator[Message])
    assert_type(await messages.list(id, include_return_message_types=["user_message"]), AsyncPage[Message])
    assert_type(await messages.create(id, input="hi"), AsyncStream)
    assert_type(await messages.create(id, input="hi", streaming=True), AsyncStream)
    assert_type(await messages.create(id, input="hi", streaming=False), LettaResponse)
    assert_type(await messages.create(id, input="hi", streaming=flag), LettaResponse | AsyncStream)
    assert_type(await messages.stream(id, otid="otid-1", retry=RetryPolicy(max_retries=9)), AsyncStream)
    assert_type(await messages.compact(id), CompactionResponse)
    assert_type(messages.run_tools(id, input="hi", tools=[conversations_async]), AsyncToolTurn)
    assert_type(await messages.run_tools(id, input="hi").result(), ToolResult)
    assert_type(await messages.pending("default", agent_id=id), PendingRequest | None)
    assert_type(await messages.deny_pending(id), ToolResult)
    assert_type(messages.follow(id, from_start=True), AsyncFollow)
    async for message in messages.follow(id):
        assert_type(message, Message)


def pages(page: SyncPage[Step]) -> None:
    assert_type(page.items, list[Step])
    assert_type(page.has_next_page(), bool)
    assert_type(page.next_page_info(), dict[str, Any] | None)
    assert_type(page.get_next_page(), SyncPage[Step])
    assert_type(page.iter_pages(), PageIterator[Step])
    assert_type(page.checkpoint(), Checkpoint)
    for step in page:
        assert_type(step, Step)
    known: SyncArrayPage[Step] = page
    assert_type(known, SyncPage[Step])


async def pages_async(page: AsyncPage[Step], paginator: AsyncPaginator[Step]) -> None:
    assert_type(page.items, list[Step])
    assert_type(page.has_next_page(), bool)
    assert_type(page.next_page_info(), dict[str, Any] | None)
    assert_type(await page.get_next_page(), AsyncPage[Step])
    assert_type(page.checkpoint(), Checkpoint)
    async for each in page.iter_pages():
        assert_type(each, AsyncPage[Step])
    async for each in paginator.iter_pages():
        assert_type(each, AsyncPage[Step])
    async for step in page:
        assert_type(step, Step)
    async for step in paginator:
        assert_type(step, Step)


def streams(stream: Stream) -> None:
    for event in stream:
        assert_type(event, StreamEvent)
        match event:
            case AssistantMessage(content=str(words)):
                assert_type(words, str)
            case ToolCallMessage():
                assert_type(event, ToolCallMessage)
            case _:
                pass
    assert_type(stream.messages(), MessageIterator)
    assert_type(stream.text(), TextIterator)
    assert_type(stream.result(), LettaResponse)
    assert_type(stream.run_id, str | None)
    assert_type(stream.last_seq_id, int | None)
    assert_type(next(stream), StreamEvent)
    assert_type(stream.close(), None)
    with stream as entered:
        assert_type(entered, Stream)


async def streams_async(stream: AsyncStream) -> None:
    async for event in stream:
        assert_type(event, StreamEvent)
    assert_type(stream.messages(), AsyncMessageIterator)
    assert_type(stream.text(), AsyncTextIterator)
    assert_type(await stream.result(), LettaResponse)
    assert_type(stream.run_id, str | None)
    assert_type(stream.last_seq_id, int | None)
    assert_type(await anext(stream), StreamEvent)
    assert_type(await stream.aclose(), None)
    assert_type(await stream.close(), None)
    async with stream as entered:
        assert_type(entered, AsyncStream)


def raw(client: Letta, id: str, flag: bool) -> None:
    view = client.with_raw_response
    assert_type(view.steps.list(limit=3), RawResponse[SyncPage[Step]])
    assert_type(view.steps.retrieve(id), RawResponse[Step])
    assert_type(view.steps.metrics.retrieve(id), RawResponse[StepMetrics])
    assert_type(view.steps.trace.retrieve(id), RawResponse[ProviderTrace | None])
    assert_type(view.steps.feedback.create(id), RawResponse[Step])
    assert_type(view.steps.messages.list(id), RawResponse[SyncPage[Message]])
    messages = client.conversations.messages.with_raw_response
    assert_type(messages.list(id), RawResponse[SyncPage[Message]])
    assert_type(messages.create(id, input="hi"), RawResponse[Stream])
    assert_type(messages.create(id, input="hi", streaming=True), RawResponse[Stream])
    assert_type(messages.create(id, input="hi", streaming=False), RawResponse[LettaResponse])
    assert_type(messages.create(id, input="hi", streaming=flag), RawResponse[LettaResponse | Stream])
    assert_type(messages.stream(id), RawResponse[Stream])
    assert_type(messages.compact(id), RawResponse[CompactionResponse])
    response = client.steps.with_raw_response.retrieve(id)
    assert_type(response.parse(), Step)
    assert_type(response.status_code, int)
    assert_type(response.headers, httpx.Headers)
    assert_type(response.request_id, str | None)
    assert_type(response.content, bytes)
    assert_type(response.text(), str)
    assert_type(response.parse(to=dict), dict[Any, Any])
    assert_type(response.parse(to=StepMetrics), StepMetrics)
    assert_type(response.elapsed, timedelta)
    assert_type(response.is_closed, bool)
    for text in response.iter_text(10):
        assert_type(text, str)
    assert_type(response.http_response, httpx.Response)


async def raw_async(client: AsyncLetta, id: str, flag: bool) -> None:
    view = client.with_raw_response
    assert_type(await view.steps.list(limit=3), AsyncRawResponse[AsyncPage[Step]])
    assert_type(await view.steps.retrieve(id), AsyncRawResponse[Step])
    assert_type(await view.steps.metrics.retrieve(id), AsyncRawResponse[StepMetrics])
    assert_type(await view.steps.trace.retrieve(id), AsyncRawResponse[ProviderTrace | None])
    assert_type(await view.steps.feedback.create(id), AsyncRawResponse[Step])
    assert_type(await view.steps.messages.list(id), AsyncRawResponse[AsyncPage[Message]])
    messages = client.conversations.messages.with_raw_response
    assert_type(await messages.list(id), AsyncRawResponse[AsyncPage[Message]])
    assert_type(await messages.create(id, input="hi"), AsyncRawResponse[AsyncStream])
    assert_type(await messages.create(id, input="hi", streaming=False), AsyncRawResponse[LettaResponse])
    assert_type(await messages.create(id, input="hi", streaming=flag), AsyncRawResponse[LettaResponse | AsyncStream])
    assert_type(await messages.stream(id), AsyncRawResponse[AsyncStream])
    assert_type(await messages.compact(id), AsyncRawResponse[CompactionResponse])
    response = await client.steps.with_raw_response.retrieve(id)
    assert_type(await response.parse(), Step)
    assert_type(await response.parse(to=str), str)
    assert_type(await response.text(), str)
    async for text in response.iter_text():
        assert_type(text, str)


def unread(client: Letta, id: str, flag: bool) -> None:
    view = client.with_streaming_response
    assert_type(view.steps.list(limit=3), ResponseContext[SyncPage[Step]])
    assert_type(view.steps.retrieve(id), ResponseContext[Step])
    assert_type(view.steps.metrics.retrieve(id), ResponseContext[StepMetrics])
    assert_type(view.steps.trace.retrieve(id), ResponseContext[ProviderTrace | None])
    assert_type(view.steps.feedback.create(id), ResponseContext[Step])
    assert_type(view.steps.messages.list(id), ResponseContext[SyncPage[Message]])
    messages = client.conversations.messages.with_streaming_response
    assert_type(messages.list(id), ResponseContext[SyncPage[Message]])
    assert_type(messages.create(id, input="hi"), ResponseContext[Stream])
    assert_type(messages.create(id, input="hi", streaming=False), ResponseContext[LettaResponse])
    assert_type(messages.create(id, input="hi", streaming=flag), ResponseContext[LettaResponse | Stream])
    assert_type(messages.stream(id), ResponseContext[Stream])
    assert_type(messages.compact(id), ResponseContext[CompactionResponse])
    with view.steps.retrieve(id) as response:
        assert_type(response, StreamingResponse[Step])
        assert_type(response.iter_bytes(), FailingIterator[bytes])
        assert_type(response.iter_lines(), FailingIterator[str])
        assert_type(response.read(), bytes)
        assert_type(response.parse(), Step)


async def unread_async(client: AsyncLetta, id: str, flag: bool) -> None:
    view = client.with_streaming_response
    assert_type(view.steps.list(limit=3), AsyncResponseContext[AsyncPage[Step]])
    assert_type(view.steps.retrieve(id), AsyncResponseContext[Step])
    assert_type(view.steps.metrics.retrieve(id), AsyncResponseContext[StepMetrics])
    assert_type(view.steps.trace.retrieve(id), AsyncResponseContext[ProviderTrace | None])
    assert_type(view.steps.feedback.create(id), AsyncResponseContext[Step])
    assert_type(view.steps.messages.list(id), AsyncResponseContext[AsyncPage[Message]])
    messages = client.conversations.messages.with_streaming_response
    assert_type(messages.list(id), AsyncResponseContext[AsyncPage[Message]])
    assert_type(messages.create(id, input="hi"), AsyncResponseContext[AsyncStream])
    assert_type(messages.create(id, input="hi", streaming=False), AsyncResponseContext[LettaResponse])
    assert_type(messages.create(id, input="hi", streaming=flag), AsyncResponseContext[LettaResponse | AsyncStream])
    assert_type(messages.stream(id), AsyncResponseContext[AsyncStream])
    assert_type(messages.compact(id), AsyncResponseContext[CompactionResponse])
    async with view.steps.retrieve(id) as response:
        assert_type(response, AsyncStreamingResponse[Step])
        assert_type(await response.read(), bytes)
        assert_type(await response.parse(), Step)


def verbs(client: Letta) -> None:
    assert_type(client.get("/v1/agents/", query={"limit": 3, "tags": ["a"]}), Any)
    assert_type(client.post("/v1/agents/", body={"name": "x"}, timeout=5), Any)
    assert_type(client.put("/v1/agents/a", body={}), Any)
    assert_type(client.patch("/v1/agents/a", body={}), Any)
    assert_type(client.delete("/v1/agents/a"), Any)


async def verbs_async(client: AsyncLetta) -> None:
    assert_type(await client.get("/v1/agents/", query={"limit": 3, "tags": ["a"]}), Any)
    assert_type(await client.post("/v1/agents/", body={"name": "x"}, timeout=5), Any)
    assert_type(await client.put("/v1/agents/a", body={}), Any)
    assert_type(await client.patch("/v1/agents/a", body={}), Any)
    assert_type(await client.delete("/v1/agents/a"), Any)


def errors(status: NotFoundError, connection: APIConnectionError) -> None:
    assert_type(status.response, httpx.Response)
    assert_type(status.request, httpx.Request)
    assert_type(status.status_code, int)
    assert_type(connection.request, httpx.Request)
    assert_type(connection.response, httpx.Response | None)
    NotFoundError("no", response=httpx.Response(404), body=None)
    APIConnectionError(request=connection.request)
    APITimeoutError(connection.request)

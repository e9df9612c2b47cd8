"""`conversations.messages.create` in the foreground: JSON responses, steps, tokens."""

from __future__ import annotations

from typing import Any

import pytest

from letta_api.models import (
    AssistantMessage,
    LettaResponse,
    LettaUsageStatistics,
    MessageCreate,
    ReasoningMessage,
    UserMessage,
)
from letta_ext import AsyncLetta

from .reading import (
    SIX_WORDS,
    assistant_text,
    collect,
    kinds,
    only,
    reasoning_text,
    stop_reason,
    take,
    to_dicts,
    user_texts,
    without_pings,
    words,
)
from .server_resources import Agent, ServerResources
from .talking import messages, wait_for_messages

pytestmark = pytest.mark.anyio


async def test_json_send_returns_reply_and_usage(client: AsyncLetta, conversation: str) -> None:
    """`streaming=False` returns the reply, stop reason and usage."""
    response = await client.conversations.messages.create(conversation, input="hello", streaming=False)

    assert assistant_text(response.messages) == SIX_WORDS
    assert response.stop_reason.stop_reason == "end_turn"
    assert (response.usage.prompt_tokens, response.usage.step_count) == (100, 1)


async def test_json_send_returns_listed_messages(client: AsyncLetta, conversation: str) -> None:
    """The messages of the response equal the listed ones."""
    response = await client.conversations.messages.create(conversation, input="hello", streaming=False)

    listed = await messages(client, conversation)
    assert user_texts(listed) == ["hello"]
    assert to_dicts(listed[-len(response.messages) :]) == to_dicts(response.messages)


async def test_step_stream_yields_whole_messages(client: AsyncLetta, conversation: str) -> None:
    """A step stream yields complete messages."""
    async with await client.conversations.messages.create(conversation, input="hello") as stream:
        events = await collect(stream)

    assert kinds(events) == ["ping", "assistant_message", "stop_reason", "usage_statistics"]
    assert [message.content for message in only(events, AssistantMessage)] == [SIX_WORDS]
    assert stop_reason(events) == "end_turn"


async def test_token_stream_yields_tokens_of_one_message(client: AsyncLetta, conversation: str) -> None:
    """A token stream yields the tokens of one message."""
    async with await client.conversations.messages.create(conversation, input="LONG 9", stream_tokens=True) as stream:
        events = await collect(stream)

    tokens = only(events, AssistantMessage)
    assert [token.content for token in tokens] == [f"word{index} " for index in range(9)]
    assert [message.id for message in only(await messages(client, conversation), AssistantMessage)] == [tokens[0].id]
    assert [usage.total_tokens for usage in only(events, LettaUsageStatistics)] == [112]
    assert stream.run_id == tokens[0].run_id


@pytest.mark.parametrize("stream_tokens", [False, True])
async def test_streamed_text_equals_listed_text(client: AsyncLetta, conversation: str, stream_tokens: bool) -> None:
    """The streamed text and reasoning equal the listed ones."""
    async with await client.conversations.messages.create(
        conversation, input="REASON please", stream_tokens=stream_tokens
    ) as stream:
        events = await collect(stream)

    listed = await messages(client, conversation)
    assert (reasoning_text(events), assistant_text(events)) == (reasoning_text(listed), assistant_text(listed))
    assert assistant_text(events).split() == SIX_WORDS.split()
    assert kinds(events)[1:3] == kinds(listed)[-2:] == ["reasoning_message", "assistant_message"]


async def test_reasoning_precedes_reply_and_shares_its_id(client: AsyncLetta, conversation: str) -> None:
    """Reasoning precedes the reply and has the same id."""
    response = await client.conversations.messages.create(conversation, input="REASON please", streaming=False)

    reasoning, reply = response.messages
    assert isinstance(reasoning, ReasoningMessage)
    assert isinstance(reply, AssistantMessage)
    assert reasoning.reasoning == "thinking about it"
    assert reasoning.id == reply.id
    assert reasoning.otid != reply.otid


async def test_send_with_content_parts_is_accepted(client: AsyncLetta, conversation: str) -> None:
    """Content can be a list of parts."""
    parts = [{"type": "text", "text": "LONG 2"}, {"type": "text", "text": "please"}]
    body: dict[str, Any] = {"messages": [{"role": "user", "content": parts}]}

    response = await client.conversations.messages.create(conversation, streaming=False, **body)

    assert assistant_text(response.messages) == "word0 word1"


async def test_send_with_model_object_is_accepted(client: AsyncLetta, conversation: str) -> None:
    """A message can be a model."""
    message = MessageCreate(role="user", content="LONG 2", otid=f"object-{conversation}")
    body: dict[str, Any] = {"messages": [message]}

    response = await client.conversations.messages.create(conversation, streaming=False, **body)

    listed = await messages(client, conversation)
    assert assistant_text(response.messages) == "word0 word1"
    assert [(user.content, user.otid) for user in only(listed, UserMessage)] == [("LONG 2", f"object-{conversation}")]


async def test_second_turn_is_appended(client: AsyncLetta, conversation: str) -> None:
    """A second turn is appended to the conversation."""
    await client.conversations.messages.create(conversation, input="LONG 1", streaming=False)
    async with await client.conversations.messages.create(conversation, input="LONG 2") as stream:
        await collect(stream)

    turn = ["user_message", "assistant_message"]
    assert kinds(await messages(client, conversation)) == ["system_message", *turn, *turn]


@pytest.mark.parametrize("streaming", [False, True])
async def test_include_return_message_types_filters_response(
    client: AsyncLetta, conversation: str, streaming: bool
) -> None:
    """`include_return_message_types` filters the response."""
    response = await client.conversations.messages.create(
        conversation, input="REASON", streaming=streaming, include_return_message_types=["reasoning_message"]
    )

    if isinstance(response, LettaResponse):
        assert not streaming
        assert kinds(response.messages) == ["reasoning_message"]
    else:
        async with response:
            events = await collect(response)
        assert kinds(without_pings(events)) == ["reasoning_message", "stop_reason", "usage_statistics"]


async def test_agent_direct_send_works_streamed_and_as_json(client: AsyncLetta, own_agent: Agent) -> None:
    """Agent-direct mode works with and without streaming."""
    async with await client.conversations.messages.create(
        "default", agent_id=own_agent.id, input="LONG 3", stream_tokens=True
    ) as stream:
        events = await collect(stream)
    response = await client.conversations.messages.create(
        "default", agent_id=own_agent.id, input="LONG 4", streaming=False
    )

    assert assistant_text(events) == words(3)
    assert assistant_text(response.messages) == words(4).strip()
    assert user_texts(await messages(client, "default", agent_id=own_agent.id)) == ["LONG 3", "LONG 4"]


async def test_cancelled_run_ends_stream_with_stop_reason(
    client: AsyncLetta, conversation: str, resources: ServerResources
) -> None:
    """A cancelled run ends its stream with the stop reason `cancelled`."""
    async with await client.conversations.messages.create(conversation, input="LONG 500", stream_tokens=True) as stream:
        events = []
        async for event in stream:
            events.append(event)
            if len(events) == 3:
                resources.cancel(conversation)

    assert stop_reason(events) == "cancelled"
    assert 0 < len(only(events, AssistantMessage)) < 500


async def test_left_stream_does_not_stop_run(client: AsyncLetta, conversation: str) -> None:
    """The server finishes a run whose stream was left."""
    async with await client.conversations.messages.create(conversation, input="LONG 20", stream_tokens=True) as stream:
        received = await take(stream, lambda event: isinstance(event, AssistantMessage))

    listed = await wait_for_messages(client, conversation, lambda found: bool(only(found, AssistantMessage)))
    assert assistant_text(received) == words(1)
    assert assistant_text(listed) == words(20)


async def test_completed_stream_releases_connection_for_reuse(client: AsyncLetta, conversation: str) -> None:
    """A stream uses the connection of the one before, unless a busy server sends the end of its body too late."""
    ports: list[object] = []
    while len(ports) < 6 and len(set(ports)) == len(ports):
        async with await client.conversations.messages.create(conversation, input="LONG 1") as stream:
            ports.append(stream.response.extensions["network_stream"].get_extra_info("client_addr"))
            await collect(stream)

    assert len(set(ports)) < len(ports)

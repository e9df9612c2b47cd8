"""`conversations.messages.create` in the foreground: whole answers, steps, tokens."""

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
    asked,
    collect,
    kinds,
    only,
    plain,
    said,
    stop_reason,
    take,
    thought,
    without_pings,
    words,
)
from .scene import Agent, Scene
from .talking import eventually, messages

pytestmark = pytest.mark.anyio


async def test_an_answer_at_once_is_not_lost(client: AsyncLetta, conversation: str) -> None:
    answer = await client.conversations.messages.create(conversation, input="hello", streaming=False)

    assert said(answer.messages) == SIX_WORDS
    assert answer.stop_reason.stop_reason == "end_turn"
    assert (answer.usage.prompt_tokens, answer.usage.step_count) == (100, 1)


async def test_what_was_answered_at_once_is_what_the_server_lists(client: AsyncLetta, conversation: str) -> None:
    answer = await client.conversations.messages.create(conversation, input="hello", streaming=False)

    listed = await messages(client, conversation)
    assert asked(listed) == ["hello"]
    assert plain(listed[-len(answer.messages) :]) == plain(answer.messages)


async def test_a_stream_of_steps(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(conversation, input="hello") as stream:
        events = await collect(stream)

    assert kinds(events) == ["ping", "assistant_message", "stop_reason", "usage_statistics"]
    assert [message.content for message in only(events, AssistantMessage)] == [SIX_WORDS]
    assert stop_reason(events) == "end_turn"


async def test_a_stream_of_tokens(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(conversation, input="LONG 9", stream_tokens=True) as stream:
        events = await collect(stream)

    tokens = only(events, AssistantMessage)
    assert [token.content for token in tokens] == [f"word{index} " for index in range(9)]
    assert [message.id for message in only(await messages(client, conversation), AssistantMessage)] == [tokens[0].id]
    assert [usage.total_tokens for usage in only(events, LettaUsageStatistics)] == [112]
    assert stream.run_id == tokens[0].run_id


@pytest.mark.parametrize("stream_tokens", [False, True])
async def test_what_was_streamed_is_what_the_server_lists(
    client: AsyncLetta, conversation: str, stream_tokens: bool
) -> None:
    async with await client.conversations.messages.create(
        conversation, input="REASON please", stream_tokens=stream_tokens
    ) as stream:
        events = await collect(stream)

    listed = await messages(client, conversation)
    assert (thought(events), said(events)) == (thought(listed), said(listed))
    assert said(events).split() == SIX_WORDS.split()
    assert kinds(events)[1:3] == kinds(listed)[-2:] == ["reasoning_message", "assistant_message"]


async def test_reasoning_comes_before_the_answer_and_shares_its_id(client: AsyncLetta, conversation: str) -> None:
    answer = await client.conversations.messages.create(conversation, input="REASON please", streaming=False)

    reasoning, reply = answer.messages
    assert isinstance(reasoning, ReasoningMessage)
    assert isinstance(reply, AssistantMessage)
    assert reasoning.reasoning == "thinking about it"
    assert reasoning.id == reply.id
    assert reasoning.otid != reply.otid


async def test_content_in_parts(client: AsyncLetta, conversation: str) -> None:
    parts = [{"type": "text", "text": "LONG 2"}, {"type": "text", "text": "please"}]
    body: dict[str, Any] = {"messages": [{"role": "user", "content": parts}]}

    answer = await client.conversations.messages.create(conversation, streaming=False, **body)

    assert said(answer.messages) == "word0 word1"


async def test_a_model_object_in_place_of_a_mapping(client: AsyncLetta, conversation: str) -> None:
    message = MessageCreate(role="user", content="LONG 2", otid=f"object-{conversation}")
    body: dict[str, Any] = {"messages": [message]}

    answer = await client.conversations.messages.create(conversation, streaming=False, **body)

    listed = await messages(client, conversation)
    assert said(answer.messages) == "word0 word1"
    assert [(user.content, user.otid) for user in only(listed, UserMessage)] == [("LONG 2", f"object-{conversation}")]


async def test_the_next_turn_goes_on(client: AsyncLetta, conversation: str) -> None:
    await client.conversations.messages.create(conversation, input="LONG 1", streaming=False)
    async with await client.conversations.messages.create(conversation, input="LONG 2") as stream:
        await collect(stream)

    turn = ["user_message", "assistant_message"]
    assert kinds(await messages(client, conversation)) == ["system_message", *turn, *turn]


@pytest.mark.parametrize("streaming", [False, True])
async def test_only_the_types_that_were_asked_for(client: AsyncLetta, conversation: str, streaming: bool) -> None:
    answer = await client.conversations.messages.create(
        conversation, input="REASON", streaming=streaming, include_return_message_types=["reasoning_message"]
    )

    if isinstance(answer, LettaResponse):
        assert not streaming
        assert kinds(answer.messages) == ["reasoning_message"]
    else:
        async with answer:
            events = await collect(answer)
        assert kinds(without_pings(events)) == ["reasoning_message", "stop_reason", "usage_statistics"]


async def test_agent_direct(client: AsyncLetta, own_agent: Agent) -> None:
    async with await client.conversations.messages.create(
        "default", agent_id=own_agent.id, input="LONG 3", stream_tokens=True
    ) as stream:
        events = await collect(stream)
    answer = await client.conversations.messages.create(
        "default", agent_id=own_agent.id, input="LONG 4", streaming=False
    )

    assert said(events) == words(3)
    assert said(answer.messages) == words(4).strip()
    assert asked(await messages(client, "default", agent_id=own_agent.id)) == ["LONG 3", "LONG 4"]


async def test_a_cancelled_run_ends_its_stream(client: AsyncLetta, conversation: str, scene: Scene) -> None:
    async with await client.conversations.messages.create(conversation, input="LONG 500", stream_tokens=True) as stream:
        events = []
        async for event in stream:
            events.append(event)
            if len(events) == 3:
                scene.cancel(conversation)

    assert stop_reason(events) == "cancelled"
    assert 0 < len(only(events, AssistantMessage)) < 500


async def test_the_server_finishes_what_nobody_listens_to(client: AsyncLetta, conversation: str) -> None:
    async with await client.conversations.messages.create(conversation, input="LONG 20", stream_tokens=True) as stream:
        heard = await take(stream, lambda event: isinstance(event, AssistantMessage))

    listed = await eventually(client, conversation, lambda found: bool(only(found, AssistantMessage)))
    assert said(heard) == words(1)
    assert said(listed) == words(20)


async def test_a_finished_stream_gives_its_connection_back(client: AsyncLetta, conversation: str) -> None:
    ports = []
    for _ in range(2):
        async with await client.conversations.messages.create(conversation, input="LONG 1") as stream:
            ports.append(stream.response.extensions["network_stream"].get_extra_info("client_addr"))
            await collect(stream)

    assert ports[0] == ports[1]

"""`conversations.messages.compact`, and what the server compacts by itself."""

from __future__ import annotations

import pytest

from letta_api.models import AssistantMessage
from letta_ext import AsyncLetta, BadRequestError, RunError

from .reading import asked, collect, only, said, words
from .scene import Agent, Scene
from .talking import LENGTH, TEXTS, compact, messages, talk

pytestmark = pytest.mark.anyio

FULL = 120
"""A context window, in tokens, that holds the system prompt and that one turn of the model fills, which says it is of
112 tokens."""

TOO_SMALL = 60
"""One that does not hold the system prompt."""


async def test_a_compaction_summarizes(client: AsyncLetta, conversation: str, model: str) -> None:
    await talk(client, conversation)

    compaction = await compact(client, conversation, model)

    assert compaction.summary.startswith("word0")
    assert (compaction.num_messages_before, compaction.num_messages_after) == (LENGTH, 2)
    # Nothing is deleted: the summary is a message besides, which the server lists as one of the user's.
    listed = asked(await messages(client, conversation))
    assert [text for text in listed if text in TEXTS] == TEXTS
    assert [compaction.summary in text for text in listed if text not in TEXTS] == [True]


async def test_a_second_compaction_has_nothing_to_do(client: AsyncLetta, conversation: str, model: str) -> None:
    await talk(client, conversation)
    await compact(client, conversation, model)

    with pytest.raises(BadRequestError, match="failed to reduce the number of messages"):
        await compact(client, conversation, model)


async def test_the_servers_own_settings_will_do(client: AsyncLetta, scene: Scene) -> None:
    conversation = scene.conversation(scene.forgetful_agent(100_000))
    await talk(client, conversation)

    compaction = await client.conversations.messages.compact(conversation)

    assert compaction.num_messages_after < compaction.num_messages_before == LENGTH


async def test_the_agents_own_conversation(client: AsyncLetta, own_agent: Agent, model: str) -> None:
    await talk(client, "default", agent_id=own_agent.id)

    compaction = await compact(client, "default", model, agent_id=own_agent.id)

    assert (compaction.num_messages_before, compaction.num_messages_after) == (LENGTH, 2)


async def test_a_talk_goes_on_after_a_compaction(client: AsyncLetta, conversation: str, model: str) -> None:
    await talk(client, conversation)
    await compact(client, conversation, model)

    answer = await client.conversations.messages.create(
        conversation, input="LONG 2", streaming=False, include_compaction_messages=True
    )

    assert said(answer.messages) == "word0 word1"
    assert len(only(await messages(client, conversation), AssistantMessage)) == len(TEXTS) + 1


async def test_a_compaction_in_the_midst_of_a_turn(client: AsyncLetta, scene: Scene) -> None:
    conversation = scene.conversation(scene.forgetful_agent(FULL))

    answer = await client.conversations.messages.create(
        conversation, input="LONG 1", streaming=False, include_compaction_messages=True
    )
    async with await client.conversations.messages.create(
        conversation, input="LONG 3", stream_tokens=True, include_compaction_messages=True
    ) as stream:
        events = await collect(stream)

    # 0.16.8 reports it as a message of the user, whatever the documents say of summaries and events.
    for items, spoken in ((answer.messages, "word0"), (events, words(3))):
        assert said(items) == spoken
        (report,) = asked(items)
        assert "post_step_context_check" in report


async def test_a_context_window_that_is_too_small_for_the_agent(client: AsyncLetta, scene: Scene) -> None:
    conversation = scene.conversation(scene.forgetful_agent(TOO_SMALL))

    with pytest.raises(BadRequestError, match="CONTEXT_WINDOW_EXCEEDED"):
        await client.conversations.messages.create(conversation, input="LONG 1", streaming=False)
    # In the foreground too the body may end behind the error, without the sign that ends other streams.
    async with await client.conversations.messages.create(conversation, input="LONG 1") as stream:
        with pytest.raises(RunError, match="CONTEXT_WINDOW_EXCEEDED") as failed:
            await collect(stream)

    assert failed.value.error_type == "context_window_overflow_in_system_prompt"
    assert failed.value.run_id == stream.run_id is not None

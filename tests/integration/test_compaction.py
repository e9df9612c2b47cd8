"""`conversations.messages.compact`, and compactions by the server itself."""

from __future__ import annotations

import pytest

from letta_api.models import AssistantMessage
from letta_ext import AsyncLetta, BadRequestError, RunError

from .reading import assistant_text, collect, only, user_texts, words
from .server_resources import Agent, ServerResources
from .talking import LENGTH, TEXTS, compact, messages, send_texts

pytestmark = pytest.mark.anyio

SMALL_WINDOW = 120
"""A context window, in tokens, that holds the system prompt and that one turn of 112 tokens fills."""

TOO_SMALL = 60
"""A context window that does not hold the system prompt."""


async def test_compact_returns_summary_and_keeps_messages(client: AsyncLetta, conversation: str, model: str) -> None:
    """A compaction returns a summary and deletes no message."""
    await send_texts(client, conversation)

    compaction = await compact(client, conversation, model)

    assert compaction.summary.startswith("word0")
    assert (compaction.num_messages_before, compaction.num_messages_after) == (LENGTH, 2)
    # Nothing is deleted: the summary is an additional message, listed as a user message.
    listed = user_texts(await messages(client, conversation))
    assert [text for text in listed if text in TEXTS] == TEXTS
    assert [compaction.summary in text for text in listed if text not in TEXTS] == [True]


async def test_second_compact_raises_bad_request_error(client: AsyncLetta, conversation: str, model: str) -> None:
    """A second compaction has nothing to summarize."""
    await send_texts(client, conversation)
    await compact(client, conversation, model)

    with pytest.raises(BadRequestError, match="failed to reduce the number of messages"):
        await compact(client, conversation, model)


async def test_compact_without_settings_uses_settings_of_agent(client: AsyncLetta, resources: ServerResources) -> None:
    """Without settings, the server uses those of the agent."""
    conversation = resources.conversation(resources.agent_with_context_window(100_000))
    await send_texts(client, conversation)

    compaction = await client.conversations.messages.compact(conversation)

    assert compaction.num_messages_after < compaction.num_messages_before == LENGTH


async def test_compact_of_agent_direct_conversation_returns_counts(
    client: AsyncLetta, own_agent: Agent, model: str
) -> None:
    """A compaction works in agent-direct mode."""
    await send_texts(client, "default", agent_id=own_agent.id)

    compaction = await compact(client, "default", model, agent_id=own_agent.id)

    assert (compaction.num_messages_before, compaction.num_messages_after) == (LENGTH, 2)


async def test_send_after_compaction_gets_reply(client: AsyncLetta, conversation: str, model: str) -> None:
    """A conversation continues after a compaction."""
    await send_texts(client, conversation)
    await compact(client, conversation, model)

    response = await client.conversations.messages.create(
        conversation, input="LONG 2", streaming=False, include_compaction_messages=True
    )

    assert assistant_text(response.messages) == "word0 word1"
    assert len(only(await messages(client, conversation), AssistantMessage)) == len(TEXTS) + 1


async def test_compaction_during_turn_is_reported_as_user_message(
    client: AsyncLetta, resources: ServerResources
) -> None:
    """A compaction during a turn is reported in the response and in the stream."""
    conversation = resources.conversation(resources.agent_with_context_window(SMALL_WINDOW))

    response = await client.conversations.messages.create(
        conversation, input="LONG 1", streaming=False, include_compaction_messages=True
    )
    async with await client.conversations.messages.create(
        conversation, input="LONG 3", stream_tokens=True, include_compaction_messages=True
    ) as stream:
        events = await collect(stream)

    # Letta 0.16.8 reports it as a user message, unlike its documentation of summaries and events.
    for items, expected in ((response.messages, "word0"), (events, words(3))):
        assert assistant_text(items) == expected
        (report,) = user_texts(items)
        assert "post_step_context_check" in report


async def test_send_exceeding_context_window_raises(client: AsyncLetta, resources: ServerResources) -> None:
    """A context window that is too small raises `BadRequestError`, streamed `RunError`."""
    conversation = resources.conversation(resources.agent_with_context_window(TOO_SMALL))

    with pytest.raises(BadRequestError, match="CONTEXT_WINDOW_EXCEEDED"):
        await client.conversations.messages.create(conversation, input="LONG 1", streaming=False)
    # A foreground body may end after the error event without the terminal event.
    async with await client.conversations.messages.create(conversation, input="LONG 1") as stream:
        with pytest.raises(RunError, match="CONTEXT_WINDOW_EXCEEDED") as failed:
            await collect(stream)

    assert failed.value.error_type == "context_window_overflow_in_system_prompt"
    assert failed.value.run_id == stream.run_id is not None

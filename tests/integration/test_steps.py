"""Steps: the list and its filters, one step, and its metrics, trace, feedback and messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from letta_api.models import ReasoningMessage, Step
from letta_ext import AsyncLetta, NotFoundError, RunError

from .reading import SIX_WORDS, asked, collect, kinds, plain
from .scene import Agent
from .talking import TEXTS, messages, talk

pytestmark = pytest.mark.anyio

NO_STEP = "step-00000000-0000-4000-8000-000000000000"


async def newest_step(client: AsyncLetta, conversation: str) -> str:
    """The step that brought the last message of a conversation."""
    step_id: str = plain(await messages(client, conversation))[-1]["step_id"]
    return step_id


async def step_of_a_turn(client: AsyncLetta, conversation: str) -> str:
    await client.conversations.messages.create(conversation, input="hello", streaming=False)
    return await newest_step(client, conversation)


async def ids(client: AsyncLetta, agent: Agent, **filters: Any) -> list[str]:
    steps: list[Step] = await collect(client.steps.list(agent_id=agent.id, **filters))
    return [step.id for step in steps]


async def test_a_step(client: AsyncLetta, conversation: str, agent: Agent) -> None:
    step_id = await step_of_a_turn(client, conversation)

    step = await client.steps.retrieve(step_id)

    assert (step.id, step.agent_id) == (step_id, agent.id)
    assert (step.status, step.stop_reason, step.error_type) == ("success", "end_turn", None)
    assert (step.prompt_tokens, step.completion_tokens, step.total_tokens) == (100, 12, 112)
    # The server adds this field to the documented ones.
    assert (step.organization_id or "").startswith("org-")


async def test_a_failed_step(client: AsyncLetta, own_agent: Agent) -> None:
    async with await client.conversations.messages.create("default", agent_id=own_agent.id, input="FAIL 400") as stream:
        with pytest.raises(RunError):
            await collect(stream)

    (step,) = (await client.steps.list(agent_id=own_agent.id)).items

    assert (step.status, step.stop_reason, step.run_id) == ("failed", "llm_api_error", stream.run_id)
    assert step.error_type == "LLMBadRequestError"
    assert "asked to fail" in (step.error_data or {})["message"]
    assert await client.steps.trace.retrieve(step.id) is not None


async def test_metrics(client: AsyncLetta, conversation: str, agent: Agent) -> None:
    step_id = await step_of_a_turn(client, conversation)

    metrics = await client.steps.metrics.retrieve(step_id)

    assert (metrics.id, metrics.agent_id) == (step_id, agent.id)
    assert 0 < (metrics.llm_request_ns or 0) <= (metrics.step_ns or 0)
    assert metrics.tool_execution_ns is None


async def test_a_trace(client: AsyncLetta, conversation: str) -> None:
    await client.conversations.messages.create(
        conversation, input="hello", streaming=False, override_system="Be somebody else."
    )
    step_id = await newest_step(client, conversation)

    trace = await client.steps.trace.retrieve(step_id)

    assert trace is not None
    assert trace.step_id == step_id
    sent = [(message["role"], message["content"]) for message in trace.request_json["messages"]]
    assert sent == [("system", "Be somebody else."), ("user", "hello")]
    assert trace.response_json["choices"][0]["message"]["content"] == SIX_WORDS
    assert trace.created_at is not None
    assert trace.created_at.tzinfo is not None


async def test_a_step_that_is_not_there_has_no_trace(client: AsyncLetta) -> None:
    assert await client.steps.trace.retrieve(NO_STEP) is None


async def test_feedback_is_set_and_cleared(client: AsyncLetta, conversation: str) -> None:
    step_id = await step_of_a_turn(client, conversation)

    praised = await client.steps.feedback.create(step_id, feedback="positive", tags=["a", "b"])
    blamed = await client.steps.feedback.create(step_id, feedback="negative")
    cleared = await client.steps.feedback.create(step_id, feedback=None)

    assert [(step.feedback, step.tags) for step in (praised, blamed, cleared)] == [
        ("positive", ["a", "b"]),
        ("negative", ["a", "b"]),
        (None, ["a", "b"]),
    ]
    assert (await client.steps.retrieve(step_id)).feedback is None


async def test_tags_alone_clear_the_feedback(client: AsyncLetta, conversation: str) -> None:
    step_id = await step_of_a_turn(client, conversation)
    await client.steps.feedback.create(step_id, feedback="positive")

    tagged = await client.steps.feedback.create(step_id, tags=["a"])

    assert (tagged.feedback, tagged.tags) == (None, ["a"])


async def test_messages_of_a_step(client: AsyncLetta, conversation: str) -> None:
    step_id = await step_of_a_turn(client, conversation)

    page = await client.steps.messages.list(step_id)

    # The answer shows as reasoning here, under the id that it has in the conversation.
    assert asked(page.items) == ["hello"]
    question, answer = page.items
    assert isinstance(answer, ReasoningMessage)
    assert answer.reasoning == SIX_WORDS
    assert [item["id"] for item in plain([question, answer])] == [
        item["id"] for item in plain(await messages(client, conversation))[-2:]
    ]
    assert {item["step_id"] for item in plain(page.items)} == {step_id}


async def test_walks_over_the_messages_of_a_step(client: AsyncLetta, conversation: str) -> None:
    await client.conversations.messages.create(conversation, input="REASON", streaming=False)
    step_id = await newest_step(client, conversation)
    expected = plain((await client.steps.messages.list(step_id)).items)
    assert len(expected) == 3

    for limit in (1, 2, 100):
        oldest_first = await collect(client.steps.messages.list(step_id, order="asc", limit=limit))
        newest_first = await collect(client.steps.messages.list(step_id, order="desc", limit=limit))
        assert plain(oldest_first) == expected, limit
        assert kinds(newest_first)[-1] == "user_message", limit
        assert sorted(item["otid"] for item in plain(newest_first)) == sorted(item["otid"] for item in expected), limit


async def test_a_step_that_is_not_there_has_no_messages(client: AsyncLetta) -> None:
    assert (await client.steps.messages.list(NO_STEP)).items == []


async def test_walks_over_the_steps_of_an_agent(client: AsyncLetta, own_agent: Agent) -> None:
    await talk(client, "default", agent_id=own_agent.id)
    newest_first = [step.id for step in (await client.steps.list(agent_id=own_agent.id)).items]
    assert len(set(newest_first)) == len(TEXTS)
    # The order is the one in which they were made.
    listed = plain(await messages(client, "default", agent_id=own_agent.id))
    assert newest_first[::-1] == [item["step_id"] for item in listed if item["message_type"] == "assistant_message"]

    for limit in (1, 2, 3, 4):
        assert await ids(client, own_agent, limit=limit) == newest_first, limit
        assert await ids(client, own_agent, limit=limit, order="desc") == newest_first, limit
        assert await ids(client, own_agent, limit=limit, order="asc") == newest_first[::-1], limit
    assert await ids(client, own_agent, order="asc", limit=1, after=newest_first[1]) == newest_first[:1]


async def test_filters_of_steps(client: AsyncLetta, own_agent: Agent) -> None:
    await talk(client, "default", agent_id=own_agent.id)
    third, second, first = await ids(client, own_agent)
    await client.steps.feedback.create(first, feedback="positive")
    await client.steps.feedback.create(second, feedback="negative")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    assert await ids(client, own_agent, feedback="positive") == [first]
    assert await ids(client, own_agent, feedback="negative", limit=1) == [second]
    assert await ids(client, own_agent, has_feedback=True, limit=1) == [second, first]
    assert await ids(client, own_agent, has_feedback=False) == [third]
    assert await ids(client, own_agent, model="no-such-model") == []
    assert await ids(client, own_agent, end_date=tomorrow, limit=2) == [third, second, first]
    assert await ids(client, own_agent, start_date=tomorrow) == []
    assert await ids(client, own_agent, trace_ids=["of", "nobody"]) == []


async def test_a_walk_from_an_unknown_step(client: AsyncLetta, own_agent: Agent) -> None:
    with pytest.raises(NotFoundError, match=NO_STEP):
        await ids(client, own_agent, after=NO_STEP)

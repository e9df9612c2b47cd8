"""Steps: list, filters, retrieval, metrics, trace, feedback and messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from letta_api.models import ReasoningMessage, Step
from letta_ext import AsyncLetta, NotFoundError, RunError

from .reading import SIX_WORDS, collect, kinds, to_dicts, user_texts
from .server_resources import Agent, ServerResources
from .talking import TEXTS, messages, send_texts

pytestmark = pytest.mark.anyio

NO_STEP = "step-00000000-0000-4000-8000-000000000000"


async def newest_step(client: AsyncLetta, conversation: str) -> str:
    """Return the id of the step of the newest message."""
    step_id: str = to_dicts(await messages(client, conversation))[-1]["step_id"]
    return step_id


async def step_of_a_turn(client: AsyncLetta, conversation: str) -> str:
    await client.conversations.messages.create(conversation, input="hello", streaming=False)
    return await newest_step(client, conversation)


async def ids(client: AsyncLetta, agent: Agent, **filters: Any) -> list[str]:
    steps: list[Step] = await collect(client.steps.list(agent_id=agent.id, **filters))
    return [step.id for step in steps]


async def test_retrieve_step_returns_usage_and_status(client: AsyncLetta, conversation: str, agent: Agent) -> None:
    """A step has its status, stop reason and usage."""
    step_id = await step_of_a_turn(client, conversation)

    step = await client.steps.retrieve(step_id)

    assert (step.id, step.agent_id) == (step_id, agent.id)
    assert (step.status, step.stop_reason, step.error_type) == ("success", "end_turn", None)
    assert (step.prompt_tokens, step.completion_tokens, step.total_tokens) == (100, 12, 112)
    # The document does not have this field.
    assert (step.organization_id or "").startswith("org-")


async def test_failed_run_creates_failed_step(client: AsyncLetta, own_agent: Agent, resources: ServerResources) -> None:
    """The step of a failed run has its error."""
    async with await client.conversations.messages.create("default", agent_id=own_agent.id, input="FAIL 400") as stream:
        with pytest.raises(RunError):
            await collect(stream)

    (step,) = (await client.steps.list(agent_id=own_agent.id)).items

    assert (step.status, step.stop_reason, step.run_id) == ("failed", "llm_api_error", stream.run_id)
    assert step.error_type == "LLMBadRequestError"
    assert "asked to fail" in (step.error_data or {})["message"]
    resources.wait_until_recorded(step.id)
    assert await client.steps.trace.retrieve(step.id) is not None


async def test_step_metrics_have_durations(
    client: AsyncLetta, conversation: str, agent: Agent, resources: ServerResources
) -> None:
    """The metrics of a step have its durations."""
    step_id = await step_of_a_turn(client, conversation)

    resources.wait_until_recorded(step_id)
    metrics = await client.steps.metrics.retrieve(step_id)

    assert (metrics.id, metrics.agent_id) == (step_id, agent.id)
    assert 0 < (metrics.llm_request_ns or 0) <= (metrics.step_ns or 0)
    assert metrics.tool_execution_ns is None


async def test_step_trace_has_model_request_and_response(
    client: AsyncLetta, conversation: str, resources: ServerResources
) -> None:
    """The trace has the request to the model and its response."""
    await client.conversations.messages.create(
        conversation, input="hello", streaming=False, override_system="Be another agent."
    )
    step_id = await newest_step(client, conversation)

    resources.wait_until_recorded(step_id)
    trace = await client.steps.trace.retrieve(step_id)

    assert trace is not None
    assert trace.step_id == step_id
    sent = [(message["role"], message["content"]) for message in trace.request_json["messages"]]
    assert sent == [("system", "Be another agent."), ("user", "hello")]
    assert trace.response_json["choices"][0]["message"]["content"] == SIX_WORDS
    assert trace.created_at is not None
    assert trace.created_at.tzinfo is not None


async def test_trace_of_missing_step_is_none(client: AsyncLetta) -> None:
    """The trace of a missing step is None."""
    assert await client.steps.trace.retrieve(NO_STEP) is None


async def test_feedback_can_be_set_and_cleared(client: AsyncLetta, conversation: str) -> None:
    """Feedback can be set, changed and cleared."""
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


async def test_feedback_with_tags_only_clears_feedback(client: AsyncLetta, conversation: str) -> None:
    """A call with tags only clears the feedback."""
    step_id = await step_of_a_turn(client, conversation)
    await client.steps.feedback.create(step_id, feedback="positive")

    tagged = await client.steps.feedback.create(step_id, tags=["a"])

    assert (tagged.feedback, tagged.tags) == (None, ["a"])


async def test_step_messages_are_those_of_its_turn(client: AsyncLetta, conversation: str) -> None:
    """The messages of a step are those of its turn."""
    step_id = await step_of_a_turn(client, conversation)

    page = await client.steps.messages.list(step_id)

    # The server lists the reply as reasoning here, under its id in the conversation.
    assert user_texts(page.items) == ["hello"]
    question, reply = page.items
    assert isinstance(reply, ReasoningMessage)
    assert reply.reasoning == SIX_WORDS
    assert [item["id"] for item in to_dicts([question, reply])] == [
        item["id"] for item in to_dicts(await messages(client, conversation))[-2:]
    ]
    assert {item["step_id"] for item in to_dicts(page.items)} == {step_id}


async def test_step_messages_are_complete_for_each_limit_and_order(client: AsyncLetta, conversation: str) -> None:
    """Each limit and order lists all messages of a step."""
    await client.conversations.messages.create(conversation, input="REASON", streaming=False)
    step_id = await newest_step(client, conversation)
    expected = to_dicts((await client.steps.messages.list(step_id)).items)
    assert len(expected) == 3

    for limit in (1, 2, 100):
        oldest_first = await collect(client.steps.messages.list(step_id, order="asc", limit=limit))
        newest_first = await collect(client.steps.messages.list(step_id, order="desc", limit=limit))
        assert to_dicts(oldest_first) == expected, limit
        assert kinds(newest_first)[-1] == "user_message", limit
        assert sorted(item["otid"] for item in to_dicts(newest_first)) == sorted(item["otid"] for item in expected), (
            limit
        )


async def test_messages_of_missing_step_are_empty(client: AsyncLetta) -> None:
    """A missing step has an empty list."""
    assert (await client.steps.messages.list(NO_STEP)).items == []


async def test_step_list_is_complete_for_each_limit_and_order(client: AsyncLetta, own_agent: Agent) -> None:
    """Each limit and order lists all steps, in order of creation."""
    await send_texts(client, "default", agent_id=own_agent.id)
    newest_first = [step.id for step in (await client.steps.list(agent_id=own_agent.id)).items]
    assert len(set(newest_first)) == len(TEXTS)
    # The order is that of creation.
    listed = to_dicts(await messages(client, "default", agent_id=own_agent.id))
    assert newest_first[::-1] == [item["step_id"] for item in listed if item["message_type"] == "assistant_message"]

    for limit in (1, 2, 3, 4):
        assert await ids(client, own_agent, limit=limit) == newest_first, limit
        assert await ids(client, own_agent, limit=limit, order="desc") == newest_first, limit
        assert await ids(client, own_agent, limit=limit, order="asc") == newest_first[::-1], limit
    assert await ids(client, own_agent, order="asc", limit=1, after=newest_first[1]) == newest_first[:1]


async def test_step_filters_select_matching_steps(client: AsyncLetta, own_agent: Agent) -> None:
    """Filters by feedback, model, dates and traces select the matching steps."""
    await send_texts(client, "default", agent_id=own_agent.id)
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
    assert await ids(client, own_agent, trace_ids=["unknown", "missing"]) == []


async def test_step_list_after_unknown_step_raises_not_found_error(client: AsyncLetta, own_agent: Agent) -> None:
    """An unknown cursor raises `NotFoundError`."""
    with pytest.raises(NotFoundError, match=NO_STEP):
        await ids(client, own_agent, after=NO_STEP)
